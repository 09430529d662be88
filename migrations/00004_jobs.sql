-- +goose Up
-- No foreign keys anywhere: checking one takes a shared lock on the parent
-- row, and a claim must not wait for whoever edits a job. Rows that others
-- point to are never removed while something points to them.
--
-- name_key is NULL once the job is deleted, so that its name is free at once.
-- next_run_at is NULL when nothing is scheduled: inactive, failed, deleted, or
-- the category is inactive. version moves with what people change, never with
-- claims or runs.
CREATE TABLE jobs (
    id             BIGINT        NOT NULL AUTO_INCREMENT,
    name           VARCHAR(100)  NOT NULL,
    name_key       VARCHAR(100)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    description    VARCHAR(1000) NOT NULL,
    cron_pattern   VARCHAR(100)  NOT NULL,
    timezone       VARCHAR(64)   NOT NULL,
    category_id    BIGINT        NOT NULL,
    method         ENUM('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS') NOT NULL,
    misfire_policy ENUM('fire_once', 'skip', 'fire_all') NOT NULL DEFAULT 'fire_once',
    status         ENUM('active', 'inactive', 'failed') NOT NULL,
    status_reason  VARCHAR(500)  NULL,
    lane           ENUM('fast', 'slow') NOT NULL DEFAULT 'fast',
    revision       INT           NOT NULL DEFAULT 1,
    version        INT           NOT NULL DEFAULT 1,
    next_run_at    DATETIME(3)   NULL,
    created_by     BIGINT        NULL,
    created_at     DATETIME(3)   NOT NULL,
    updated_at     DATETIME(3)   NOT NULL,
    deleted_at     DATETIME(3)   NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uq_jobs_name_key (name_key),
    KEY ix_jobs_next_run (next_run_at),
    KEY ix_jobs_category (category_id, status, next_run_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE jobs;
