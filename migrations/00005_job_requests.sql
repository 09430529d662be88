-- +goose Up
-- The request that a job makes and the rules of its retries, immutable: an
-- edit adds a revision, and an execution names the revision it was made with.
CREATE TABLE job_requests (
    job_id         BIGINT        NOT NULL,
    revision       INT           NOT NULL,
    method         ENUM('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS') NOT NULL,
    url            VARCHAR(2048) NOT NULL,
    headers        MEDIUMTEXT    NULL,
    secret_headers MEDIUMTEXT    NULL,
    body           MEDIUMBLOB    NULL,
    body_secret    TINYINT(1)    NOT NULL DEFAULT 0,
    timeout_ms     INT           NOT NULL,
    max_redirects  TINYINT       NOT NULL,
    retry_attempts TINYINT       NOT NULL,
    retry_delay_ms INT           NOT NULL,
    retry_backoff  ENUM('fixed', 'exponential') NOT NULL,
    overlap_policy ENUM('allow', 'skip') NOT NULL,
    created_at     DATETIME(3)   NOT NULL,
    PRIMARY KEY (job_id, revision)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE job_requests;
