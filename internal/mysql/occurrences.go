package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

const insertOccurrence = `INSERT INTO executions (job_id, trigger_type, scheduled_for, occurrence_at, status, reason, lane, revision,
	attempt, fence, claim_token, not_before, resend_after, resends, missed_until, missed_count, created_at, updated_at) VALUES `

// A row that was cancelled before it was ever started may live again, with the
// job's present request. Every other duplicate stays as it is. Assignments are
// evaluated from left to right, so the status comes last.
const revive = `ON DUPLICATE KEY UPDATE
	revision     = IF(status = 'cancelled' AND fence = 0, VALUES(revision), revision),
	lane         = IF(status = 'cancelled' AND fence = 0, VALUES(lane), lane),
	claim_token  = IF(status = 'cancelled' AND fence = 0, ` + markRevived + `, claim_token),
	not_before   = IF(status = 'cancelled' AND fence = 0, VALUES(not_before), not_before),
	resend_after = IF(status = 'cancelled' AND fence = 0, VALUES(resend_after), resend_after),
	resends      = IF(status = 'cancelled' AND fence = 0, 0, resends),
	reason       = IF(status = 'cancelled' AND fence = 0, VALUES(reason), reason),
	ended_at     = IF(status = 'cancelled' AND fence = 0, NULL, ended_at),
	missed_until = IF(status = 'cancelled' AND fence = 0, VALUES(missed_until), missed_until),
	missed_count = IF(status = 'cancelled' AND fence = 0, VALUES(missed_count), missed_count),
	updated_at   = IF(status = 'cancelled' AND fence = 0, VALUES(updated_at), updated_at),
	status       = IF(status = 'cancelled' AND fence = 0, VALUES(status), status)`

// occurrences are the rows of a claim as they are inserted, in order.
type occurrences struct {
	args  []any
	count int
	token []byte
	// runs are the rows to run; their ID is the row's place until it is known.
	runs []execution.Waiting
	jobs []int64 // of each of runs
	// missed are the rows of missed instants, as the summaries count them.
	missed []execution.Sample
	// oldest and newest are the first and the last instant of runs.
	oldest, newest time.Time
}

func (o *occurrences) addMissed(d dueRow, now time.Time) {
	m := d.plan.Missed
	reason := fmt.Sprintf("%d due instants up to %s passed while the system was not running", m.Count, m.Until.UTC().Format("2006-01-02 15:04:05 UTC"))
	if m.Count == 1 {
		reason = "its instant passed while the system was not running"
	}
	o.args = append(o.args, d.ID, execution.Schedule, utc(m.From), utc(m.From), execution.Missed, reason, d.lane, d.revision,
		1, 0, o.token, now, nil, 0, utc(m.Until), m.Count, now, now)
	o.missed = append(o.missed, execution.Sample{JobID: d.ID, CategoryID: d.categoryID, ScheduledFor: m.From, Status: execution.Missed, Count: int64(m.Count)})
	o.count++
}

func (o *occurrences) addRun(d dueRow, at, now, resendAfter time.Time) {
	o.args = append(o.args, d.ID, execution.Schedule, at, at, execution.Pending, nil, d.lane, d.revision,
		1, 0, o.token, at, resendAfter, 0, nil, nil, now, now)
	o.runs = append(o.runs, execution.Waiting{ID: int64(o.count), Attempt: 1, NotBefore: at, Lane: d.lane})
	o.jobs = append(o.jobs, d.ID)
	o.count++
	if o.oldest.IsZero() || at.Before(o.oldest) {
		o.oldest = at
	}
	if at.After(o.newest) {
		o.newest = at
	}
}

// insertOccurrences stores the rows of a claim and answers those that wait.
func insertOccurrences(ctx context.Context, tx *sql.Tx, due []dueRow, request dispatch.ClaimRequest, result *dispatch.ClaimResult) ([]execution.Waiting, error) {
	rows := occurrences{token: make([]byte, 16)}
	_, _ = rand.Read(rows.token) // crypto/rand never fails
	rows.token[0] = insertedMark
	now, resendAfter := utc(request.Now), utc(request.ResendAfter)
	for _, d := range due {
		if d.plan.Missed != nil {
			rows.addMissed(d, now)
			result.Missed++
		}
		for _, at := range d.plan.Runs {
			rows.addRun(d, utc(at), now, resendAfter)
		}
	}
	if rows.count == 0 {
		return nil, nil
	}
	answer, err := tx.ExecContext(ctx, insertOccurrence+tuples(rows.count, 18), rows.args...)
	switch {
	case isDuplicate(err):
		// Some instant has a row already: rare, and worth a dearer statement
		// then alone.
		return insertOrRevive(ctx, tx, due, rows, now)
	case err != nil:
		return nil, err
	}
	if err := recordSamples(ctx, tx, rows.missed); err != nil || len(rows.runs) == 0 {
		return nil, err
	}
	return consecutiveIDs(ctx, tx, answer, due, rows)
}

