-- +goose Up
-- A session is a chain of refresh tokens, of which the newest alone is good.
-- Tokens are derived from id, generation and nonce; refresh_hash is the hash
-- of the newest, and rotated_at is when it took its predecessor's place. The
-- id is random, so that it tells nothing of how many there are.
CREATE TABLE sessions (
    id           BIGINT       NOT NULL,
    user_id      BIGINT       NOT NULL,
    nonce        BINARY(16)   NOT NULL,
    generation   INT          NOT NULL DEFAULT 1,
    refresh_hash BINARY(32)   NOT NULL,
    remember     TINYINT(1)   NOT NULL DEFAULT 0,
    address      VARCHAR(45)  NOT NULL DEFAULT '',
    user_agent   VARCHAR(255) NOT NULL DEFAULT '',
    created_at   DATETIME(3)  NOT NULL,
    rotated_at   DATETIME(3)  NOT NULL,
    expires_at   DATETIME(3)  NOT NULL,
    ended_at     DATETIME(3)  NULL,
    end_reason   VARCHAR(20)  NULL,
    PRIMARY KEY (id),
    KEY ix_sessions_user (user_id, ended_at),
    KEY ix_sessions_expires (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE sessions;
