-- +goose Up
-- Finds the few requests that name a secret of the workspace. By itself, for
-- TiDB does not index a column in the statement that adds it.
ALTER TABLE job_requests ADD KEY ix_job_requests_secret_names (secret_names(100));

-- +goose Down
ALTER TABLE job_requests DROP KEY ix_job_requests_secret_names;