// consecutiveIDs names the rows of one insert without reading them: a plain
// insert whose rows are all given generates consecutive ids, on every engine
// and under every lock mode, where a session's auto_increment_increment is one.
// Were it otherwise, messages would name rows that are not theirs; workers
// check what they are given, and the sweeper would send the right ones.
func consecutiveIDs(ctx context.Context, tx *sql.Tx, answer sql.Result, due []dueRow, rows occurrences) ([]execution.Waiting, error) {
	first, err := answer.LastInsertId()
	if err != nil {
		return nil, err
	}
	hosts, err := hostsOf(ctx, tx, due)
	if err != nil {
		return nil, err
	}
	for i := range rows.runs {
		rows.runs[i].ID += first
		rows.runs[i].Host = hosts[rows.jobs[i]]
	}
	return rows.runs, nil
}

// hostsOf reads the targets' hosts of jobs, as they are to be called now.
func hostsOf(ctx context.Context, q querier, due []dueRow) (map[int64]string, error) {
	present := newTuples("job_id", "revision")
	for _, d := range due {
		if len(d.plan.Runs) > 0 {
			present.add(d.ID, d.revision)
		}
	}
	type row struct {
		job  int64
		host string
	}
	where, args := present.shortest()
	found, err := queryAllSQL(ctx, q, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.job, &r.host)
		return r, err
	}, "SELECT r.job_id, "+hostOfURL+" FROM job_requests r WHERE "+where, args...)
	hosts := make(map[int64]string, len(found))
	for _, r := range found {
		hosts[r.job] = r.host
	}
	return hosts, err
}

// insertOrRevive stores rows of which some may be there already, and reads back
// those that wait by the claim's token: generated ids do not name revived rows.
func insertOrRevive(ctx context.Context, tx *sql.Tx, due []dueRow, rows occurrences, now time.Time) ([]execution.Waiting, error) {
	if _, err := execSQL(ctx, tx, insertOccurrence+tuples(rows.count, 18)+revive, rows.args...); err != nil {
		return nil, err
	}
	if err := shortenMissed(ctx, tx, due, rows.token, now); err != nil {
		return nil, err
	}
	if err := recordRevived(ctx, tx, due, rows.token); err != nil || len(rows.runs) == 0 {
		return nil, err
	}
	jobIDs := ids(due, func(d dueRow) int64 { return d.ID })
	where := "WHERE e.job_id IN (" + placeholders(len(jobIDs)) + ") AND e.occurrence_at BETWEEN ? AND ? AND e.claim_token IN (?, ?) AND e.status = 'pending'"
	return queryAllSQL(ctx, tx, scanWaiting, selectWaiting+where, append(jobIDs, rows.oldest, rows.newest, rows.token, revivedToken(rows.token))...)
}

// shortenMissed stores summaries once more that are not there, for the oldest of
// their instants has a row of its own: without that one.
func shortenMissed(ctx context.Context, tx *sql.Tx, due []dueRow, token []byte, now time.Time) error {
	summaries := slices.DeleteFunc(slices.Clone(due), func(d dueRow) bool { return d.plan.Missed == nil })
	for len(summaries) > 0 {
		stored := map[int64]bool{}
		named := newTuples("job_id", "occurrence_at")
		for _, d := range summaries {
			named.add(d.ID, utc(d.plan.Missed.From))
		}
		where, args := named.shortest()
		found, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT job_id FROM executions WHERE "+where+" AND claim_token IN (?, ?) AND status = 'missed'",
			slices.Concat(args, []any{token, revivedToken(token)})...)
		if err != nil {
			return err
		}
		for _, id := range found {
			stored[id] = true
		}
		again := occurrences{token: token}
		var rest []dueRow
		for _, d := range summaries {
			if stored[d.ID] {
				continue
			}
			if d.plan.Missed = d.plan.Missed.WithoutOldest(d.DueJob); d.plan.Missed == nil {
				continue
			}
			rest = append(rest, d)
			again.addMissed(d, now)
		}
		if summaries = rest; len(rest) == 0 {
			return nil
		}
		if _, err := execSQL(ctx, tx, insertOccurrence+tuples(again.count, 18)+revive, again.args...); err != nil {
			return err
		}
	}
	return nil
}
