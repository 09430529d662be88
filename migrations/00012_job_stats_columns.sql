-- +goose Up
-- purged_before is the hour from which the job's history is whole: earlier
-- executions may have been removed, and their summaries stand for them.
-- failing_at is when a job failed last that has not succeeded since,
-- so that the failing jobs are found without looking at the others.
ALTER TABLE job_stats ADD COLUMN purged_before DATETIME(3) NULL;
ALTER TABLE job_stats ADD COLUMN failing_at DATETIME(3) AS (IF(consecutive_failures > 0, last_failure_at, NULL)) VIRTUAL;
CREATE INDEX ix_job_stats_failing ON job_stats (failing_at);

-- +goose Down
DROP INDEX ix_job_stats_failing ON job_stats;
ALTER TABLE job_stats DROP COLUMN failing_at;
ALTER TABLE job_stats DROP COLUMN purged_before;
