-- +goose Up
-- What lists of jobs are read by, at any size: each order has an index that
-- begins with it and also holds what lists filter by, so that pages and totals
-- are read from the index alone.
--
-- search_text is the name and, behind a byte that no text holds (0xFF), the
-- description, both in lower case and as bytes, which are searched several
-- times faster than text. It is NULL where it would be too long for an index;
-- such jobs are searched by themselves.
ALTER TABLE jobs ADD COLUMN search_text VARBINARY(3000) NULL;
UPDATE jobs SET search_text = CONCAT(CAST(LOWER(name) AS BINARY), 0xFF, CAST(LOWER(description) AS BINARY))
    WHERE LENGTH(name) + LENGTH(LOWER(description)) < 3000;
ALTER TABLE jobs
    ADD KEY ix_jobs_live (deleted_at, id, status, category_id, method),
    ADD KEY ix_jobs_status (deleted_at, status, id, category_id, method),
    ADD KEY ix_jobs_created (deleted_at, created_at, id, status, category_id, method),
    ADD KEY ix_jobs_updated (deleted_at, updated_at, id, status, category_id, method),
    ADD KEY ix_jobs_category_name (category_id, name_key),
    ADD KEY ix_jobs_search (deleted_at, search_text, status, category_id, method);
ALTER TABLE job_stats ADD KEY ix_job_stats_last_run (last_run_at);

-- +goose Down
ALTER TABLE job_stats DROP KEY ix_job_stats_last_run;
ALTER TABLE jobs
    DROP KEY ix_jobs_live,
    DROP KEY ix_jobs_status,
    DROP KEY ix_jobs_created,
    DROP KEY ix_jobs_updated,
    DROP KEY ix_jobs_category_name,
    DROP KEY ix_jobs_search;
ALTER TABLE jobs DROP COLUMN search_text;
