package mysql

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// Retention removes what nobody needs any longer, in short transactions, so
// that nobody waits for it. Before each of them it asks whether there is time
// for more.
type Retention struct{ db *sql.DB }

// NewRetention makes it on a pool that Open made.
func NewRetention(db *sql.DB) *Retention { return &Retention{db: db} }

// Keep is how much of a job's history is kept, at least one run: whichever is
// more.
type Keep struct {
	Days int
	Runs int
	// SummaryDays is how long what executions add up to is kept; 0 is for good.
	SummaryDays int
}

const (
	// purgeJobs is how many jobs one step of the walk looks at, fewer where
	// that would be more than purgeRuns of their runs.
	purgeJobs = 500
	purgeRuns = 100_000
	// purgeJoined is how many jobs' old executions one statement looks for.
	purgeJoined = 50
	// purgeBatch is how many executions one transaction removes.
	purgeBatch = 500
	// purgeWalk is the row of upkeep that says how far the walk has come: the
	// last job that was looked at.
	purgeWalk = "purge"
)

// ended is the condition of an execution that nothing follows.
const ended = "status IN ('success', 'failed', 'skipped', 'missed', 'cancelled', 'abandoned')"

// aged is a job with executions older than what is kept of it.
type aged struct {
	jobID    int64
	keepFrom time.Time
}

// Purge removes the old executions of the next jobs, in a walk over all jobs
// that goes on where the last one stopped. It answers how many it removed.
func (s *Retention) Purge(ctx context.Context, now time.Time, keep Keep, more func() bool) (int, error) {
	positions, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT position FROM upkeep WHERE name = ?", purgeWalk)
	if err != nil {
		return 0, translate(err)
	}
	last := int64(0)
	if len(positions) > 0 {
		last = positions[0]
	}
	step := min(purgeJobs, max(1, purgeRuns/keep.Runs))
	walked, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT id FROM jobs WHERE id > ? ORDER BY id LIMIT ?", last, step)
	if err != nil {
		return 0, translate(err)
	}
	if err := s.mendStats(ctx, walked); err != nil {
		return 0, translate(err)
	}
	if err := s.expireSummaries(ctx, walked, now, keep, more); err != nil {
		return 0, translate(err)
	}
	aged, err := s.agedJobs(ctx, walked, now, keep)
	if err != nil {
		return 0, translate(err)
	}
	if last = 0; len(walked) == step {
		last = walked[len(walked)-1]
	}
	removed := 0
	for jobs := range slices.Chunk(aged, purgeJoined) {
		n, all, err := s.remove(ctx, agedExecutions(jobs), more)
		removed += n
		if err != nil {
			return removed, err
		}
		if !all {
			last = jobs[0].jobID - 1 // the walk goes on with these
			break
		}
	}
	return removed, inOne(ctx, s.db, "INSERT INTO upkeep (name, position) VALUES (?, ?) ON DUPLICATE KEY UPDATE position = VALUES(position)", purgeWalk, last)
}

// mendStats makes the statistics tell again which of a stretch of jobs there are: the
// release before, which may still run beside this one's schema, does not see to it.
func (s *Retention) mendStats(ctx context.Context, jobs []int64) error {
	if len(jobs) == 0 {
		return nil
	}
	type wrong struct {
		id      int64
		deleted bool
	}
	found, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (w wrong, err error) {
		err = rows.Scan(&w.id, &w.deleted)
		return w, err
	}, "SELECT j.id, j.deleted_at IS NOT NULL FROM jobs j FORCE INDEX (PRIMARY) LEFT JOIN job_stats s ON s.job_id = j.id WHERE j.id BETWEEN ? AND ?"+
		" AND (s.job_id IS NULL OR s.deleted <> (j.deleted_at IS NOT NULL))", jobs[0], jobs[len(jobs)-1])
	if err != nil || len(found) == 0 {
		return err
	}
	var missing, gone []int64
	for _, w := range found {
		if missing = append(missing, w.id); w.deleted {
			gone = append(gone, w.id) // which it stays
		}
	}
	return changingJobs(ctx, s.db, func(tx *sql.Tx) error {
		if err := listStats(ctx, tx, missing); err != nil || len(gone) == 0 {
			return err
		}
		return unlistStats(ctx, tx, gone)
	})
}

