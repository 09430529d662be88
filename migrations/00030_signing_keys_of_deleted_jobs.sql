-- +goose Up
-- Keys go with their job from now on; these are of jobs that went before.
DELETE FROM signing_keys WHERE job_id IN (SELECT id FROM jobs WHERE deleted_at IS NOT NULL);

-- +goose Down
SELECT 1;
