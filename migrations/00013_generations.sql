-- +goose Up
-- A number for what instances keep in memory: every transaction that changes
-- it raises the number last of all, so that whoever reads the same number has
-- what is stored. Whoever needs a row makes it.
CREATE TABLE generations (
    name       VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    generation BIGINT      NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE generations;