// agedJobs finds the jobs that have executions older than what is kept, and
// from when on they are kept. Runs that are recorded ahead are not counted.
func (s *Retention) agedJobs(ctx context.Context, jobs []int64, now time.Time, keep Keep) ([]aged, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	args := ids(jobs, func(id int64) int64 { return id })
	cutoff := utc(now.AddDate(0, 0, -keep.Days))
	found, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (a aged, err error) {
		var newest sql.NullTime
		err = rows.Scan(&a.jobID, &newest)
		if a.keepFrom = cutoff; newest.Valid && newest.Time.Before(cutoff) {
			a.keepFrom = newest.Time
		} else if !newest.Valid {
			a.keepFrom = time.Time{} // fewer runs than are kept
		}
		return a, err
	}, `SELECT j.id, (SELECT e.scheduled_for FROM executions e FORCE INDEX (ix_executions_job_scheduled)
			WHERE e.job_id = j.id AND e.scheduled_for <= ? ORDER BY e.scheduled_for DESC LIMIT 1 OFFSET ?)
		FROM jobs j WHERE j.id IN (`+placeholders(len(args))+`)
		AND EXISTS (SELECT 1 FROM executions e FORCE INDEX (ix_executions_job_scheduled) WHERE e.job_id = j.id AND e.scheduled_for < ?)
		ORDER BY j.id`, slices.Concat([]any{utc(now), keep.Runs - 1}, args, []any{cutoff})...)
	return slices.DeleteFunc(found, func(a aged) bool { return a.keepFrom.IsZero() }), err
}

// selection is which executions are removed.
type selection struct {
	index, where, order string
	args                []any
	// entry tells of the removal of so many in the audit log; nil where nobody
	// asked for it.
	entry func(removed int) audit.Entry
}

func agedExecutions(jobs []aged) selection {
	var each []string
	s := selection{index: "ix_executions_job_scheduled", order: "job_id, scheduled_for"}
	for _, j := range jobs {
		each = append(each, "job_id = ? AND scheduled_for < ?")
		s.args = append(s.args, j.jobID, j.keepFrom)
	}
	s.where = "(" + strings.Join(each, " OR ") + ")"
	return s
}

// RemoveBefore removes executions that have ended and whose instant lies before
// a time, whosever they are. It answers how many, and whether these were all;
// otherwise there was no time for more. Each batch leaves its entry in the audit
// log, with the number that it removed: what went and what is told of it are the
// same, wherever this is cut off.
func (s *Retention) RemoveBefore(ctx context.Context, before time.Time, more func() bool) (removed int, all bool, err error) {
	return s.remove(ctx, selection{
		index: "ix_executions_scheduled", where: "scheduled_for < ?", order: "scheduled_for", args: []any{utc(before)},
		entry: func(removed int) audit.Entry {
			return audit.Entry{Entity: audit.History, After: audit.Created([]audit.Field{{Name: "before", Value: utc(before)}, {Name: "deleted", Value: removed}})}
		},
	}, more)
}

// old is an execution that is to be removed.
type old struct {
	id, jobID int64
	at        time.Time
}

// remove removes executions that have ended, a batch at a time.
func (s *Retention) remove(ctx context.Context, which selection, more func() bool) (removed int, all bool, err error) {
	for more() {
		batch, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (o old, err error) {
			err = rows.Scan(&o.id, &o.jobID, &o.at)
			return o, err
		}, "SELECT id, job_id, scheduled_for FROM executions FORCE INDEX ("+which.index+") WHERE "+which.where+" AND "+ended+
			" ORDER BY "+which.order+" LIMIT ?", slices.Concat(which.args, []any{purgeBatch})...)
		if err != nil {
			return removed, false, translate(err)
		}
		if len(batch) == 0 {
			return removed, true, nil
		}
		n, err := s.removeBatch(ctx, batch, which.entry)
		removed += n
		if err != nil {
			return removed, false, err
		}
		if len(batch) < purgeBatch {
			return removed, true, nil
		}
	}
	return removed, false, nil
}

