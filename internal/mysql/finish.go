package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// finishing is one transition under way.
type finishing struct {
	*execution.Finish
	*execution.Finished
}

// Finish applies transitions in one transaction: executions, jobs, attempts,
// statistics, summaries, in this order. Each takes effect only while its row is running
// under its fence; otherwise the attempt alone is kept, as late.
func (s *Executions) Finish(ctx context.Context, now time.Time, batch []execution.Finish) ([]execution.Finished, error) {
	now = utc(now)
	finished := make([]execution.Finished, len(batch))
	held, err := s.finishTx(ctx, now, batch, finished, true)
	if errors.Is(err, errNotAllHeld) {
		held, err = s.finishTx(ctx, now, batch, finished, false)
	}
	if err != nil {
		return finished, err
	}
	// The outcomes are recorded whatever becomes of this; the next outcome of
	// the same job looks again.
	if err := s.judgeJobs(ctx, now, held); err != nil {
		slog.WarnContext(ctx, "jobs were not judged by their outcomes; their next outcome tries again", "err", err)
	}
	return finished, nil
}

// errNotAllHeld says that some row of a batch is not running under its fence.
var errNotAllHeld = errors.New("mysql: a row has gone on without its worker")

// finishTx is Finish's transaction; it returns the transitions that took effect.
// In nearly every batch all of them do and none has to read its job first; such
// a batch is written without locking its rows beforehand when confident is set,
// for the update compares all that the lock would. Should it match fewer rows,
// everything is undone and the error is errNotAllHeld.
func (s *Executions) finishTx(ctx context.Context, now time.Time, batch []execution.Finish, finished []execution.Finished, confident bool) (held []finishing, err error) {
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		all := make([]finishing, len(batch))
		for i := range batch {
			finished[i] = execution.Finished{}
			all[i] = finishing{&batch[i], &finished[i]}
		}
		slices.SortFunc(all, func(a, b finishing) int { return cmp.Compare(a.ID, b.ID) })
		if confident && !slices.ContainsFunc(all, finishing.waitsAgain) {
			for _, f := range all {
				f.Applied, f.Finished.Status = true, f.Finish.Status
			}
			held = all
			err := updateFinished(ctx, tx, now, held)
			if errors.Is(err, errLostRace) {
				return errNotAllHeld
			}
			if err != nil {
				return err
			}
		} else {
			var err error
			if held, err = lockHeld(ctx, tx, all); err != nil {
				return err
			}
			if len(held) > 0 {
				if err := endRetriesOfStopped(ctx, tx, held); err != nil {
					return err
				}
				if err := updateFinished(ctx, tx, now, held); err != nil {
					return err
				}
			}
		}
		unrecorded, err := recognise(ctx, tx, all)
		if err != nil {
			return err
		}
		if err := insertAttempts(ctx, tx, unrecorded); err != nil {
			return err
		}
		if err := countFinished(ctx, tx, held); err != nil {
			return err
		}
		return recordFinished(ctx, tx, held)
	})
	return held, err
}

// waitsAgain reports a transition to another attempt.
func (f finishing) waitsAgain() bool { return f.Finish.Status == execution.Pending }

// lockHeld locks the rows that are still running under the fence they were
// started with, and marks those transitions as applied.
func lockHeld(ctx context.Context, tx *sql.Tx, all []finishing) ([]finishing, error) {
	idArgs := ids(all, func(f finishing) int64 { return f.ID })
	var pairs []any
	for _, f := range all {
		pairs = append(pairs, f.ID, f.Fence)
	}
	type start struct {
		id    int64
		fence int
	}
	locked, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (s start, err error) {
		err = rows.Scan(&s.id, &s.fence)
		return s, err
	}, "SELECT id, fence FROM executions FORCE INDEX (PRIMARY) WHERE id IN ("+placeholders(len(idArgs))+
		") AND status = 'running' AND (id, fence) IN ("+tuples(len(all), 2)+") ORDER BY id FOR UPDATE", slices.Concat(idArgs, pairs)...)
	if err != nil {
		return nil, err
	}
	var held []finishing
	for _, f := range all {
		if slices.Contains(locked, start{f.ID, f.Fence}) {
			f.Applied, f.Finished.Status = true, f.Finish.Status
			held = append(held, f)
		}
	}
	return held, nil
}

