-- +goose Up
-- Whether the job is deleted, with its statistics: lists by the last run are
-- read from them alone.
ALTER TABLE job_stats ADD COLUMN deleted BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE job_stats DROP COLUMN deleted;
