package mysql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// Enough rows for every way that a list can go: many match and few.
const (
	planJobs       = 3000
	planExecutions = 24_000
)

// byCategory reports that a step looks a job's category up by the job's id.
func byCategory(step map[string]string) bool {
	return step["key"] == "ix_jobs_category_of" && step["type"] == "ref" && (strings.Contains(step["ref"], "job_id") || strings.HasPrefix(step["ref"], "const")) && strings.Contains(step["extra"], "Using index")
}

// watchPlans gives a database and a function that does something on it and asks
// the engine how it carries out every statement of that. TiDB explains itself in
// another way.
func watchPlans(t *testing.T) (db *sql.DB, check func(name string, act func() error)) {
	t.Helper()
	if strings.Contains(os.Getenv("TEST_DB_ENGINE"), "TiDB") {
		t.Skip("SKIPPED on TiDB: the plans are asserted as MySQL and MariaDB explain them")
	}
	connector, err := mysql.Connector(mysqltest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	recorded := &recordingConnector{Connector: connector}
	db = sql.OpenDB(recorded)
	t.Cleanup(func() { _ = db.Close() })
	return db, func(name string, act func() error) {
		t.Helper()
		recorded.reset()
		if err := act(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sent := recorded.taken()
		if len(sent) == 0 {
			t.Errorf("%s: nothing was asked", name)
		}
		for _, one := range sent {
			for _, fault := range badSteps(t, db, one) {
				t.Errorf("%s: %s\n%s", name, fault, one.query)
			}
		}
	}
}

// TestListsWalkIndexes asks the engine how it carries out every statement of
// every list, by each filter and each order.
func TestListsWalkIndexes(t *testing.T) {
	t.Parallel()
	db, check := watchPlans(t)
	category := storeForPlans(t, db)
	history := mysql.NewHistory(db)
	for _, sort := range []job.Sort{"", job.SortID, job.SortName, job.SortStatus, job.SortCreatedAt, job.SortUpdatedAt, job.SortNextRunAt, job.SortLastRunAt} {
		for _, filter := range []job.Filter{
			{},
			{Status: job.Active},
			{Status: job.Failed},
			{CategoryID: category},
			{CategoryID: category + 2},
			{Method: "GET"},
			{Method: "PUT"},
			{Status: job.Active, CategoryID: category, Method: "GET"},
			{Search: "report"},
			{Search: "name 00017"},
			{Search: "qzx"},
			{Search: "report", Status: job.Active},
		} {
			for _, page := range []int{0, 1500, 2900} {
				for _, descending := range []bool{false, true} {
					filter.Sort, filter.Descending, filter.Offset, filter.Limit = sort, descending, page, 20
					jobs := mysql.NewJobs(db) // one that keeps no texts goes to the database for each search
					check(fmt.Sprintf("jobs %+v", filter), func() error {
						_, _, err := jobs.ListJobs(t.Context(), filter, noon)
						return err
					})
				}
			}
		}
	}
	from, until := noon.Add(-20*24*time.Hour), noon
	for _, q := range []execution.Query{
		{},
		{Status: execution.Success},
		{Status: execution.Missed},
		{Status: execution.Pending},
		{Trigger: execution.Schedule},
		{Trigger: execution.Manual},
		{Status: execution.Failed, Trigger: execution.Manual},
		{JobID: 1},
		{JobID: 1, Status: execution.Failed},
		{JobID: 1, Trigger: execution.Manual},
		{CategoryID: category},
		{CategoryID: category + 2},
		{CategoryID: category, Status: execution.Failed},
		{CategoryID: category, Trigger: execution.Manual},
		{Search: "report"},
		{Search: "name 00017"},
		{Search: "qzx"},
		{Search: "report", Status: execution.Failed},
	} {
		if q.JobID != 0 {
			q.JobID = firstJob(t, db)
		}
		for _, dated := range []bool{false, true} {
			for _, oldest := range []bool{false, true} {
				for _, after := range []*execution.Place{nil, {ScheduledFor: noon.Add(-10 * 24 * time.Hour), ID: 1}} {
					q.From, q.To, q.DueBy, q.Oldest, q.After, q.Limit = nil, nil, &until, oldest, after, 20
					if dated {
						q.From, q.To = &from, &until
					}
					history := mysql.NewHistory(db)
					check(fmt.Sprintf("history %+v dated %t oldest %t after %v", q, dated, oldest, after), func() error {
						_, err := history.List(t.Context(), q)
						return err
					})
				}
			}
		}
	}
	check("news", func() error {
		_, err := history.News(t.Context(), execution.Query{DueBy: &until}, execution.Change{UpdatedAt: noon.Add(-time.Hour), ID: 7})
		return err
	})
}

func firstJob(t *testing.T, db *sql.DB) (id int64) {
	t.Helper()
	if err := db.QueryRow("SELECT MIN(id) FROM jobs").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// storeForPlans stores jobs, most of them in the first of three categories, and
// a month of their executions.
func storeForPlans(t *testing.T, db *sql.DB) (category int64) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	category = 1000
	first := int64(0)
	for batch := range planJobs / 500 {
		var values []string
		var args []any
		for i := range 500 {
			n := batch*500 + i
			status, method, in := "active", "GET", category
			if n%50 == 0 {
				status, method, in = "failed", "PUT", category+2
			} else if n%3 == 0 {
				in = category + 1
			}
			name := fmt.Sprintf("name %05d report", n)
			values = append(values, "(?, ?, 'Does what it does', ?, '* * * * *', 'UTC', ?, ?, ?, ?, ?, ?)")
			at := noon.Add(-time.Duration(random.IntN(1000)) * time.Hour)
			args = append(args, name, name, []byte(name+"\xffdoes what it does"), in, method, status, noon.Add(time.Duration(n)*time.Minute), at, at)
		}
		res, err := db.Exec(`INSERT INTO jobs (name, name_key, description, search_text, cron_pattern, timezone, category_id, method, status, next_run_at,
			created_at, updated_at) VALUES `+strings.Join(values, ", "), args...)
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := res.LastInsertId(); first == 0 {
			first = id
		}
	}
	for batch := range planExecutions / 1000 {
		var values []string
		var args []any
		for i := range 1000 {
			n := batch*1000 + i
			status, trigger := "success", "schedule"
			if n%25 == 0 {
				status = "failed"
			}
			if n%40 == 0 {
				trigger = "manual"
			}
			at := noon.Add(-time.Duration(n) * 2 * time.Minute)
			values = append(values, "(?, ?, ?, ?, 1, ?, ?, ?)")
			args = append(args, first+int64(random.IntN(planJobs)), trigger, status, at, at, at, at)
		}
		if _, err := db.Exec("INSERT INTO executions (job_id, trigger_type, status, scheduled_for, revision, not_before, created_at, updated_at) VALUES "+
			strings.Join(values, ", "), args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, query := range []string{
		"INSERT INTO job_stats (job_id, last_run_at) SELECT job_id, MAX(scheduled_for) FROM executions GROUP BY job_id",
		"ANALYZE TABLE jobs, executions, job_stats",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	return category
}

// statement is one that was sent, with its arguments.
type statement struct {
	query string
	args  []any
}

// badSteps explains a statement and names the steps that follow the size of a
// table: a scan of the whole, unless of the index of searches, a sort of more
// rows than a list ever sorts, or, where executions are passed over by what
// their job is, anything but an entry of an index and the job by its id.
func badSteps(t *testing.T, db *sql.DB, one statement) (faults []string) {
	t.Helper()
	rows, err := db.Query("EXPLAIN "+one.query, one.args...)
	if err != nil {
		t.Fatalf("EXPLAIN %s: %v", one.query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	passesOver := strings.Contains(one.query, "STRAIGHT_JOIN jobs j") && strings.Contains(one.query, "executions e ")
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		step := map[string]string{}
		for i, name := range columns {
			step[strings.ToLower(name)] = values[i].String
		}
		stored := slices.Contains([]string{
			"j", "e", "s", "r", "a", "l", "t", "jobs", "executions", "attempts", "job_stats", "job_requests", "rollups", "rollup_totals",
			"sessions", "api_tokens", "audit_log",
		}, step["table"]) // users, categories and secrets are few
		switch {
		case !stored:
		case strings.Contains(one.query, "FORCE INDEX (ix_jobs_search) STRAIGHT_JOIN executions"):
			// Jobs of a name that hundreds have: a scan that soon meets the limit.
		case step["type"] == "ALL", step["type"] == "index" && step["key"] != "ix_jobs_search" && !strings.Contains(one.query, "LIMIT"):
			faults = append(faults, fmt.Sprintf("scans %v", step))
		case passesOver && step["table"] == "j" && step["type"] != "eq_ref" && step["type"] != "const" && !byCategory(step):
			faults = append(faults, fmt.Sprintf("does not look the job up by its id: %v", step))
		case passesOver && step["table"] == "e" && !strings.Contains(one.query, "e.error_message") && (!strings.Contains(step["extra"], "Using index") || strings.Contains(step["extra"], "Using index condition")):
			faults = append(faults, fmt.Sprintf("reads rows to pass them over: %v", step))
		case strings.Contains(one.query, "GROUP BY category_id"):
			// A category's sums are one row, and those are few.
		case strings.Contains(step["extra"], "Using filesort") && !strings.Contains(one.query, " IN ("):
			faults = append(faults, fmt.Sprintf("sorts %v", step))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return faults
}

// recordingConnector keeps the queries that go through it.
type recordingConnector struct {
	driver.Connector
	mu   sync.Mutex
	sent []statement
}

func (c *recordingConnector) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = nil
}

func (c *recordingConnector) taken() []statement {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]statement(nil), c.sent...)
}

func (c *recordingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &recordingConn{Conn: conn, to: c}, nil
}

type recordingConn struct {
	driver.Conn
	to *recordingConnector
}

func (c *recordingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	one := statement{query: query}
	for _, a := range args {
		one.args = append(one.args, a.Value)
	}
	if strings.HasPrefix(strings.TrimLeft(query, "("), "SELECT") { // a union may begin with (
		c.to.mu.Lock()
		c.to.sent = append(c.to.sent, one)
		c.to.mu.Unlock()
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *recordingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

func (c *recordingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *recordingConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(v)
}
