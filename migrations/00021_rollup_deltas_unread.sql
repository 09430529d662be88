-- +goose Up
-- Rows of rollup_deltas that could not be read, so that they stop no others. A
-- repair counts the history in their place, and removes them.
CREATE TABLE rollup_deltas_unread (
    id      BIGINT     NOT NULL,
    samples MEDIUMBLOB NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE rollup_deltas_unread;
