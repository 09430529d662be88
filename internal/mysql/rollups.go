package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// recordSamples adds ended executions to the summaries, in the transaction that
// ends them. It appends one row, which nobody else touches, whatever their
// number; Rollups.Fold makes the rest of it.
func recordSamples(ctx context.Context, tx *sql.Tx, samples []execution.Sample) error {
	if len(samples) == 0 {
		return nil
	}
	_, err := execSQL(ctx, tx, "INSERT INTO rollup_deltas (samples) VALUES (?)", encodeSamples(samples))
	return err
}

// recordFinished records those transitions that ended their execution.
func recordFinished(ctx context.Context, tx *sql.Tx, held []finishing) error {
	samples := make([]execution.Sample, 0, len(held))
	for _, f := range held {
		if f.Finished.Status.Terminal() {
			started := utc(f.FirstStartedAt)
			samples = append(samples, execution.Sample{
				JobID: f.JobID, CategoryID: f.CategoryID, ScheduledFor: f.ScheduledFor, Status: f.Finished.Status, Count: 1, Ran: true,
				Duration: utc(f.Attempt.EndedAt).Sub(started), Lateness: started.Sub(utc(f.ScheduledFor)),
			})
		}
	}
	return recordSamples(ctx, tx, samples)
}

// A row that a claim inserted bears its token; one that it revived bears the
// token with another first byte, which markRevived puts there.
const (
	insertedMark = 0
	revivedMark  = 1
	markRevived  = "CONCAT(x'01', SUBSTRING(VALUES(claim_token), 2))"
)

// revivedToken is what markRevived makes of a token.
func revivedToken(token []byte) []byte {
	revived := bytes.Clone(token)
	revived[0] = revivedMark
	return revived
}

// recordRevived records the missed rows of a claim that met rows which were
// there, and takes back that those which it revived had been cancelled.
func recordRevived(ctx context.Context, tx *sql.Tx, due []dueRow, token []byte) error {
	categories := map[int64]int64{}
	for _, d := range due {
		categories[d.ID] = d.categoryID
	}
	type row struct {
		jobID   int64
		at      time.Time
		status  execution.Status
		count   sql.NullInt64
		revived bool
	}
	jobIDs := ids(due, func(d dueRow) int64 { return d.ID })
	rows, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.jobID, &r.at, &r.status, &r.count, &r.revived)
		return r, err
	}, `SELECT job_id, scheduled_for, status, missed_count, claim_token = ? FROM executions
		WHERE job_id IN (`+placeholders(len(jobIDs))+") AND occurrence_at >= ? AND claim_token IN (?, ?)",
		slices.Concat([]any{revivedToken(token)}, jobIDs, []any{earliest(due), token, revivedToken(token)})...)
	if err != nil {
		return err
	}
	var samples []execution.Sample
	for _, r := range rows {
		s := execution.Sample{JobID: r.jobID, CategoryID: categories[r.jobID], ScheduledFor: r.at}
		if r.revived {
			s.Status, s.Count = execution.Cancelled, -1
			samples = append(samples, s)
		}
		if r.status == execution.Missed {
			s.Status, s.Count = execution.Missed, instants(r.count)
			samples = append(samples, s)
		}
	}
	return recordSamples(ctx, tx, samples)
}

// instants is how many instants a missed row stands for.
func instants(missedCount sql.NullInt64) int64 {
	if !missedCount.Valid {
		return 1
	}
	return missedCount.Int64
}

// earliest is the first instant that the plans name.
func earliest(due []dueRow) time.Time {
	var first time.Time
	note := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	for _, d := range due {
		if d.plan.Missed != nil {
			note(d.plan.Missed.From)
		}
		for _, at := range d.plan.Runs {
			note(at)
		}
	}
	return utc(first)
}

// ending is how waiting rows end without a call, and which.
type ending struct {
	status execution.Status
	reason string
	// index finds the waiting rows of jobs, and is to be named for them: by another
	// way the engine reads whole histories, or locks running rows, whose finish may
	// be waiting for the job.
	index string
	where string // a condition on executions
	args  []any
}

// lockWaiting begins the statement that locks waiting rows that are to end. It
// reads a column that no index has: by an index alone, MySQL also locks the row
// after the last one that it looks for, which may be a running one.
const lockWaiting = "SELECT id, job_id, scheduled_for, created_at FROM executions"

// endWaiting ends waiting rows and records that. It answers which.
func endWaiting(ctx context.Context, tx *sql.Tx, now time.Time, end ending) ([]int64, error) {
	type row struct {
		id, jobID int64
		at        time.Time
	}
	query := lockWaiting
	if end.index != "" {
		query += " FORCE INDEX (" + end.index + ")"
	}
	rows, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.jobID, &r.at, new(any))
		return r, err
	}, query+" WHERE "+end.where+" AND status IN ('pending', 'queued') ORDER BY id FOR UPDATE", end.args...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	for batch := range slices.Chunk(ids(rows, func(r row) int64 { return r.id }), markBatch) {
		// By their key, as in updateRunning.
		matched, err := execSQL(ctx, tx, `UPDATE executions FORCE INDEX (PRIMARY) SET reason = ?, ended_at = ?, updated_at = ?, slot_job_id = NULL, resend_after = NULL,
			status = ? WHERE id IN (`+placeholders(len(batch))+") AND status IN ('pending', 'queued')",
			slices.Concat([]any{end.reason, utc(now), utc(now), string(end.status)}, batch)...)
		if err != nil {
			return nil, err
		}
		if matched != int64(len(batch)) {
			return nil, errLostRace // an engine whose lock did not hold
		}
	}
	categories, err := categoriesOf(ctx, tx, ids(rows, func(r row) int64 { return r.jobID }))
	if err != nil {
		return nil, err
	}
	ended := make([]int64, len(rows))
	samples := make([]execution.Sample, len(rows))
	for i, r := range rows {
		ended[i] = r.id
		samples[i] = execution.Sample{JobID: r.jobID, CategoryID: categories[r.jobID], ScheduledFor: r.at, Status: end.status, Count: 1}
	}
	return ended, recordSamples(ctx, tx, samples)
}

// categoriesOf reads the categories of jobs.
func categoriesOf(ctx context.Context, q querier, jobIDs []any) (map[int64]int64, error) {
	categories := make(map[int64]int64, len(jobIDs))
	if len(jobIDs) == 0 {
		return categories, nil
	}
	_, err := queryAllSQL(ctx, q, func(rows *sql.Rows) (_ struct{}, err error) {
		var job, category int64
		err = rows.Scan(&job, &category)
		categories[job] = category
		return struct{}{}, err
	}, "SELECT id, category_id FROM jobs WHERE id IN ("+placeholders(len(jobIDs))+")", jobIDs...)
	return categories, err
}
