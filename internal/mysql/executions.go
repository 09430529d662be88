package mysql

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// Executions is the delivery protocol's side of the database: claim, send,
// start, finish, sweep. It implements the stores of the dispatcher and of the
// executor.
//
// Locks are taken in one order. A change by a person and a claim lock the job
// first and its waiting executions then. A finish locks running executions
// first and, for a retry, reads the job under a shared lock before the row
// waits again; it never meets the former, which touch no running row.
// Inside a statement keys ascend.
type Executions struct {
	db     *sql.DB
	limits execution.Limits
	ring   *secret.Ring
}

// NewExecutions makes the store, with the default limits.
func NewExecutions(db *sql.DB) *Executions {
	return &Executions{db: db, limits: execution.DefaultLimits}
}

// WithLimits is the store under other limits.
func (s *Executions) WithLimits(limits execution.Limits) *Executions {
	return &Executions{db: s.db, limits: limits, ring: s.ring}
}

// WithKeys is the store with keys for secrets; without them an execution that
// has any is set aside.
func (s *Executions) WithKeys(ring *secret.Ring) *Executions {
	return &Executions{db: s.db, limits: s.limits, ring: ring}
}

// The host and port of a request's URL: enough to keep executions of one host
// together.
const hostOfURL = "SUBSTRING_INDEX(SUBSTRING_INDEX(r.url, '/', 3), '/', -1)"

// selectWaiting reads execution.Waiting; conditions on e and a limit follow.
const selectWaiting = "SELECT e.id, e.attempt, e.not_before, e.lane, " + hostOfURL + `
	FROM executions e JOIN job_requests r ON r.job_id = e.job_id AND r.revision = e.revision `

func scanWaiting(rows *sql.Rows) (w execution.Waiting, err error) {
	err = rows.Scan(&w.ID, &w.Attempt, &w.NotBefore, &w.Lane, &w.Host)
	return w, err
}

// placeholders is "?, ?, ?" for n values.
func placeholders(n int) string {
	return strings.TrimSuffix(strings.Repeat("?, ", n), ", ")
}

// tuples is "(?, ?), (?, ?)" for n tuples of width values.
func tuples(n, width int) string {
	one := "(" + placeholders(width) + ")"
	return strings.TrimSuffix(strings.Repeat(one+", ", n), ", ")
}

// caseByID builds "CASE id WHEN ? THEN ? … END" and its arguments: one
// statement that gives each row its own value.
type caseByID struct {
	text strings.Builder
	args []any
}

func newCase(column string) *caseByID {
	c := &caseByID{}
	fmt.Fprintf(&c.text, "CASE %s", column)
	return c
}

func (c *caseByID) when(id int64, value any) {
	c.text.WriteString(" WHEN ? THEN ?")
	c.args = append(c.args, id, value)
}

func (c *caseByID) end() string { return c.text.String() + " END" }

// shortest is the CASE and its arguments, or the one value that all rows share:
// the server compares every row with every branch. It is for statements that
// touch no other rows than those of the CASE.
func (c *caseByID) shortest() (text string, args []any) {
	for i := 3; i < len(c.args); i += 2 {
		if c.args[i] != c.args[1] {
			return c.end(), c.args
		}
	}
	return "?", c.args[1:2]
}

// tupleSet builds a condition that rows are among some, by their values in
// columns of which the first is an id.
type tupleSet struct {
	columns []string
	args    []any
}

func newTuples(columns ...string) *tupleSet { return &tupleSet{columns: columns} }

func (t *tupleSet) add(values ...any) { t.args = append(t.args, values...) }

// shortest is the condition and its arguments. Where all share the values
// beside the id these are said once: a server compares each row with each tuple.
func (t *tupleSet) shortest() (text string, args []any) {
	width := len(t.columns)
	count := len(t.args) / width
	idArgs := make([]any, count)
	same := true
	for i := range count {
		idArgs[i] = t.args[i*width]
		for column := 1; column < width; column++ {
			same = same && t.args[i*width+column] == t.args[column]
		}
	}
	text = t.columns[0] + " IN (" + placeholders(count) + ")"
	if !same {
		return text + " AND (" + strings.Join(t.columns, ", ") + ") IN (" + tuples(count, width) + ")", slices.Concat(idArgs, t.args)
	}
	for _, column := range t.columns[1:] {
		text += " AND " + column + " = ?"
	}
	return text, slices.Concat(idArgs, t.args[1:width])
}

// ids collects one int64 of each item as arguments, ascending and distinct.
func ids[T any](items []T, id func(T) int64) []any {
	numbers := make([]int64, len(items))
	for i, item := range items {
		numbers[i] = id(item)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	args := make([]any, len(numbers))
	for i, n := range numbers {
		args[i] = n
	}
	return args
}

// utc makes an instant what the columns hold: UTC, whole milliseconds.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// nullTime is NULL for a nil instant.
func nullTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return utc(*t)
}

// nullString is NULL for an empty text.
func nullString(s string) any {
	if s == "" {
		return nil
	}
	return s
}