// recognise finds transitions that were applied before: their commit succeeded
// and its answer was lost. Their own record is there, alike in times and outcome; it
// is not written again.
func recognise(ctx context.Context, tx *sql.Tx, all []finishing) (unknown []finishing, err error) {
	var lost []finishing
	for _, f := range all {
		if f.Applied {
			unknown = append(unknown, f)
		} else {
			lost = append(lost, f)
		}
	}
	if len(lost) == 0 {
		return unknown, nil
	}
	type record struct {
		id             int64
		attempt, fence int
		started, ended time.Time
		response       int
		failure        execution.ErrorKind
		now            execution.Status
		nowAttempt     int
	}
	args := ids(lost, func(f finishing) int64 { return f.ID })
	records, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r record, err error) {
		err = rows.Scan(&r.id, &r.attempt, &r.fence, &r.started, &r.ended, &r.response, &r.failure, &r.now, &r.nowAttempt)
		return r, err
	}, `SELECT a.execution_id, a.attempt, a.fence, a.started_at, a.ended_at, COALESCE(a.response_status, 0), COALESCE(a.error_kind, ''),
		e.status, e.attempt FROM attempts a
		JOIN executions e ON e.id = a.execution_id WHERE a.late = 0 AND a.execution_id IN (`+placeholders(len(args))+")", args...)
	if err != nil {
		return nil, err
	}
	for _, f := range lost {
		ours := slices.IndexFunc(records, func(r record) bool {
			own := record{id: f.ID, attempt: f.Attempt.Attempt, fence: f.Fence, started: r.started, ended: r.ended, now: r.now, nowAttempt: r.nowAttempt}
			if f.Attempt.Response != nil {
				own.response = f.Attempt.Response.Status
			}
			if f.Attempt.Failure != nil {
				own.failure = f.Attempt.Failure.Kind
			}
			return r == own && r.started.Equal(utc(f.Attempt.StartedAt)) && r.ended.Equal(utc(f.Attempt.EndedAt))
		})
		if ours < 0 {
			unknown = append(unknown, f)
			continue
		}
		f.Applied, f.Finished.Status = true, records[ours].now
		if f.Finish.Status == execution.Pending && records[ours].nowAttempt == f.Attempt.Attempt+1 {
			f.Finished.Status = execution.Pending
		}
	}
	return unknown, nil
}

// endRetriesOfStopped reads the jobs of rows that would wait again, under a
// shared lock. A pause or a deletion that came before ends the row instead;
// one that comes after sees it waiting, and cancels it.
func endRetriesOfStopped(ctx context.Context, tx *sql.Tx, held []finishing) error {
	var again []finishing
	for _, f := range held {
		if f.Finished.Status == execution.Pending {
			again = append(again, f)
		}
	}
	if len(again) == 0 {
		return nil
	}
	args := ids(again, func(f finishing) int64 { return f.JobID })
	type row struct {
		id               int64
		stopped, deleted bool
	}
	jobs, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.stopped, &r.deleted)
		return r, err
	}, "SELECT id, status <> 'active', deleted_at IS NOT NULL FROM jobs WHERE id IN ("+placeholders(len(args))+") ORDER BY id LOCK IN SHARE MODE", args...)
	if err != nil {
		return err
	}
	known := map[int64]row{}
	for _, j := range jobs {
		known[j.id] = j
	}
	for _, f := range again {
		j, ok := known[f.JobID]
		if !ok || j.deleted || j.stopped && f.Trigger == execution.Schedule {
			f.Finished.Status = f.End()
		}
	}
	return nil
}

// updateFinished writes the rows' new states in one statement for those that
// end and one for those that wait again.
func updateFinished(ctx context.Context, tx *sql.Tx, now time.Time, held []finishing) error {
	var ended, again []finishing
	for _, f := range held {
		if f.Finished.Status == execution.Pending {
			again = append(again, f)
		} else {
			ended = append(ended, f)
		}
	}
	if err := updateRows(ctx, tx, ended, finalColumns(now)); err != nil {
		return err
	}
	return updateRows(ctx, tx, again, retryColumns(now))
}

// column is a column with its value for each row, or one text for all.
type column struct {
	name  string
	value func(finishing) any
	cast  string // the SQL type, where all values may be NULL
	text  string // instead of value
}

func finalColumns(now time.Time) []column {
	return []column{
		{name: "reason", cast: "CHAR", value: func(f finishing) any {
			if f.Finish.Status == execution.Pending {
				return execution.JobStopped
			}
			return nullString(f.Reason)
		}},
		{name: "started_at", cast: "DATETIME(3)", value: func(f finishing) any { return utc(f.FirstStartedAt) }},
		{name: "ended_at", cast: "DATETIME(3)", value: func(f finishing) any { return utc(f.Attempt.EndedAt) }},
		{name: "response_status", cast: "SIGNED", value: responseStatus},
		{name: "error_kind", cast: "CHAR", value: errorKind},
		{name: "error_message", cast: "CHAR", value: errorMessage},
		{name: "slot_job_id", text: "NULL"},
		{name: "lease_until", text: "NULL"},
		{name: "updated_at", value: func(finishing) any { return now }, cast: "DATETIME(3)"},
		{name: "status", value: func(f finishing) any { return string(f.Finished.Status) }, cast: "CHAR"},
	}
}

