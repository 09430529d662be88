-- +goose Up
-- The answers to requests that bore an Idempotency-Key. A row without a status
-- is a request that is still being served, until locked_until at the latest.
CREATE TABLE idempotency_keys (
    user_id      BIGINT         NOT NULL,
    idem_key     VARBINARY(128) NOT NULL,
    request_hash BINARY(32)     NOT NULL,
    locked_until DATETIME(3)    NOT NULL,
    expires_at   DATETIME(3)    NOT NULL,
    status       SMALLINT       NULL,
    location     VARCHAR(255)   NOT NULL DEFAULT '',
    etag         VARCHAR(100)   NOT NULL DEFAULT '',
    body         MEDIUMBLOB     NULL,
    PRIMARY KEY (user_id, idem_key),
    KEY ix_idempotency_keys_expires (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE idempotency_keys;
