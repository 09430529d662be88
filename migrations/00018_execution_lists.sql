-- +goose Up
-- ix_executions_kind serves the history by status, by trigger and by both: what
-- is not asked for is asked for by all its values, and the few ranges are
-- merged. ix_executions_updated serves the stream of what has changed, and
-- tells what is not due yet without its row.
ALTER TABLE executions
    ADD KEY ix_executions_kind (status, trigger_type, scheduled_for),
    ADD KEY ix_executions_updated (updated_at, id, scheduled_for);

-- +goose Down
ALTER TABLE executions
    DROP KEY ix_executions_kind,
    DROP KEY ix_executions_updated;
