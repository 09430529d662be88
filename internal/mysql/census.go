package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
)

// census counts jobs by category, status and method, and keeps what it has counted for
// as long as it is true: counting reads an entry of an index for every job,
// and front ends ask for it all the time.
//
// What it keeps bears the generation that was read before it was counted, and
// is used only where the stored generation is still the same. Whoever changes
// what is counted raises that in the same transaction (raiseCensus), so no
// instance answers with what another has changed.
type census struct {
	db *sql.DB

	mu         sync.Mutex
	generation int64
	counted    time.Time
	counts     map[jobKind]int64 // never changed once it is here
}

// jobKind is what jobs are counted by.
type jobKind struct {
	categoryID int64
	status     job.Status
	method     string
}

const (
	// censusAge is how long counts are kept at most.
	censusAge = 5 * time.Minute
	// censusRows is how many rows the generation is spread over, so that people
	// who write at once do not wait for each other; it is their sum.
	censusRows = 16
)

// raiseCensus raises the generation, at the end of a transaction that makes or
// removes jobs, or gives them another category, status or method.
func raiseCensus(ctx context.Context, tx *sql.Tx) error {
	_, err := execSQL(ctx, tx, "INSERT INTO generations (name, generation) VALUES (?, 1) ON DUPLICATE KEY UPDATE generation = generation + 1",
		fmt.Sprintf("jobs %02d", rand.N(censusRows)))
	return err
}

// changingJobs is inTx for transactions that may change what the census counts.
func changingJobs(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	return inTx(ctx, db, func(tx *sql.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return raiseCensus(ctx, tx)
	})
}

// jobs are the counts of the jobs that are not deleted.
func (c *census) jobs(ctx context.Context) (map[jobKind]int64, error) {
	found, err := queryAllSQL(ctx, c.db, scanInto[int64], "SELECT COALESCE(SUM(generation), 0) FROM generations WHERE name BETWEEN 'jobs 00' AND 'jobs 99'")
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts != nil && c.generation == found[0] && time.Since(c.counted) < censusAge {
		return c.counts, nil
	}
	counts := map[jobKind]int64{}
	began := time.Now()
	_, err = queryAllSQL(ctx, c.db, func(rows *sql.Rows) (_ struct{}, err error) {
		var by jobKind
		var n int64
		err = rows.Scan(&by.categoryID, &by.status, &by.method, &n)
		counts[by] = n
		return struct{}{}, err
	}, "SELECT category_id, status, method, COUNT(*) FROM jobs WHERE deleted_at IS NULL GROUP BY category_id, status, method")
	if err != nil {
		return nil, err
	}
	c.counts, c.generation, c.counted = counts, found[0], began
	return counts, nil
}
