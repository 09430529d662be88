-- +goose Up
-- What lists of jobs in the order of their runs are read by. A job has a row of
-- statistics from its beginning, and the row says when the job is deleted, so
-- that those lists are walked and counted on one index of it; jobs that are not
-- scheduled are told from deleted ones by the index of the next run.
INSERT INTO job_stats (job_id) SELECT j.id FROM jobs j LEFT JOIN job_stats s ON s.job_id = j.id WHERE s.job_id IS NULL
    ON DUPLICATE KEY UPDATE job_stats.job_id = VALUES(job_id); -- a first run may end meanwhile
UPDATE job_stats SET deleted = TRUE WHERE job_id IN (SELECT id FROM jobs WHERE deleted_at IS NOT NULL);
ALTER TABLE job_stats ADD KEY ix_job_stats_last_run_of (deleted, last_run_at, job_id);
ALTER TABLE job_stats DROP KEY ix_job_stats_last_run;
ALTER TABLE job_stats RENAME KEY ix_job_stats_last_run_of TO ix_job_stats_last_run;
ALTER TABLE jobs ADD KEY ix_jobs_next_run_of (next_run_at, id, deleted_at);
ALTER TABLE jobs DROP KEY ix_jobs_next_run;
ALTER TABLE jobs RENAME KEY ix_jobs_next_run_of TO ix_jobs_next_run;

-- +goose Down
ALTER TABLE jobs ADD KEY ix_jobs_next_run_alone (next_run_at);
ALTER TABLE jobs DROP KEY ix_jobs_next_run;
ALTER TABLE jobs RENAME KEY ix_jobs_next_run_alone TO ix_jobs_next_run;
ALTER TABLE job_stats ADD KEY ix_job_stats_last_run_alone (last_run_at);
ALTER TABLE job_stats DROP KEY ix_job_stats_last_run;
ALTER TABLE job_stats RENAME KEY ix_job_stats_last_run_alone TO ix_job_stats_last_run;
