-- +goose Up
-- What is counted against the rate limits. A row is one counted thing, known
-- by a hash alone, and holds its latest window only: a later window takes the
-- row over. Rows whose window has ended are removed, a few at a time, by the
-- requests that open new ones.
CREATE TABLE rate_limits (
    bucket  BINARY(16)  NOT NULL,
    ends_at DATETIME(3) NOT NULL,
    hits    INT         NOT NULL,
    PRIMARY KEY (bucket),
    KEY ix_rate_limits_ends (ends_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE rate_limits;
