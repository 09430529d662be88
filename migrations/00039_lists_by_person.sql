-- +goose Up
-- The indexes of the audit log's lists by several filters: of what somebody did
-- of a kind, and beside the others what else lists are filtered by, so that no
-- row is read to be passed over. Sessions are listed in the order of an index, too.
ALTER TABLE audit_log ADD KEY ix_audit_log_user_action (user_id, action, at, id, entity, entity_id);
ALTER TABLE audit_log ADD KEY ix_audit_log_user_entity (user_id, entity, at, id);
ALTER TABLE audit_log ADD KEY ix_audit_log_action_of (action, at, id, entity);
ALTER TABLE audit_log DROP KEY ix_audit_log_action;
ALTER TABLE audit_log RENAME KEY ix_audit_log_action_of TO ix_audit_log_action;
ALTER TABLE audit_log ADD KEY ix_audit_log_entity_id_by (entity_id, entity, at, id, user_id, action);
ALTER TABLE audit_log DROP KEY ix_audit_log_entity_id;
ALTER TABLE audit_log RENAME KEY ix_audit_log_entity_id_by TO ix_audit_log_entity_id;
ALTER TABLE sessions ADD KEY ix_sessions_user_created (user_id, ended_at, created_at, id, expires_at);
ALTER TABLE sessions DROP KEY ix_sessions_user;
ALTER TABLE sessions RENAME KEY ix_sessions_user_created TO ix_sessions_user;

-- +goose Down
ALTER TABLE sessions ADD KEY ix_sessions_user_alone (user_id, ended_at);
ALTER TABLE sessions DROP KEY ix_sessions_user;
ALTER TABLE sessions RENAME KEY ix_sessions_user_alone TO ix_sessions_user;
ALTER TABLE audit_log ADD KEY ix_audit_log_entity_id_alone (entity_id, entity, at, id);
ALTER TABLE audit_log DROP KEY ix_audit_log_entity_id;
ALTER TABLE audit_log RENAME KEY ix_audit_log_entity_id_alone TO ix_audit_log_entity_id;
ALTER TABLE audit_log ADD KEY ix_audit_log_action_alone (action, at, id);
ALTER TABLE audit_log DROP KEY ix_audit_log_action;
ALTER TABLE audit_log RENAME KEY ix_audit_log_action_alone TO ix_audit_log_action;
ALTER TABLE audit_log DROP KEY ix_audit_log_user_entity;
ALTER TABLE audit_log DROP KEY ix_audit_log_user_action;
