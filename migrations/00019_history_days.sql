-- +goose Up
-- How many executions of a kind each day of the history holds, by scheduled_for
-- in UTC, counted by the tick when the day is over and again from time to time:
-- a page deep in the history is found by skipping whole days. A day that was
-- counted has a row at least, be it of none.
CREATE TABLE history_days (
    day          DATETIME NOT NULL,
    status       ENUM('pending', 'queued', 'running', 'success', 'failed', 'skipped', 'missed', 'cancelled', 'abandoned') NOT NULL,
    trigger_type ENUM('schedule', 'manual', 'replay') NOT NULL,
    executions   BIGINT   NOT NULL,
    PRIMARY KEY (day, status, trigger_type)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE history_days;
