-- +goose Up
-- One row for every due instant, manual run and replay. A pending row is the
-- outbox between the database and the queue.
--
-- occurrence_at is set for scheduled rows alone: its unique key is what makes
-- an instant recorded once. slot_job_id is set while a run of a job that must
-- not overlap is under way: its unique key is the lock. fence counts the
-- starts; only the holder of the present fence may finish the row.
CREATE TABLE executions (
    id              BIGINT       NOT NULL AUTO_INCREMENT,
    job_id          BIGINT       NOT NULL,
    trigger_type    ENUM('schedule', 'manual', 'replay') NOT NULL,
    scheduled_for   DATETIME(3)  NOT NULL,
    occurrence_at   DATETIME(3)  NULL,
    status          ENUM('pending', 'queued', 'running', 'success', 'failed', 'skipped', 'missed', 'cancelled', 'abandoned') NOT NULL,
    reason          VARCHAR(500) NULL,
    lane            ENUM('fast', 'slow') NOT NULL DEFAULT 'fast',
    revision        INT          NOT NULL,
    attempt         SMALLINT     NOT NULL DEFAULT 1,
    fence           INT          NOT NULL DEFAULT 0,
    claim_token     BINARY(16)   NULL,
    slot_job_id     BIGINT       NULL,
    not_before      DATETIME(3)  NOT NULL,
    resend_after    DATETIME(3)  NULL,
    resends         SMALLINT     NOT NULL DEFAULT 0,
    lease_until     DATETIME(3)  NULL,
    started_at      DATETIME(3)  NULL,
    ended_at        DATETIME(3)  NULL,
    response_status SMALLINT     NULL,
    error_kind      VARCHAR(20)  NULL,
    error_message   VARCHAR(1000) NULL,
    missed_until    DATETIME(3)  NULL,
    missed_count    INT          NULL,
    replay_of       BIGINT       NULL,
    requested_by    BIGINT       NULL,
    created_at      DATETIME(3)  NOT NULL,
    updated_at      DATETIME(3)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uq_executions_occurrence (job_id, occurrence_at),
    UNIQUE KEY uq_executions_slot (slot_job_id),
    KEY ix_executions_waiting (status, resend_after),
    KEY ix_executions_job_status (job_id, status),
    KEY ix_executions_job_scheduled (job_id, scheduled_for),
    KEY ix_executions_scheduled (scheduled_for)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE executions;
