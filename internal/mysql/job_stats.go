package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// jobCounts is what a batch of outcomes adds to one job's statistics.
type jobCounts struct {
	total, success, failed int
	streak                 int // final failures of the target in a row at the batch's end
	firstFailure           any
	lastFailure            any
	lastID, lastRunAt      any
	lastStatus             any
	pace                   int
}

// countFinished adds outcomes to their jobs' statistics, in the order in which
// they ended: final runs to the counters, every call to the pace.
func countFinished(ctx context.Context, tx *sql.Tx, held []finishing) error {
	if len(held) == 0 {
		return nil
	}
	byEnd := slices.SortedStableFunc(slices.Values(held), func(a, b finishing) int { return a.Attempt.EndedAt.Compare(b.Attempt.EndedAt) })
	counts := map[int64]*jobCounts{}
	for _, f := range byEnd {
		c := counts[f.JobID]
		if c == nil {
			c = &jobCounts{}
			counts[f.JobID] = c
		}
		c.add(f)
	}
	var args []any
	for _, id := range ids(held, func(f finishing) int64 { return f.JobID }) {
		c := counts[id.(int64)]
		args = append(args, id, c.total, c.success, c.failed, c.streak, c.firstFailure, c.lastFailure, c.lastID, c.lastRunAt, c.lastStatus, c.pace)
	}
	// The last run is the one that began last, whichever commits last. A job
	// whose batch holds a success starts its streak of failures anew, and
	// a pace of the other sign starts anew. Of a job that ran slow and quick in
	// one batch only the last streak counts.
	_, err := execSQL(ctx, tx, `INSERT INTO job_stats (job_id, total_executions, success_count, failed_count, consecutive_failures,
		first_failure_at, last_failure_at, last_execution_id, last_run_at, last_status, pace) VALUES `+tuples(len(counts), 11)+` ON DUPLICATE KEY UPDATE
		first_failure_at = IF(VALUES(success_count) > 0, VALUES(first_failure_at), COALESCE(first_failure_at, VALUES(first_failure_at))),
		consecutive_failures = IF(VALUES(success_count) > 0, VALUES(consecutive_failures), consecutive_failures + VALUES(consecutive_failures)),
		total_executions = total_executions + VALUES(total_executions),
		success_count = success_count + VALUES(success_count),
		failed_count = failed_count + VALUES(failed_count),
		last_failure_at = COALESCE(VALUES(last_failure_at), last_failure_at),
		last_execution_id = IF(COALESCE(VALUES(last_run_at) >= COALESCE(last_run_at, VALUES(last_run_at)), FALSE), VALUES(last_execution_id), last_execution_id),
		last_status = IF(COALESCE(VALUES(last_run_at) >= COALESCE(last_run_at, VALUES(last_run_at)), FALSE), VALUES(last_status), last_status),
		last_run_at = IF(COALESCE(VALUES(last_run_at) >= COALESCE(last_run_at, VALUES(last_run_at)), FALSE), VALUES(last_run_at), last_run_at),
		pace = IF(pace * VALUES(pace) > 0, GREATEST(-1000, LEAST(1000, pace + VALUES(pace))), VALUES(pace))`, args...)
	return err
}

// listStats gives jobs their rows of statistics, by which lists in the order of
// the last run find those that never ran, too.
func listStats(ctx context.Context, tx *sql.Tx, jobIDs []int64) error {
	args := ids(jobIDs, func(id int64) int64 { return id })
	_, err := execSQL(ctx, tx, "INSERT INTO job_stats (job_id) VALUES "+tuples(len(args), 1)+" ON DUPLICATE KEY UPDATE job_id = VALUES(job_id)", args...)
	return err
}

// unlistStats notes with the statistics of jobs that these are deleted. Runs of
// theirs that end later are counted all the same.
func unlistStats(ctx context.Context, tx *sql.Tx, jobIDs []int64) error {
	var args []any
	for _, id := range ids(jobIDs, func(id int64) int64 { return id }) {
		args = append(args, id, true)
	}
	_, err := execSQL(ctx, tx, "INSERT INTO job_stats (job_id, deleted) VALUES "+tuples(len(args)/2, 2)+" ON DUPLICATE KEY UPDATE deleted = TRUE", args...)
	return err
}

func (c *jobCounts) add(f finishing) {
	step := execution.Pace(f.Attempt.EndedAt.Sub(f.Attempt.StartedAt))
	if c.pace*step < 0 {
		c.pace = 0
	}
	c.pace += step
	if !f.Finished.Status.Terminal() {
		return
	}
	c.total++
	c.lastID, c.lastRunAt, c.lastStatus = f.ID, utc(f.FirstStartedAt), string(f.Finished.Status)
	if f.Finished.Status == execution.Success {
		c.success++
		c.streak, c.firstFailure = 0, nil
		return
	}
	c.failed++
	if !f.OfTarget() {
		return // it neither goes on with a streak nor ends one
	}
	c.streak++
	at := utc(f.Attempt.EndedAt)
	c.lastFailure = at
	if c.firstFailure == nil {
		c.firstFailure = at
	}
}

// judged is a job whose statistics may ask for something.
type judged struct {
	id          int64
	version     int
	lane        execution.Lane
	pace        int
	failures    int
	first, last sql.NullTime
}

