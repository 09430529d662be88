-- +goose Up
-- The same counts by hour, made with those of their day: of the day that a page
-- lies in, all but one hour is skipped as well. Days that were counted before
-- have none until they are counted again.
CREATE TABLE history_hours (
    hour         DATETIME NOT NULL,
    status       ENUM('pending', 'queued', 'running', 'success', 'failed', 'skipped', 'missed', 'cancelled', 'abandoned') NOT NULL,
    trigger_type ENUM('schedule', 'manual', 'replay') NOT NULL,
    executions   BIGINT   NOT NULL,
    PRIMARY KEY (hour, status, trigger_type)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE history_hours;
