package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// ChangeSigningKeys stores what decide makes of a job's signing keys. The job's
// row is what changes of its keys agree by, and is locked first.
func (s *Jobs) ChangeSigningKeys(ctx context.Context, id int64, now time.Time, decide func(current []job.SigningKey) []job.SigningKey) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		names, err := queryAllSQL(ctx, tx, scanInto[string], "SELECT name FROM jobs WHERE id = ? AND name_key IS NOT NULL FOR UPDATE", id)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return errNoJob
		}
		stored, err := queryAllSQL(ctx, tx, scanInto[[]byte], "SELECT sealed FROM signing_keys WHERE job_id = ? FOR UPDATE", id)
		if err != nil {
			return err
		}
		var before []job.SigningKey
		if len(stored) > 0 {
			// Keys that cannot be opened can still be replaced, or go.
			if before, err = openSigningKeys(ctx, s.ring, tx, id, stored[0]); err != nil && !errors.Is(err, secret.ErrUnreadable) {
				return err
			}
		}
		after := decide(before)
		switch {
		case len(after) == 0 && len(stored) == 0:
			return nil
		case len(after) == 0:
			_, err = exec(ctx, tx, dialect.Delete("signing_keys").Where(goqu.C("job_id").Eq(id)))
		default:
			err = s.putSigningKeys(ctx, tx, id, after, now)
		}
		if err != nil {
			return err
		}
		if _, err := execSQL(ctx, tx, "UPDATE jobs SET version = version + 1, updated_at = ? WHERE id = ?", utc(now), id); err != nil {
			return err
		}
		if err := raise(ctx, tx, jobsChanged); err != nil {
			return err
		}
		entry := audit.Entry{Entity: audit.Job, EntityID: id, EntityName: names[0]}
		entry.Before, entry.After = audit.Changed(auditedKeys(before), auditedKeys(after))
		return record(ctx, tx, entry)
	})
}

func auditedKeys(keys []job.SigningKey) []audit.Field {
	return []audit.Field{{Name: "signingKeys", Value: len(keys)}}
}

func (s *Jobs) putSigningKeys(ctx context.Context, tx *sql.Tx, id int64, keys []job.SigningKey, now time.Time) error {
	plain, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	sealed, version, err := newSealer(s.ring, tx, now).seal(ctx, signingPlace(id), plain)
	if err != nil {
		return err
	}
	var until any
	for _, key := range keys {
		if key.Until != nil {
			until = utc(*key.Until)
		}
	}
	_, err = execSQL(ctx, tx, `INSERT INTO signing_keys (job_id, sealed, key_version, previous_until, updated_at) VALUES (?, ?, ?, ?, ?)
		ON DUPLICATE KEY UPDATE sealed = VALUES(sealed), key_version = VALUES(key_version),
		previous_until = VALUES(previous_until), updated_at = VALUES(updated_at)`, id, sealed, version, until, utc(now))
	return err
}

// forgetSigningKeys removes the keys of jobs that are deleted, whose rows the
// transaction holds. Nothing signs with them any more: what waited is cancelled,
// what runs has them already, and its retries end.
func forgetSigningKeys(ctx context.Context, tx *sql.Tx, jobIDs []int64) error {
	args := ids(jobIDs, func(id int64) int64 { return id })
	_, err := execSQL(ctx, tx, "DELETE FROM signing_keys WHERE job_id IN ("+placeholders(len(args))+")", args...)
	return err
}

func readSigningKeys(plain []byte) (keys []job.SigningKey, err error) {
	if err := json.Unmarshal(plain, &keys); err != nil {
		return nil, fmt.Errorf("stored signing keys: %w", err)
	}
	return keys, nil
}

func signingPlace(jobID int64) secret.Place {
	return secret.Place{Table: "signing_keys", Row: strconv.FormatInt(jobID, 10), Field: "sealed"}
}

// openSigningKeys opens what signing_keys holds of a job.
func openSigningKeys(ctx context.Context, ring *secret.Ring, q querier, jobID int64, sealed []byte) ([]job.SigningKey, error) {
	plain, err := ring.Open(ctx, storedKeys(q), signingPlace(jobID), sealed)
	if err != nil {
		return nil, err
	}
	return readSigningKeys(plain)
}

// openSigners gives works the keys that sign them. A work whose keys cannot be
// opened is set aside: unsigned, its target would refuse it.
func (s *Executions) openSigners(ctx context.Context, works []executor.Work) error {
	for i := range works {
		w := &works[i]
		if w.Broken != nil || w.SealedKeys == nil {
			continue
		}
		var err error
		if w.SigningKeys, err = openSigningKeys(ctx, s.ring, s.db, w.JobID, w.SealedKeys); err != nil && isDatabase(err) {
			return err
		}
		w.Broken = err
	}
	return nil
}
