-- +goose Up
-- Every call that was made, append-only. late marks an answer that came after
-- its execution had been given to another worker; it changed nothing else, and
-- stands beside the record of the worker's loss, under the same fence.
-- Phase durations are microseconds, NULL where the phase did not happen.
CREATE TABLE attempts (
    execution_id       BIGINT        NOT NULL,
    attempt            SMALLINT      NOT NULL,
    fence              INT           NOT NULL,
    started_at         DATETIME(3)   NOT NULL,
    ended_at           DATETIME(3)   NOT NULL,
    late               TINYINT(1)    NOT NULL DEFAULT 0,
    response_status    SMALLINT      NULL,
    response_headers   MEDIUMTEXT    NULL,
    response_body      MEDIUMBLOB    NULL,
    response_truncated TINYINT(1)    NOT NULL DEFAULT 0,
    error_kind         VARCHAR(20)   NULL,
    error_message      VARCHAR(1000) NULL,
    dns_us             INT           NULL,
    connect_us         INT           NULL,
    tls_us             INT           NULL,
    ttfb_us            INT           NULL,
    total_us           INT           NULL,
    PRIMARY KEY (execution_id, attempt, fence, late)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE attempts;
