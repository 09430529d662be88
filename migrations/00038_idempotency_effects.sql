-- +goose Up
-- What a request has changed is noted in the transaction of the change, so that
-- it is not done again where whoever served it was lost before the reply was
-- kept. The claim tells the attempts at one request apart: one that took too
-- long, and was taken for lost, changes nothing any more.
ALTER TABLE idempotency_keys
    ADD COLUMN claim  BINARY(16) NULL,
    ADD COLUMN effect MEDIUMBLOB NULL;

-- +goose Down
ALTER TABLE idempotency_keys
    DROP COLUMN claim,
    DROP COLUMN effect;
