-- +goose Up
-- By which lists of executions tell their jobs' category: a row of jobs is wide,
-- and they look up thousands.
ALTER TABLE jobs ADD KEY ix_jobs_category_of (id, category_id);

-- +goose Down
ALTER TABLE jobs DROP KEY ix_jobs_category_of;
