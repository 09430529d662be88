package mysql

import (
	"context"
	"database/sql"

	"github.com/cronjobs/cronjobs/internal/job"
)

// census knows how many jobs there are of each kind, and keeps that.
type census struct {
	db     *sql.DB
	counts kept[map[jobKind]int64]
	told   kept[bool]
}

func newCensus(db *sql.DB) *census {
	return &census{
		db:     db,
		counts: kept[map[jobKind]int64]{of: jobsChanged, read: countKinds},
		told:   kept[bool]{of: jobsChanged, read: statsTell},
	}
}

// jobKind is what jobs are counted by.
type jobKind struct {
	categoryID int64
	status     job.Status
	method     string
}

// changingJobs is inTx for transactions that change jobs as people see them:
// whether they are there, what they are counted by, where they stand in a list.
func changingJobs(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	return inTx(ctx, db, func(tx *sql.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return raise(ctx, tx, jobsChanged)
	})
}

// jobs are the counts of the jobs that are not deleted, and the generation in
// which they were counted.
func (c *census) jobs(ctx context.Context) (map[jobKind]int64, int64, error) {
	return c.counts.get(ctx, c.db)
}

// jobsAt is jobs for who has read the generation. What it answers may be of a
// later one.
func (c *census) jobsAt(ctx context.Context, generation int64) (map[jobKind]int64, int64, error) {
	return c.counts.at(ctx, c.db, generation)
}

func countKinds(ctx context.Context, db *sql.DB) (map[jobKind]int64, error) {
	counts := map[jobKind]int64{}
	_, err := queryAllSQL(ctx, db, func(rows *sql.Rows) (_ struct{}, err error) {
		var by jobKind
		var n int64
		err = rows.Scan(&by.categoryID, &by.status, &by.method, &n)
		counts[by] = n
		return struct{}{}, err
	}, "SELECT category_id, status, method, COUNT(*) FROM jobs WHERE deleted_at IS NULL GROUP BY category_id, status, method")
	return counts, err
}

// statsTell reports whether the statistics have a row of each job that is not
// deleted, and of no other one that says so. They lack it where the release
// before, which knew of no such rows, still made or deleted jobs when this
// one's schema was there; Retention.Purge mends it. A run of a job that it deleted
// may yet make a row that is wrong, which is noticed when keptAge has passed.
// The generation is that of the jobs; 0 where it is not known.
func (c *census) statsTell(ctx context.Context, generation int64) (bool, error) {
	told, _, err := c.told.at(ctx, c.db, generation)
	return told, err
}

func statsTell(ctx context.Context, db *sql.DB) (bool, error) {
	sums, err := queryAllSQL(ctx, db, scanInto[string],
		"SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(id), 0)) FROM jobs FORCE INDEX (ix_jobs_live) WHERE deleted_at IS NULL UNION ALL "+
			"SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(job_id), 0)) FROM job_stats FORCE INDEX (ix_job_stats_last_run) WHERE deleted = FALSE")
	if err != nil {
		return false, err
	}
	return sums[0] == sums[1], nil
}
