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
// instance answers with what another has changed. So does whoever else changes
// where a job stands in a list, for places bear the generation, too.
type census struct {
	db *sql.DB

	mu         sync.Mutex
	generation int64
	since      time.Time
	counts     map[jobKind]int64 // never changed once it is here
	// told is whether the statistics tell which jobs there are; nil where that
	// has not been asked in this generation.
	told *bool
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

// jobs are the counts of the jobs that are not deleted, and the generation in
// which they were counted.
func (c *census) jobs(ctx context.Context) (map[jobKind]int64, int64, error) {
	generation, err := c.stored(ctx)
	if err != nil {
		return nil, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keepUp(generation); c.counts != nil {
		return c.counts, c.generation, nil
	}
	counts := map[jobKind]int64{}
	_, err = queryAllSQL(ctx, c.db, func(rows *sql.Rows) (_ struct{}, err error) {
		var by jobKind
		var n int64
		err = rows.Scan(&by.categoryID, &by.status, &by.method, &n)
		counts[by] = n
		return struct{}{}, err
	}, "SELECT category_id, status, method, COUNT(*) FROM jobs WHERE deleted_at IS NULL GROUP BY category_id, status, method")
	if err != nil {
		return nil, 0, err
	}
	c.counts = counts
	return counts, c.generation, nil
}

// stored is the generation that is stored; it is never 0.
func (c *census) stored(ctx context.Context) (int64, error) {
	found, err := queryAllSQL(ctx, c.db, scanInto[int64], "SELECT 1 + COALESCE(SUM(generation), 0) FROM generations WHERE name BETWEEN 'jobs 00' AND 'jobs 99'")
	if err != nil {
		return 0, err
	}
	return found[0], nil
}

// keepUp forgets what is of another generation, or too old.
func (c *census) keepUp(generation int64) {
	if c.generation != generation || time.Since(c.since) >= censusAge {
		c.generation, c.since, c.counts, c.told = generation, time.Now(), nil, nil
	}
}

// statsTell reports whether the statistics have a row of each job that is not
// deleted, and of no other one that says so. They lack it where the release
// before, which knew of no such rows, still made or deleted jobs when this
// one's schema was there; Retention.Purge mends it.
func (c *census) statsTell(ctx context.Context) (bool, error) {
	generation, err := c.stored(ctx)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keepUp(generation); c.told != nil {
		return *c.told, nil
	}
	sums, err := queryAllSQL(ctx, c.db, scanInto[string],
		"SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(id), 0)) FROM jobs FORCE INDEX (ix_jobs_live) WHERE deleted_at IS NULL UNION ALL "+
			"SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(job_id), 0)) FROM job_stats FORCE INDEX (ix_job_stats_last_run) WHERE deleted = FALSE")
	if err != nil {
		return false, err
	}
	told := sums[0] == sums[1]
	c.told = &told
	return told, nil
}