func retryColumns(now time.Time) []column {
	return []column{
		{name: "started_at", cast: "DATETIME(3)", value: func(f finishing) any { return utc(f.FirstStartedAt) }},
		{name: "not_before", cast: "DATETIME(3)", value: func(f finishing) any { return utc(f.NotBefore) }},
		{name: "lane", cast: "CHAR", value: func(f finishing) any { return string(f.Lane) }},
		// Soon, where nobody sends it; a distant one in time to be sent ahead.
		{name: "resend_after", cast: "DATETIME(3)", value: func(f finishing) any { return utc(retrySweepAt(now, f.NotBefore)) }},
		{name: "response_status", cast: "SIGNED", value: responseStatus},
		{name: "error_kind", cast: "CHAR", value: errorKind},
		{name: "error_message", cast: "CHAR", value: errorMessage},
		{name: "attempt", text: "attempt + 1"},
		{name: "resends", text: "0"},
		{name: "lease_until", text: "NULL"},
		{name: "updated_at", value: func(finishing) any { return now }, cast: "DATETIME(3)"},
		{name: "status", text: "'pending'"},
	}
}

// retrySweepAt is when a tick takes a retry over from the worker that made it
// wait: soon, or early enough before a distant instant.
func retrySweepAt(now, notBefore time.Time) time.Time {
	soon := now.Add(dispatch.SendGrace)
	if at := notBefore.Add(-dispatch.LookAhead); at.After(soon) {
		return at
	}
	return soon
}

func responseStatus(f finishing) any {
	if f.Attempt.Response == nil {
		return nil
	}
	return f.Attempt.Response.Status
}

func errorKind(f finishing) any {
	if f.Attempt.Failure == nil {
		return nil
	}
	return string(f.Attempt.Failure.Kind)
}

func errorMessage(f finishing) any {
	if f.Attempt.Failure == nil {
		return nil
	}
	return cut(f.Attempt.Failure.Message, 1000)
}

// updateRows sets columns of locked rows; the fence is compared once more, for
// an engine whose lock might not hold. The key is named as in updateRunning: by
// the index of what runs, others' rows would be locked too.
func updateRows(ctx context.Context, tx *sql.Tx, rows []finishing, columns []column) error {
	if len(rows) == 0 {
		return nil
	}
	var (
		query strings.Builder
		args  []any
	)
	query.WriteString("UPDATE executions FORCE INDEX (PRIMARY) SET ")
	for i, c := range columns {
		if i > 0 {
			query.WriteString(", ")
		}
		query.WriteString(c.name + " = ")
		if c.value == nil {
			query.WriteString(c.text)
			continue
		}
		values := newCase("id")
		for _, f := range rows {
			values.when(f.ID, c.value(f))
		}
		value, valueArgs := values.shortest()
		query.WriteString("CAST(" + value + " AS " + c.cast + ")")
		args = append(args, valueArgs...)
	}
	idArgs := ids(rows, func(f finishing) int64 { return f.ID })
	query.WriteString(" WHERE id IN (" + placeholders(len(idArgs)) + ") AND status = 'running' AND (id, fence) IN (" + tuples(len(rows), 2) + ")")
	args = append(args, idArgs...)
	for _, f := range rows {
		args = append(args, f.ID, f.Fence)
	}
	matched, err := execSQL(ctx, tx, query.String(), args...)
	if err == nil && matched != int64(len(rows)) {
		return errLostRace
	}
	return err
}

const insertAttempt = `INSERT INTO attempts (execution_id, attempt, fence, started_at, ended_at, late, response_status, response_headers,
	response_body, response_truncated, error_kind, error_message, dns_us, connect_us, tls_us, ttfb_us, total_us) VALUES `

// maxStoredHeaders bounds the answer's headers as they are stored, in bytes.
const maxStoredHeaders = 16 << 10

// insertAttempts appends the record of each call. The same record again, after
// a commit whose answer was lost, changes nothing.
func insertAttempts(ctx context.Context, tx *sql.Tx, all []finishing) error {
	if len(all) == 0 {
		return nil
	}
	var args []any
	for _, f := range all {
		a := f.Attempt
		var headers, body any
		truncated := false
		if a.Response != nil {
			headers, body, truncated = encodeHeaders(a.Response.Headers), a.Response.Body, a.Response.Truncated
		}
		args = append(args, a.ExecutionID, a.Attempt, a.Fence, utc(a.StartedAt), utc(a.EndedAt), !f.Applied, responseStatus(f), headers,
			body, truncated, errorKind(f), errorMessage(f), micros(a.Timings.DNS), micros(a.Timings.Connect), micros(a.Timings.TLS),
			micros(a.Timings.TTFB), micros(a.Timings.Total))
	}
	_, err := execSQL(ctx, tx, insertAttempt+tuples(len(all), 17)+" ON DUPLICATE KEY UPDATE execution_id = VALUES(execution_id)", args...)
	return err
}

// encodeHeaders writes an answer's headers as JSON, in alphabetical order,
// leaving out what exceeds the bound.
func encodeHeaders(headers map[string][]string) any {
	kept := map[string]string{}
	size := 0
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := strings.ToValidUTF8(strings.Join(headers[name], ", "), "\uFFFD")
		if size += len(name) + len(value); size > maxStoredHeaders {
			break
		}
		kept[strings.ToLower(strings.ToValidUTF8(name, "\uFFFD"))] = value
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return nil
	}
	return text
}

func micros(d *time.Duration) any {
	if d == nil {
		return nil
	}
	return d.Microseconds()
}
