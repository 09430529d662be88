-- +goose Up
-- The tokens that people give to their scripts. A token has 256 random bits, so
-- that a plain hash of it is enough; prefix is what its owner knows it by. A row
-- that is revoked stays for a while: what still comes with it then counts
-- against its owner, and not against everybody at the same address.
CREATE TABLE api_tokens (
    id           BIGINT       NOT NULL AUTO_INCREMENT,
    user_id      BIGINT       NOT NULL,
    name         VARCHAR(100) NOT NULL,
    prefix       VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    hash         BINARY(32)   NOT NULL,
    scopes       VARCHAR(50)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at   DATETIME(3)  NOT NULL,
    expires_at   DATETIME(3)  NOT NULL,
    last_used_at DATETIME(3)  NULL,
    revoked_at   DATETIME(3)  NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uq_api_tokens_hash (hash),
    KEY ix_api_tokens_user (user_id, revoked_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE api_tokens;
