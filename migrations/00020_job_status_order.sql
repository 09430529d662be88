-- +goose Up
-- The same index with the instant behind it, so that a job's executions of one
-- status are counted and listed in order from it alone: eight bytes more an
-- entry, and no further index for an insert to write.
ALTER TABLE executions ADD KEY ix_executions_job_status_at (job_id, status, scheduled_for);
ALTER TABLE executions DROP KEY ix_executions_job_status;
ALTER TABLE executions RENAME KEY ix_executions_job_status_at TO ix_executions_job_status;

-- +goose Down
ALTER TABLE executions ADD KEY ix_executions_job_status_only (job_id, status);
ALTER TABLE executions DROP KEY ix_executions_job_status;
ALTER TABLE executions RENAME KEY ix_executions_job_status_only TO ix_executions_job_status;
