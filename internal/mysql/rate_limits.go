package mysql

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/account"
)

// countHit adds one to a bucket. A row of an earlier window is taken over; one
// of a later window, which a server whose clock is ahead has opened, is added
// to. Assignments are evaluated from left to right, so ends_at comes last, and
// LAST_INSERT_ID hands the sum back with the statement's own answer.
const countHit = `INSERT INTO rate_limits (bucket, ends_at, hits) VALUES (?, ?, 1)
	ON DUPLICATE KEY UPDATE
		hits    = LAST_INSERT_ID(IF(ends_at >= VALUES(ends_at), hits + 1, 1)),
		ends_at = GREATEST(ends_at, VALUES(ends_at))`

// Of the requests that open a window, one in sweepEvery removes up to sweepMost
// rows whose windows have ended: far more than are added, so that the table
// holds little beyond the present windows.
const (
	sweepEvery = 50
	sweepMost  = 500
)

// Count adds one to a bucket in the window that ends at the time, and returns
// what it then holds.
func (s *Accounts) Count(ctx context.Context, bucket account.Bucket, now, ends time.Time) (int, error) {
	var hits int
	err := standAlone(ctx, func() error {
		sum, err := outcome(ctx, s.db, func(result sql.Result) (int64, error) {
			rows, err := result.RowsAffected()
			if err != nil || rows == 1 { // inserted; an update counts as two
				return rows, err
			}
			return result.LastInsertId()
		}, countHit, bucket[:], utc(ends))
		hits = int(sum)
		return err
	})
	if err != nil {
		return 0, translate(err)
	}
	if hits == 1 && rand.IntN(sweepEvery) == 0 {
		// The next one sweeps if this one cannot.
		_, _ = s.sweepCounts(ctx, now)
	}
	return hits, nil
}

// sweepCounts removes rows whose windows have ended.
func (s *Accounts) sweepCounts(ctx context.Context, now time.Time) (int64, error) {
	return exec(ctx, s.db, dialect.Delete("rate_limits").Where(goqu.C("ends_at").Lt(utc(now))).Limit(sweepMost))
}

// Discount takes one away again from buckets of the window.
func (s *Accounts) Discount(ctx context.Context, buckets []account.Bucket, ends time.Time) error {
	args := []any{utc(ends)}
	for _, b := range buckets {
		args = append(args, b[:])
	}
	return translate(standAlone(ctx, func() error {
		_, err := execSQL(ctx, s.db, "UPDATE rate_limits SET hits = hits - 1 WHERE ends_at = ? AND hits > 0 AND bucket IN ("+placeholders(len(buckets))+")", args...)
		return err
	}))
}

// standAlone runs a statement that stands alone anew where it lost to another.
func standAlone(ctx context.Context, run func() error) error {
	for try := 1; ; try++ {
		err := run()
		if err == nil || try == txTries || !isRetryable(err) || ctx.Err() != nil {
			return err
		}
	}
}
