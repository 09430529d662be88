-- +goose Up
-- sealed holds the secret values of a request in one piece, bound to its row;
-- key_version is the data key's that closes it. Rows from before it hold theirs
-- in the clear until a rotation seals them. secret_names is a JSON array of the
-- workspace's secrets that the request names.
ALTER TABLE job_requests
    ADD COLUMN sealed MEDIUMBLOB NULL,
    ADD COLUMN key_version INT NULL,
    ADD COLUMN secret_names TEXT NULL;

-- +goose Down
ALTER TABLE job_requests
    DROP COLUMN secret_names,
    DROP COLUMN key_version,
    DROP COLUMN sealed;
