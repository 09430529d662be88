-- +goose Up
-- What a job's runs add up to. Kept off the jobs row, which would otherwise be
-- written, and therefore locked against the claim, by every run. pace is the
-- streak of slow (positive) or quick (negative) calls, which decides the lane.
CREATE TABLE job_stats (
    job_id               BIGINT      NOT NULL,
    total_executions     BIGINT      NOT NULL DEFAULT 0,
    success_count        BIGINT      NOT NULL DEFAULT 0,
    failed_count         BIGINT      NOT NULL DEFAULT 0,
    consecutive_failures INT         NOT NULL DEFAULT 0,
    first_failure_at     DATETIME(3) NULL,
    last_failure_at      DATETIME(3) NULL,
    last_execution_id    BIGINT      NULL,
    last_run_at          DATETIME(3) NULL,
    pace                 INT         NOT NULL DEFAULT 0,
    last_status          ENUM('success', 'failed', 'abandoned') NULL,
    PRIMARY KEY (job_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE job_stats;
