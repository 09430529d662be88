-- +goose Up
-- Who changed what: written in the transaction of the change, never changed
-- afterwards, and removed by age alone. user_id is NULL where nobody was signed
-- in. The texts are JSON objects of the fields that a change touched; of a
-- secret they hold the mask.
CREATE TABLE audit_log (
    id           BIGINT       NOT NULL AUTO_INCREMENT,
    at           DATETIME(3)  NOT NULL,
    user_id      BIGINT       NULL,
    token_id     BIGINT       NULL,
    session_id   BIGINT       NULL,
    request_id   VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    address      VARCHAR(45)  NOT NULL,
    action       VARCHAR(40)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    entity       VARCHAR(20)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    entity_id    BIGINT       NULL,
    entity_name  VARCHAR(300) NOT NULL,
    before_json  MEDIUMTEXT   NULL,
    after_json   MEDIUMTEXT   NULL,
    PRIMARY KEY (id),
    KEY ix_audit_log_at (at, id),
    KEY ix_audit_log_user (user_id, at, id),
    KEY ix_audit_log_action (action, at, id),
    KEY ix_audit_log_entity (entity, at, id),
    KEY ix_audit_log_entity_id (entity_id, entity, at, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE audit_log;
