-- +goose Up
-- What executions add up to. A transaction that makes executions terminal
-- appends one row to rollup_deltas, and contends with nobody; a tick folds
-- these into rollups and rollup_totals and removes them, in one transaction.
-- What is folded and what still waits to be are the summary together.
CREATE TABLE rollup_deltas (
    id      BIGINT     NOT NULL AUTO_INCREMENT,
    samples MEDIUMBLOB NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- One row for a job and an hour (of scheduled_for, UTC). Where a job changes
-- its category there is one for each that it had when its executions ended.
-- missed counts instants, not rows. The sums are milliseconds; durations and
-- latenesses are histograms, in the encoding of the code that folds.
CREATE TABLE rollups (
    job_id       BIGINT          NOT NULL,
    hour         DATETIME        NOT NULL,
    category_id  BIGINT          NOT NULL,
    success      INT             NOT NULL,
    failed       INT             NOT NULL,
    skipped      INT             NOT NULL,
    missed       INT             NOT NULL,
    cancelled    INT             NOT NULL,
    abandoned    INT             NOT NULL,
    duration_sum BIGINT          NOT NULL,
    duration_max BIGINT          NOT NULL,
    durations    VARBINARY(3000) NOT NULL,
    lateness_sum BIGINT          NOT NULL,
    lateness_max BIGINT          NOT NULL,
    latenesses   VARBINARY(3000) NOT NULL,
    PRIMARY KEY (job_id, hour, category_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- The same of all jobs together, by hour and by day (UTC), each once in all
-- (category 0) and once for each category: what dashboards read.
CREATE TABLE rollup_totals (
    span         ENUM('hour', 'day', 'category_hour', 'category_day') NOT NULL,
    start        DATETIME        NOT NULL,
    category_id  BIGINT          NOT NULL,
    success      BIGINT          NOT NULL,
    failed       BIGINT          NOT NULL,
    skipped      BIGINT          NOT NULL,
    missed       BIGINT          NOT NULL,
    cancelled    BIGINT          NOT NULL,
    abandoned    BIGINT          NOT NULL,
    duration_sum BIGINT          NOT NULL,
    duration_max BIGINT          NOT NULL,
    durations    VARBINARY(3000) NOT NULL,
    lateness_sum BIGINT          NOT NULL,
    lateness_max BIGINT          NOT NULL,
    latenesses   VARBINARY(3000) NOT NULL,
    PRIMARY KEY (span, start, category_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Work that one process does at a time, a step in each tick: the row is its
-- lock, position says how far it has come. Whoever needs a row makes it.
CREATE TABLE upkeep (
    name     VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    position BIGINT      NOT NULL DEFAULT 0,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE upkeep;
DROP TABLE rollup_totals;
DROP TABLE rollups;
DROP TABLE rollup_deltas;
