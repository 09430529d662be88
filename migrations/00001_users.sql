-- +goose Up
-- email is stored normalised and compared byte by byte: two spellings that a
-- collation holds for equal are two accounts, and one address is one account.
-- Every access token names token_version; raising it ends them all.
CREATE TABLE users (
    id            BIGINT       NOT NULL AUTO_INCREMENT,
    email         VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    name          VARCHAR(100) NOT NULL,
    role          ENUM('viewer', 'operator', 'admin') NOT NULL,
    is_active     TINYINT(1)   NOT NULL DEFAULT 1,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    token_version INT          NOT NULL DEFAULT 1,
    version       INT          NOT NULL DEFAULT 1,
    last_login_at DATETIME(3)  NULL,
    created_at    DATETIME(3)  NOT NULL,
    updated_at    DATETIME(3)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uq_users_email (email)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE users;
