package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// markBatch bounds one statement of MarkQueued.
const markBatch = 2000

// MarkQueued notes that the queue has acknowledged messages for these attempts
// and when to doubt them. Rows that have moved on meanwhile stay as they are.
// The key is named for the order in which rows are locked, as in updateRunning.
func (s *Executions) MarkQueued(ctx context.Context, now time.Time, sent []execution.Ref) error {
	for batch := range slices.Chunk(sent, markBatch) {
		batch = slices.SortedFunc(slices.Values(batch), func(a, b execution.Ref) int { return cmp.Compare(a.ID, b.ID) })
		named := newTuples("id", "attempt")
		for _, ref := range batch {
			named.add(ref.ID, ref.Attempt)
		}
		where, whereArgs := named.shortest()
		query := `UPDATE executions FORCE INDEX (PRIMARY) SET status = 'queued', updated_at = ?,
			resend_after = GREATEST(resend_after, DATE_ADD(GREATEST(not_before, CAST(? AS DATETIME(3))), INTERVAL ? SECOND))
			WHERE status = 'pending' AND ` + where
		args := slices.Concat([]any{utc(now), utc(now), int(dispatch.ResendFirst.Seconds())}, whereArgs)
		if err := inOne(ctx, s.db, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// stuckRow is a waiting execution with what decides whether it may go on.
type stuckRow struct {
	execution.Waiting
	trigger execution.Trigger
	resends int
	stopped bool
	deleted bool
	gone    bool // its request
}

// requestGone is the reason of a run whose job or request is not there.
const requestGone = "its request is no longer stored"

// TakeStuck picks waiting rows whose time to be sent again has come. Rows whose
// job has stopped end here, and so do those that no worker could read; the others
// get a later time, doubled with each.
func (s *Executions) TakeStuck(ctx context.Context, now time.Time, request dispatch.StuckRequest) ([]execution.Waiting, error) {
	var taken []execution.Waiting
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		taken = nil
		rows, err := lockStuck(ctx, tx, now, request)
		if err != nil || len(rows) == 0 {
			return err
		}
		ended := map[string][]stuckRow{}
		later := newCase("id")
		for _, row := range rows {
			switch {
			case row.gone:
				ended[requestGone] = append(ended[requestGone], row)
				continue
			case row.deleted || row.stopped && row.trigger == execution.Schedule:
				ended[execution.JobStopped] = append(ended[execution.JobStopped], row)
				continue
			}
			later.when(row.ID, utc(nextLook(now, row, request.Acknowledged)))
			taken = append(taken, row.Waiting)
		}
		for reason, some := range ended {
			if _, err := endWaiting(ctx, tx, now, ending{
				status: execution.Cancelled, reason: reason,
				where: "id IN (" + placeholders(len(some)) + ")", args: ids(some, func(r stuckRow) int64 { return r.ID }),
			}); err != nil {
				return err
			}
		}
		if len(taken) == 0 {
			return nil
		}
		args := ids(taken, func(w execution.Waiting) int64 { return w.ID })
		_, err = execSQL(ctx, tx, "UPDATE executions FORCE INDEX (PRIMARY) SET resends = resends + 1, updated_at = ?, resend_after = CAST("+later.end()+
			" AS DATETIME(3)) WHERE id IN ("+placeholders(len(args))+") AND status IN ('pending', 'queued') AND resend_after <= ?",
			slices.Concat([]any{utc(now)}, later.args, args, []any{utc(now)})...)
		return err
	})
	return taken, err
}

// nextLook is when a row that is sent again is looked at once more, should
// nothing come of it. One that the queue acknowledges has that put off until
// after its instant by MarkQueued. Until then it is as unsent as before: a queue
// that is away must not make it later than the tick after its return.
func nextLook(now time.Time, row stuckRow, acknowledged bool) time.Time {
	if !acknowledged {
		return now.Add(dispatch.SendGrace)
	}
	if row.NotBefore.After(now) {
		now = row.NotBefore
	}
	return now.Add(min(dispatch.ResendFirst<<min(row.resends, 10), dispatch.ResendMost))
}

// HandOver makes rows whose message was not acknowledged due to be sent by the
// next tick. The others stay as they are.
func (s *Executions) HandOver(ctx context.Context, now time.Time, unsent []execution.Waiting) error {
	for batch := range slices.Chunk(unsent, markBatch) {
		args := ids(batch, func(w execution.Waiting) int64 { return w.ID })
		if err := inOne(ctx, s.db, `UPDATE executions FORCE INDEX (PRIMARY) SET resend_after = ?
			WHERE status = 'pending' AND resend_after > ? AND id IN (`+placeholders(len(args))+")",
			slices.Concat([]any{utc(now), utc(now)}, args)...); err != nil {
			return err
		}
	}
	return nil
}

// HandOverJobs makes the rows of these jobs that nobody has sent due to be sent
// by the next tick. It waits for a claim of theirs that is still under way.
func (s *Executions) HandOverJobs(ctx context.Context, now time.Time, jobIDs []int64) error {
	args := ids(jobIDs, func(id int64) int64 { return id })
	return inOne(ctx, s.db, `UPDATE executions FORCE INDEX (ix_executions_job_status) SET resend_after = ?
		WHERE job_id IN (`+placeholders(len(args))+") AND status = 'pending' AND fence = 0 AND resends = 0 AND resend_after > ?",
		slices.Concat([]any{utc(now)}, args, []any{utc(now)})...)
}

func lockStuck(ctx context.Context, tx *sql.Tx, now time.Time, request dispatch.StuckRequest) ([]stuckRow, error) {
	// One status at a time: only then do the rows come in the index's order,
	// and no others are locked. Ids first: joined tables must not be locked.
	status := execution.Pending
	if request.Acknowledged {
		status = execution.Queued
	}
	held, err := queryAllSQL(ctx, tx, scanInto[int64], `SELECT id FROM executions FORCE INDEX (ix_executions_waiting)
		WHERE status = ? AND resend_after <= ? AND lane = ? ORDER BY resend_after LIMIT ? FOR UPDATE SKIP LOCKED`,
		string(status), utc(now), string(request.Lane), request.Limit)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	args := ids(held, func(id int64) int64 { return id })
	return queryAllSQL(ctx, tx, func(rows *sql.Rows) (r stuckRow, err error) {
		err = rows.Scan(&r.ID, &r.Attempt, &r.NotBefore, &r.Lane, &r.Host, &r.trigger, &r.resends, &r.stopped, &r.deleted, &r.gone)
		return r, err
	}, "SELECT e.id, e.attempt, e.not_before, e.lane, COALESCE("+hostOfURL+`, ''), e.trigger_type, e.resends,
		COALESCE(j.status <> 'active', TRUE), j.deleted_at IS NOT NULL, r.job_id IS NULL OR j.id IS NULL
		FROM executions e LEFT JOIN job_requests r ON r.job_id = e.job_id AND r.revision = e.revision LEFT JOIN jobs j ON j.id = e.job_id
		WHERE e.id IN (`+placeholders(len(args))+`) ORDER BY e.id`, args...)
}

// maxBacklog is as far as a backlog is counted.
const maxBacklog = 100_000

// Backlog is how many waiting executions should have been sent by now and were
// not, up to a bound.
func (s *Executions) Backlog(ctx context.Context, now time.Time) (int, error) {
	counts, err := queryAllSQL(ctx, s.db, scanInto[int], `SELECT COUNT(*) FROM (SELECT 1 FROM executions FORCE INDEX (ix_executions_waiting)
		WHERE status = 'pending' AND resend_after <= ? LIMIT ?) AS unsent`, utc(now), maxBacklog)
	if err != nil {
		return 0, translate(err)
	}
	return counts[0], nil
}

// WaitingAfter lists waiting rows with larger ids.
func (s *Executions) WaitingAfter(ctx context.Context, id int64, limit int) ([]execution.Waiting, error) {
	waiting, err := queryAllSQL(ctx, s.db, scanWaiting,
		strings.Replace(selectWaiting, "executions e", "executions e FORCE INDEX (ix_executions_waiting)", 1)+
			"WHERE e.status IN ('pending', 'queued') AND e.id > ? ORDER BY e.id LIMIT ?", id, limit)
	return waiting, translate(err)
}
