-- +goose Up
-- When the status of a category last changed: the jobs follow later, but their
-- instants count from there, or up to there. NULL, where it was never written,
-- is as old as the category's last change.
ALTER TABLE categories ADD COLUMN status_at DATETIME(3) NULL AFTER status;
UPDATE categories SET status_at = updated_at;

-- +goose Down
ALTER TABLE categories DROP COLUMN status_at;
