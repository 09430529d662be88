-- +goose Up
-- What a job's requests are signed with. sealed holds all of its keys in one
-- piece, bound to the row: the present one and, until previous_until, the one
-- before.
CREATE TABLE signing_keys (
    job_id         BIGINT      NOT NULL,
    sealed         BLOB        NOT NULL,
    key_version    INT         NOT NULL,
    previous_until DATETIME(3) NULL,
    updated_at     DATETIME(3) NOT NULL,
    PRIMARY KEY (job_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE signing_keys;
