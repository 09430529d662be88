package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"
	"github.com/doug-martin/goqu/v9/exp"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// History reads executions for people. Every statement here is bounded,
// whatever the size of the table: counting stops at maxCounted, and a page is
// either read along an index in its order or sorted out of no more rows than
// were counted.
type History struct{ db *sql.DB }

// NewHistory makes a reader on a pool that Open made.
func NewHistory(db *sql.DB) *History { return &History{db: db} }

const (
	// maxCounted is where counting stops: beyond it nobody turns pages.
	maxCounted = 10_000
	// maxNamedJobs is how many jobs a search by name or category is turned
	// into a list of; more are looked up from each execution instead.
	maxNamedJobs = 500
)

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

// List reads a page of the history, without attempts.
func (s *History) List(ctx context.Context, q execution.Query) (execution.Page, error) {
	where, none, err := s.conditions(ctx, q)
	if err != nil || none {
		return execution.Page{}, translate(err)
	}
	page := execution.Page{}
	matching := dialect.From(executionsAsE()).Where(where...)
	counted, err := queryOne(ctx, s.db,
		dialect.From(matching.Select(goqu.L("1").As("one")).Limit(maxCounted+1).As("t")).Select(goqu.COUNT("*")),
		scanInto[int64])
	if err != nil {
		return execution.Page{}, translate(err)
	}
	page.Total = min(counted, maxCounted)
	page.TotalIsLowerBound = counted > maxCounted
	if !page.TotalIsLowerBound && q.After == nil && int64(q.Offset) >= counted ||
		page.TotalIsLowerBound && q.After == nil && q.Offset > execution.MaxOffset {
		return page, nil
	}
	ids, err := s.pageOfIDs(ctx, q, where, page.TotalIsLowerBound)
	if err != nil {
		return execution.Page{}, translate(err)
	}
	if len(ids) > q.Limit {
		page.More = true
		ids = ids[:q.Limit]
	}
	page.Executions, err = s.read(ctx, ids)
	return page, translate(err)
}

func executionsAsE() exp.AliasedExpression { return goqu.T("executions").As("e") }

// pageOfIDs chooses the page on narrow rows, and one row more, which tells
// whether others follow.
func (s *History) pageOfIDs(ctx context.Context, q execution.Query, where []goqu.Expression, many bool) ([]int64, error) {
	var from exp.Expression
	if many {
		// So many match that the first page is near the index's end. Without
		// the hint an engine may sort all of them instead.
		index := "ix_executions_scheduled"
		if q.JobID != 0 {
			index = "ix_executions_job_scheduled"
		}
		from = goqu.L("executions AS e FORCE INDEX (" + index + ")")
	} else {
		// So few match that sorting them is cheap, while an index in order
		// might be walked from end to end in search of them. A limit without
		// an order, which they do not reach, keeps engines from that plan.
		from = dialect.From(executionsAsE()).
			Select(executionTable.Col("id"), executionTable.Col("scheduled_for")).
			Where(where...).Limit(maxCounted + 1).As("e")
		where = nil
	}
	page := dialect.From(from).Select(executionTable.Col("id")).Where(where...).Limit(uint(q.Limit) + 1)
	at, id := executionTable.Col("scheduled_for"), executionTable.Col("id")
	if q.Oldest {
		page = page.Order(at.Asc(), id.Asc())
	} else {
		page = page.Order(at.Desc(), id.Desc())
	}
	switch {
	case q.After == nil:
		page = page.Offset(uint(q.Offset))
	case q.Oldest:
		page = page.Where(at.Gte(q.After.ScheduledFor), goqu.Or(at.Gt(q.After.ScheduledFor), id.Gt(q.After.ID)))
	default:
		page = page.Where(at.Lte(q.After.ScheduledFor), goqu.Or(at.Lt(q.After.ScheduledFor), id.Lt(q.After.ID)))
	}
	return queryAll(ctx, s.db, page, scanInto[int64])
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
	byID := make(map[int64]execution.Execution, len(found))
	for _, e := range found {
		byID[e.ID] = e
	}
	ordered := make([]execution.Execution, 0, len(ids))
	for _, id := range ids {
		if e, ok := byID[id]; ok { // retention may have been faster
			ordered = append(ordered, e)
		}
	}
	return ordered, nil
}

func selectExecutions() *goqu.SelectDataset {
	return dialect.From(executionsAsE()).
		LeftJoin(goqu.T("jobs").As("j"), goqu.On(goqu.I("j.id").Eq(executionTable.Col("job_id")))).
		Select(executionColumns...)
}

// conditions turns a query's filters into SQL. none reports that nothing can
// match.
func (s *History) conditions(ctx context.Context, q execution.Query) (where []goqu.Expression, none bool, err error) {
	if q.JobID != 0 {
		where = append(where, executionTable.Col("job_id").Eq(q.JobID))
	}
	if q.Status != "" {
		where = append(where, executionTable.Col("status").Eq(string(q.Status)))
	}
	if q.Trigger != "" {
		where = append(where, executionTable.Col("trigger_type").Eq(string(q.Trigger)))
	}
	if q.From != nil {
		where = append(where, executionTable.Col("scheduled_for").Gte(utc(*q.From)))
	}
	if q.To != nil {
		where = append(where, executionTable.Col("scheduled_for").Lte(utc(*q.To)))
	}
	if q.DueBy != nil {
		where = append(where, executionTable.Col("scheduled_for").Lte(utc(*q.DueBy)))
	}
	if q.CategoryID != 0 {
		of, err := s.ofJobs(ctx, goqu.I("j.category_id").Eq(q.CategoryID))
		if err != nil {
			return nil, false, err
		}
		if of == nil {
			return nil, true, nil
		}
		where = append(where, of)
	}
	if q.Search != "" {
		part := strings.ToLower(q.Search)
		matches, err := s.ofJobs(ctx, containsFolded("j.name", part))
		if err != nil {
			return nil, false, err
		}
		if q.SearchErrors {
			inError := goqu.Expression(containsFolded("e.error_message", part))
			if matches != nil {
				inError = goqu.Or(matches, inError)
			}
			matches = inError
		}
		if matches == nil {
			return nil, true, nil
		}
		where = append(where, matches)
	}
	return where, false, nil
}

// ofJobs is the condition that an execution's job fulfils another; nil where
// no job does. Few jobs are named, so that each one's index serves; many are
// looked up from the executions, which then are dense.
func (s *History) ofJobs(ctx context.Context, fulfil goqu.Expression) (goqu.Expression, error) {
	jobs := dialect.From(goqu.T("jobs").As("j")).Select(goqu.I("j.id")).Where(fulfil)
	ids, err := queryAll(ctx, s.db, jobs.Limit(maxNamedJobs+1), scanInto[int64])
	switch {
	case err != nil:
		return nil, err
	case len(ids) == 0:
		return nil, nil
	case len(ids) <= maxNamedJobs:
		return executionTable.Col("job_id").In(ids), nil
	default:
		return executionTable.Col("job_id").In(jobs), nil
	}
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
