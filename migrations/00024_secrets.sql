-- +goose Up
-- Secrets that jobs of the whole workspace name as {{secret.NAME}}. sealed is
-- bound to the name; allowed_hosts is a JSON array of the hosts that it may be
-- sent to.
CREATE TABLE secrets (
    name          VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sealed        BLOB         NOT NULL,
    key_version   INT          NOT NULL,
    allowed_hosts TEXT         NOT NULL,
    created_at    DATETIME(3)  NOT NULL,
    updated_at    DATETIME(3)  NOT NULL,
    updated_by    BIGINT       NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE secrets;
