package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// Rotation seals every stored secret under a fresh data key. It may be stopped
// anywhere and run again; everything else may go on meanwhile.
type Rotation struct {
	db   *sql.DB
	ring *secret.Ring
}

// NewRotation makes a rotation on a pool that Open made.
func NewRotation(db *sql.DB, ring *secret.Ring) *Rotation { return &Rotation{db: db, ring: ring} }

// Rotated is what a rotation did.
type Rotated struct {
	Version    int // of the data key that seals from now on
	Resealed   int // rows that are sealed anew, or for the first time
	Unreadable int // rows that could not be opened; they stay as they are
}

const (
	// rotationBatch is how many rows one transaction of a rotation locks.
	rotationBatch = 200
	// retiredFor is how long a retired data key is kept: for an instance that
	// read a value just before it was sealed anew.
	retiredFor = 24 * time.Hour
	// freshKey is how old the newest data key may be for a rotation to go on
	// under it, because an earlier one was stopped.
	freshKey = time.Hour
)

// sealedTable is a table whose rows hold a sealed value in the column sealed,
// and its key's version in key_version.
type sealedTable struct {
	name string
	keys []string // the columns of the primary key, in its order
}

// place is where a row's value belongs, given its key.
func (t sealedTable) place(key []string) secret.Place {
	return secret.Place{Table: t.name, Row: strings.Join(key, "/"), Field: "sealed"}
}

// sealedTables are all tables that hold sealed values.
var sealedTables = []sealedTable{
	{"job_requests", []string{"job_id", "revision"}},
	{"secrets", []string{"name"}},
	{"signing_keys", []string{"job_id"}},
}

// Run makes a data key, seals everything under it, and retires those before it.
// Where some rows cannot be opened, their keys are not retired.
func (r *Rotation) Run(ctx context.Context, now time.Time) (Rotated, error) {
	var done Rotated
	err := inTx(ctx, r.db, func(tx *sql.Tx) error {
		key, err := r.target(ctx, tx, now)
		done.Version = key.Version
		return err
	})
	if err != nil {
		return done, fmt.Errorf("make a data key: %w", err)
	}
	for _, table := range sealedTables {
		if err := r.reseal(ctx, table, now, &done); err != nil {
			return done, fmt.Errorf("%s: %w", table.name, err)
		}
	}
	if err := r.sealPlain(ctx, now, &done); err != nil {
		return done, fmt.Errorf("requests in the clear: %w", err)
	}
	return done, r.retire(ctx, now, done.Version)
}

// target is the data key to seal under: a fresh one, unless an earlier rotation
// has just made it and was stopped. One that another master key has wrapped does
// not do: it may be what the rotation shall get away from.
func (r *Rotation) target(ctx context.Context, tx *sql.Tx, now time.Time) (secret.DataKey, error) {
	newest, err := queryAllSQL(ctx, tx, scanDataKey, `SELECT version, provider, wrapped FROM data_keys
		WHERE retired_at IS NULL AND created_at > ? ORDER BY version DESC LIMIT 1 FOR UPDATE`, utc(now.Add(-freshKey)))
	if err != nil {
		return secret.DataKey{}, err
	}
	older, err := queryAllSQL(ctx, tx, scanInto[int], "SELECT COUNT(*) FROM data_keys WHERE retired_at IS NULL")
	if err != nil {
		return secret.DataKey{}, err
	}
	if len(newest) > 0 && older[0] > 1 && r.ring.Wraps(newest[0]) {
		return newest[0], nil
	}
	return addKey(ctx, tx, r.ring, now)
}

// sealedRow is a row of a sealedTable.
type sealedRow struct {
	key    []string
	sealed []byte
}

// reseal walks a table by its key and seals what other versions have sealed.
func (r *Rotation) reseal(ctx context.Context, table sealedTable, now time.Time, done *Rotated) error {
	var after []string
	for {
		rows, err := r.next(ctx, table, after, done.Version)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].key
		resealed, unreadable := 0, 0
		err = inTx(ctx, r.db, func(tx *sql.Tx) error {
			resealed, unreadable = 0, 0
			seal := newSealer(r.ring, tx, now)
			for _, row := range rows {
				value, err := r.ring.Open(ctx, storedKeys(tx), table.place(row.key), row.sealed)
				if errors.Is(err, secret.ErrUnreadable) {
					slog.ErrorContext(ctx, "a secret cannot be opened; it stays as it is", "table", table.name, "key", strings.Join(row.key, "/"), "err", err)
					unreadable++
					continue
				}
				if err != nil {
					return err
				}
				sealed, version, err := seal.seal(ctx, table.place(row.key), value)
				if err != nil {
					return err
				}
				// Whoever has changed the row meanwhile has sealed it under the new key.
				args := append([]any{sealed, version}, anyOf(row.key)...)
				n, err := execSQL(ctx, tx, "UPDATE "+table.name+" SET sealed = ?, key_version = ? WHERE "+
					strings.Join(table.keys, " = ? AND ")+" = ? AND sealed = ?", append(args, row.sealed)...)
				if err != nil {
					return err
				}
				resealed += int(n)
			}
			return nil
		})
		if err != nil {
			return err
		}
		done.Resealed += resealed
		done.Unreadable += unreadable
	}
}