// removeBatch removes executions with their attempts, and notes from when on
// their jobs' history is whole. What they added to the summaries stays.
func (s *Retention) removeBatch(ctx context.Context, batch []old, entry func(int) audit.Entry) (removed int, err error) {
	purged := map[int64]time.Time{}
	for _, o := range batch {
		if whole := execution.HourOf(o.at).Add(time.Hour); whole.After(purged[o.jobID]) {
			purged[o.jobID] = whole
		}
	}
	args := ids(batch, func(o old) int64 { return o.id })
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		// Who counts a day meanwhile would count what is removed.
		if _, err := takeUpkeep(ctx, tx, daysWalk); err != nil {
			return err
		}
		// Another may have been faster, or a cancelled one lives again. The keys are
		// named, here and below, and attempts are looked up from their executions:
		// where these are most of a table an engine would rather read all of it, and
		// wait for the rows of claims and workers.
		still, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM executions FORCE INDEX (PRIMARY) WHERE id IN ("+placeholders(len(args))+") AND "+ended+" ORDER BY id FOR UPDATE", args...)
		if removed = len(still); err != nil || removed == 0 {
			return err
		}
		gone := ids(still, func(id int64) int64 { return id })
		if err := uncount(ctx, tx, gone); err != nil {
			return err
		}
		if _, err := execSQL(ctx, tx, "DELETE e, a FROM ("+oneColumn(len(gone))+") AS gone STRAIGHT_JOIN executions e FORCE INDEX (PRIMARY) ON e.id = gone.id "+
			"LEFT JOIN attempts a FORCE INDEX (PRIMARY) ON a.execution_id = e.id", gone...); err != nil {
			return err
		}
		var stats []any
		for _, jobID := range slices.Sorted(maps.Keys(purged)) {
			stats = append(stats, jobID, purged[jobID])
		}
		_, err = execSQL(ctx, tx, "INSERT INTO job_stats (job_id, purged_before) VALUES "+tuples(len(purged), 2)+
			" ON DUPLICATE KEY UPDATE purged_before = GREATEST(COALESCE(purged_before, VALUES(purged_before)), VALUES(purged_before))", stats...)
		if err != nil {
			return err
		}
		if err := raise(ctx, tx, daysCounted); err != nil || entry == nil {
			return err
		}
		return record(ctx, tx, entry(removed))
	})
	return removed, err
}

// oneColumn is a table of some ids. Engines look up each row of a join with it by
// its key, where they might read a whole table for a list of as many ids.
func oneColumn(n int) string {
	return "SELECT ? AS id" + strings.Repeat(" UNION ALL SELECT ?", n-1)
}

// uncount takes executions that are about to be removed out of the counts of
// their days and hours, by which deep pages are found.
func uncount(ctx context.Context, tx *sql.Tx, gone []any) error {
	for _, of := range []struct{ table, column, begin string }{
		{"history_days", "day", "CAST(DATE(scheduled_for) AS DATETIME)"},
		{"history_hours", "hour", "DATE_ADD(CAST(DATE(scheduled_for) AS DATETIME), INTERVAL HOUR(scheduled_for) HOUR)"},
	} {
		_, err := execSQL(ctx, tx, "UPDATE "+of.table+" c JOIN (SELECT "+of.begin+" AS begin, status, trigger_type, COUNT(*) AS n FROM executions FORCE INDEX (PRIMARY) WHERE id IN ("+
			placeholders(len(gone))+") GROUP BY begin, status, trigger_type) AS gone ON c."+of.column+" = gone.begin AND c.status = gone.status AND c.trigger_type = gone.trigger_type "+
			"SET c.executions = GREATEST(c.executions - gone.n, 0)", gone...)
		if err != nil {
			return err
		}
	}
	return nil
}

// sessionsKept is how long a session is kept after its end, for who looks into
// what happened.
const sessionsKept = 30 * 24 * time.Hour

// PurgeExpired removes some rows whose time is over: sessions, replies to
// requests that might have come again, windows of rate limits, and entries of the
// audit log from before auditFrom. It answers how many.
func (s *Retention) PurgeExpired(ctx context.Context, now, auditFrom time.Time) (int, error) {
	removed := 0
	for _, one := range []struct {
		table, column string
		before        time.Time
	}{
		{"sessions", "expires_at", now.Add(-sessionsKept)},
		{"idempotency_keys", "expires_at", now},
		{"rate_limits", "ends_at", now},
		{"audit_log", "at", auditFrom},
	} {
		var n int64
		err := standAlone(ctx, func() (err error) {
			n, err = exec(ctx, s.db, dialect.Delete(one.table).Where(goqu.C(one.column).Lt(utc(one.before))).Limit(sweepMost))
			return err
		})
		removed += int(n)
		if err != nil {
			return removed, translate(err)
		}
	}
	return removed, nil
}
