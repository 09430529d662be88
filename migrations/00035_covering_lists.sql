-- +goose Up
-- The indexes of the history's lists also hold what lists are filtered by, so
-- that an execution that does not belong to a page is passed over without its
-- row being read: lists of a category, of a trigger, and of a name. The id
-- stands before what was added, for it is part of the order.
ALTER TABLE executions ADD KEY ix_executions_kind_job (status, trigger_type, scheduled_for, id, job_id);
ALTER TABLE executions DROP KEY ix_executions_kind;
ALTER TABLE executions RENAME KEY ix_executions_kind_job TO ix_executions_kind;
ALTER TABLE executions ADD KEY ix_executions_scheduled_job (scheduled_for, id, job_id);
ALTER TABLE executions DROP KEY ix_executions_scheduled;
ALTER TABLE executions RENAME KEY ix_executions_scheduled_job TO ix_executions_scheduled;
ALTER TABLE executions ADD KEY ix_executions_job_scheduled_trigger (job_id, scheduled_for, id, trigger_type);
ALTER TABLE executions DROP KEY ix_executions_job_scheduled;
ALTER TABLE executions RENAME KEY ix_executions_job_scheduled_trigger TO ix_executions_job_scheduled;
ALTER TABLE executions ADD KEY ix_executions_job_status_trigger (job_id, status, scheduled_for, id, trigger_type);
ALTER TABLE executions DROP KEY ix_executions_job_status;
ALTER TABLE executions RENAME KEY ix_executions_job_status_trigger TO ix_executions_job_status;

-- +goose Down
ALTER TABLE executions ADD KEY ix_executions_kind_alone (status, trigger_type, scheduled_for);
ALTER TABLE executions DROP KEY ix_executions_kind;
ALTER TABLE executions RENAME KEY ix_executions_kind_alone TO ix_executions_kind;
ALTER TABLE executions ADD KEY ix_executions_scheduled_alone (scheduled_for);
ALTER TABLE executions DROP KEY ix_executions_scheduled;
ALTER TABLE executions RENAME KEY ix_executions_scheduled_alone TO ix_executions_scheduled;
ALTER TABLE executions ADD KEY ix_executions_job_scheduled_alone (job_id, scheduled_for);
ALTER TABLE executions DROP KEY ix_executions_job_scheduled;
ALTER TABLE executions RENAME KEY ix_executions_job_scheduled_alone TO ix_executions_job_scheduled;
ALTER TABLE executions ADD KEY ix_executions_job_status_alone (job_id, status, scheduled_for);
ALTER TABLE executions DROP KEY ix_executions_job_status;
ALTER TABLE executions RENAME KEY ix_executions_job_status_alone TO ix_executions_job_status;
