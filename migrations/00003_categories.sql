-- +goose Up
-- name_key is the name folded to lower case: names are unique without regard
-- to case on every engine, whatever its collations do.
CREATE TABLE categories (
    id          BIGINT        NOT NULL AUTO_INCREMENT,
    name        VARCHAR(100)  NOT NULL,
    name_key    VARCHAR(200)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    description VARCHAR(1000) NULL,
    color       CHAR(7)       NOT NULL,
    status      ENUM('active', 'inactive') NOT NULL DEFAULT 'active',
    version     INT           NOT NULL DEFAULT 1,
    created_at  DATETIME(3)   NOT NULL,
    updated_at  DATETIME(3)   NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uq_categories_name_key (name_key)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE categories;