// next reads the rows behind a key that another version has sealed.
func (r *Rotation) next(ctx context.Context, table sealedTable, after []string, version int) ([]sealedRow, error) {
	columns := strings.Join(table.keys, ", ")
	where, args := "key_version <> ?", []any{version}
	if after != nil {
		where += " AND (" + columns + ") > (" + placeholders(len(table.keys)) + ")"
		args = append(args, anyOf(after)...)
	}
	return queryAllSQL(ctx, r.db, func(rows *sql.Rows) (sealedRow, error) {
		row := sealedRow{key: make([]string, len(table.keys))}
		targets := make([]any, 0, len(table.keys)+1)
		for i := range row.key {
			targets = append(targets, &row.key[i])
		}
		err := rows.Scan(append(targets, &row.sealed)...)
		return row, err
	}, "SELECT "+columns+", sealed FROM "+table.name+" WHERE "+where+" ORDER BY "+columns+fmt.Sprintf(" LIMIT %d", rotationBatch), args...)
}

func anyOf(texts []string) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = text
	}
	return all
}

// plainRequest is a request that may hold secrets in the clear: those from
// before secrets were sealed.
type plainRequest struct {
	jobID    int64
	revision int
	request  job.Request
	broken   error
}

// sealPlain seals the secrets of requests that hold them in the clear.
func (r *Rotation) sealPlain(ctx context.Context, now time.Time, done *Rotated) error {
	var jobID int64
	var revision int
	for {
		rows, err := queryAllSQL(ctx, r.db, func(rows *sql.Rows) (p plainRequest, err error) {
			var row requestRow
			if err := rows.Scan(append([]any{&p.jobID, &p.revision}, row.targets()...)...); err != nil {
				return p, err
			}
			p.request, p.broken = row.request()
			return p, nil
		}, "SELECT r.job_id, r.revision, "+requestColumnsOfR+` FROM job_requests r WHERE (r.job_id, r.revision) > (?, ?) AND r.sealed IS NULL
			AND (r.body_secret = 1 AND r.body IS NOT NULL OR r.secret_headers LIKE '%"values"%')
			ORDER BY r.job_id, r.revision`+fmt.Sprintf(" LIMIT %d", rotationBatch), jobID, revision)
		if err != nil || len(rows) == 0 {
			return err
		}
		last := rows[len(rows)-1]
		jobID, revision = last.jobID, last.revision
		resealed := 0
		err = inTx(ctx, r.db, func(tx *sql.Tx) error {
			resealed = 0
			seal := newSealer(r.ring, tx, now)
			for _, p := range rows {
				if p.broken != nil {
					continue // not ours to mend
				}
				columns, err := secretColumns(ctx, seal, p.jobID, p.revision, p.request)
				if err != nil {
					return err
				}
				if columns["sealed"] == nil {
					continue // masks alone
				}
				n, err := execSQL(ctx, tx, `UPDATE job_requests SET secret_headers = ?, body = ?, sealed = ?, key_version = ?
					WHERE job_id = ? AND revision = ? AND sealed IS NULL`,
					columns["secret_headers"], columns["body"], columns["sealed"], columns["key_version"], p.jobID, p.revision)
				if err != nil {
					return err
				}
				resealed += int(n)
			}
			return nil
		})
		if err != nil {
			return err
		}
		done.Resealed += resealed
	}
}

// retire takes older data keys out of use where nothing is sealed under them any
// more, and removes those that have been so for a day. Locking a key waits for
// whoever still seals under it.
func (r *Rotation) retire(ctx context.Context, now time.Time, newest int) error {
	return inTx(ctx, r.db, func(tx *sql.Tx) error {
		older, err := queryAllSQL(ctx, tx, scanInto[int], "SELECT version FROM data_keys WHERE version < ? ORDER BY version FOR UPDATE", newest)
		if err != nil {
			return err
		}
		for _, version := range older {
			inUse := false
			for _, table := range sealedTables {
				found, err := queryAllSQL(ctx, tx, scanInto[int], "SELECT 1 FROM "+table.name+" WHERE key_version = ? LIMIT 1", version)
				if err != nil {
					return err
				}
				inUse = inUse || len(found) > 0
			}
			if inUse {
				continue
			}
			if _, err := execSQL(ctx, tx, "UPDATE data_keys SET retired_at = ? WHERE version = ? AND retired_at IS NULL", utc(now), version); err != nil {
				return err
			}
			if _, err := execSQL(ctx, tx, "DELETE FROM data_keys WHERE version = ? AND retired_at < ?", version, utc(now.Add(-retiredFor))); err != nil {
				return err
			}
		}
		return nil
	})
}
