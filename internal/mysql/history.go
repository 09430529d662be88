package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/doug-martin/goqu/v9"
	"github.com/doug-martin/goqu/v9/exp"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// History reads executions for people.
type History struct {
	db    *sql.DB
	days  kept[[]dayCount]
	texts *texts
}

// NewHistory makes a reader on a pool that Open made.
func NewHistory(db *sql.DB) *History {
	return &History{db: db, days: kept[[]dayCount]{of: daysCounted, read: readDays}, texts: &texts{}}
}

// Beside is a reader that looks for names where a store of jobs does, so that
// they are kept once.
func (s *History) Beside(jobs *Jobs) *History {
	beside := NewHistory(s.db)
	beside.texts = jobs.texts
	return beside
}

var executionTable = goqu.T("e")

// executionColumns are the fields that scanExecution reads, in their order.
// The name is kept on the row of a deleted job too.
var executionColumns = []any{
	executionTable.Col("id"), executionTable.Col("job_id"), goqu.COALESCE(goqu.I("j.name"), ""),
	executionTable.Col("trigger_type"), executionTable.Col("scheduled_for"), executionTable.Col("status"),
	executionTable.Col("reason"), executionTable.Col("started_at"), executionTable.Col("ended_at"),
	executionTable.Col("attempt"), executionTable.Col("response_status"),
	executionTable.Col("error_kind"), executionTable.Col("error_message"),
	executionTable.Col("missed_until"), executionTable.Col("missed_count"), executionTable.Col("replay_of"),
	executionTable.Col("created_at"), executionTable.Col("updated_at"),
}

func scanExecution(rows *sql.Rows) (execution.Execution, error) {
	var e execution.Execution
	var reason, kind, message sql.NullString
	var response, missed, replay sql.NullInt64
	err := rows.Scan(&e.ID, &e.JobID, &e.JobName, &e.Trigger, &e.ScheduledFor, &e.Status, &reason, &e.StartedAt, &e.EndedAt,
		&e.Attempt, &response, &kind, &message, &e.MissedUntil, &missed, &replay, &e.CreatedAt, &e.UpdatedAt)
	e.Reason = reason.String
	e.ResponseStatus = int(response.Int64)
	e.MissedCount = int(missed.Int64)
	e.ReplayOf = replay.Int64
	e.Failure = failureOf(kind, message)
	return e, err
}

func failureOf(kind, message sql.NullString) *execution.Failure {
	if !kind.Valid {
		return nil
	}
	return &execution.Failure{Kind: execution.ErrorKind(kind.String), Message: message.String}
}

// read reads executions in full, in the order of ids.
func (s *History) read(ctx context.Context, ids []int64) ([]execution.Execution, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := queryAll(ctx, s.db, selectExecutions().Where(executionTable.Col("id").In(ids)), scanExecution)
	if err != nil {
		return nil, err
	}
	return inChosenOrder(found, ids), nil
}

func executionsAsE() exp.AliasedExpression { return goqu.T("executions").As("e") }

func selectExecutions() *goqu.SelectDataset {
	return dialect.From(executionsAsE()).
		LeftJoin(goqu.T("jobs").As("j"), goqu.On(goqu.I("j.id").Eq(executionTable.Col("job_id")))).
		Select(executionColumns...)
}

// Get reads an execution with its attempts; NotFound where there is none.
func (s *History) Get(ctx context.Context, id int64) (execution.Execution, error) {
	found, err := queryOne(ctx, s.db, selectExecutions().Where(executionTable.Col("id").Eq(id)), scanExecution)
	if err != nil {
		return execution.Execution{}, translate(err)
	}
	found.Attempts, err = queryAll(ctx, s.db,
		dialect.From("attempts").
			Select("execution_id", "attempt", "fence", "started_at", "ended_at", "late", "response_status",
				"response_headers", "response_body", "response_truncated", "error_kind", "error_message",
				"dns_us", "connect_us", "tls_us", "ttfb_us", "total_us").
			Where(goqu.C("execution_id").Eq(id)).
			Order(goqu.C("attempt").Asc(), goqu.C("fence").Asc(), goqu.C("late").Asc()),
		scanAttempt)
	return found, translate(err)
}

func scanAttempt(rows *sql.Rows) (execution.Attempt, error) {
	var a execution.Attempt
	var status sql.NullInt64
	var headers, body []byte
	var truncated bool
	var kind, message sql.NullString
	var dns, connect, tls, ttfb, total sql.NullInt64
	err := rows.Scan(&a.ExecutionID, &a.Attempt, &a.Fence, &a.StartedAt, &a.EndedAt, &a.Late, &status,
		&headers, &body, &truncated, &kind, &message, &dns, &connect, &tls, &ttfb, &total)
	if err != nil {
		return a, err
	}
	a.Failure = failureOf(kind, message)
	a.Timings = execution.Timings{
		DNS: duration(dns), Connect: duration(connect), TLS: duration(tls), TTFB: duration(ttfb), Total: duration(total),
	}
	if status.Valid {
		a.Response = &execution.Response{Status: int(status.Int64), Body: body, Truncated: truncated}
		a.Response.Headers, err = decodeHeaders(headers)
	}
	return a, err
}

func duration(micros sql.NullInt64) *time.Duration {
	if !micros.Valid {
		return nil
	}
	d := time.Duration(micros.Int64) * time.Microsecond
	return &d
}

// decodeHeaders reads what encodeHeaders wrote.
func decodeHeaders(text []byte) (map[string][]string, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var joined map[string]string
	if err := json.Unmarshal(text, &joined); err != nil {
		return nil, fmt.Errorf("stored response headers: %w", err)
	}
	headers := make(map[string][]string, len(joined))
	for name, value := range joined {
		headers[name] = []string{value}
	}
	return headers, nil
}