// judgeJobs looks at the jobs of recorded outcomes: one that fails for too long
// is stopped, and one whose calls have become slow or quick changes lanes. It
// runs after the outcomes' own transaction, for it locks jobs, which everywhere
// else are locked first.
func (s *Executions) judgeJobs(ctx context.Context, now time.Time, held []finishing) error {
	if !slices.ContainsFunc(held, asksForJudgement) {
		return nil
	}
	gone, err := s.goneTargets(ctx, held)
	if err != nil {
		return err
	}
	args := ids(held, func(f finishing) int64 { return f.JobID })
	found, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (j judged, err error) {
		err = rows.Scan(&j.id, &j.version, &j.lane, &j.pace, &j.failures, &j.first, &j.last)
		return j, err
	}, `SELECT s.job_id, j.version, j.lane, s.pace, s.consecutive_failures, s.first_failure_at, s.last_failure_at
		FROM job_stats s JOIN jobs j ON j.id = s.job_id WHERE s.job_id IN (`+placeholders(len(args))+`)
		AND (s.consecutive_failures > 0 OR j.lane = 'slow' OR s.pace > 0)`, args...)
	if err != nil {
		return translate(err)
	}
	for _, j := range found {
		reason := s.limits.StopReason(j.failures, j.first.Time, j.last.Time)
		version := j.version
		if asked, ok := gone[j.id]; ok {
			reason, version = execution.StoppedByTarget, asked
		}
		if reason != "" {
			if err := s.stopJob(ctx, now, j.id, version, reason); err != nil {
				return err
			}
		}
		if lane := execution.LaneFor(j.lane, j.pace); lane != j.lane {
			// Not a person's change: the version stays.
			if _, err := execSQL(ctx, s.db, "UPDATE jobs SET lane = ? WHERE id = ?", string(lane), j.id); err != nil {
				return translate(err)
			}
		}
	}
	return nil
}

// goneTargets tells the jobs whose target says that it is gone, by their version. An answer to an
// earlier request, of a replay or of a run that an edit overtook, says nothing of
// the target that the job has now.
func (s *Executions) goneTargets(ctx context.Context, held []finishing) (map[int64]int, error) {
	var said []finishing
	for _, f := range held {
		if f.Finished.Status == execution.Failed && s.limits.StoppedBy(f.Attempt.Response) {
			said = append(said, f)
		}
	}
	if len(said) == 0 {
		return nil, nil
	}
	args := ids(said, func(f finishing) int64 { return f.ID })
	type row struct {
		id      int64
		version int
	}
	jobs, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.version)
		return r, err
	}, `SELECT j.id, j.version FROM executions e
		JOIN jobs j ON j.id = e.job_id AND j.revision = e.revision WHERE e.id IN (`+placeholders(len(args))+")", args...)
	gone := map[int64]int{}
	for _, j := range jobs {
		gone[j.id] = j.version
	}
	return gone, translate(err)
}

// MarkSlow puts jobs into the slow lane. Their streak starts anew, or the next
// quick call of a long streak of them would take the job back.
func (s *Executions) MarkSlow(ctx context.Context, jobIDs []int64) error {
	args := ids(jobIDs, func(id int64) int64 { return id })
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		changed, err := execSQL(ctx, tx, "UPDATE jobs FORCE INDEX (PRIMARY) SET lane = 'slow' WHERE id IN ("+placeholders(len(args))+") AND lane = 'fast'", args...)
		if err != nil || changed == 0 {
			return err
		}
		_, err = execSQL(ctx, tx, "UPDATE job_stats SET pace = 0 WHERE job_id IN ("+placeholders(len(args))+") AND pace < 0", args...)
		return err
	})
}

// asksForJudgement reports an outcome that can stop its job or change its lane:
// all but a quick success in the fast lane.
func asksForJudgement(f finishing) bool {
	return f.Finished.Status != execution.Success || f.Lane != execution.Fast || execution.Pace(f.Attempt.EndedAt.Sub(f.Attempt.StartedAt)) > 0
}

// stopJob makes an active job failed, as a pause would make it inactive. One that
// a person has changed since it was judged stays as it is: what was judged was
// another target, or was resumed.
func (s *Executions) stopJob(ctx context.Context, now time.Time, id int64, version int, reason string) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		matched, err := execSQL(ctx, tx, `UPDATE jobs FORCE INDEX (PRIMARY) SET status = 'failed', status_reason = ?, next_run_at = NULL, version = version + 1,
			updated_at = ? WHERE id = ? AND version = ? AND status = 'active' AND deleted_at IS NULL`, cut(reason, 500), utc(now), id, version)
		if err != nil || matched == 0 {
			return err
		}
		if _, err := endWaiting(ctx, tx, now, ending{
			status: execution.Cancelled, reason: "job failed", index: "ix_executions_job_status",
			where: "job_id = ? AND trigger_type = 'schedule'", args: []any{id},
		}); err != nil {
			return err
		}
		return raise(ctx, tx, jobsChanged)
	})
}

// overLimit tells which jobs in the slow lane have as many runs under way as
// they may. The count is not locked: the limit is a bound on harm, not a rule
// of the job's.
func (s *Executions) overLimit(ctx context.Context, q querier, jobIDs []any) (map[int64]bool, error) {
	type row struct {
		id      int64
		running int
	}
	rows, err := queryAllSQL(ctx, q, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.running)
		return r, err
	}, "SELECT job_id, COUNT(*) FROM executions WHERE job_id IN ("+placeholders(len(jobIDs))+") AND status = 'running' GROUP BY job_id", jobIDs...)
	if err != nil {
		return nil, fmt.Errorf("running executions: %w", err)
	}
	over := map[int64]bool{}
	for _, r := range rows {
		over[r.id] = s.limits.MaxRunning > 0 && r.running >= s.limits.MaxRunning
	}
	return over, nil
}
