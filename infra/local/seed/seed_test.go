package seed_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/local/seed"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

var discard = slog.New(slog.DiscardHandler)

var now = time.Date(2026, 3, 1, 15, 30, 0, 0, time.UTC)

func plan(t *testing.T) seed.Plan {
	t.Helper()
	p, err := seed.NewPlan(50, 5000, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// emptied is a schema of its own, for filling alters the tables.
func emptied(t *testing.T) *sql.DB {
	t.Helper()
	db := mysqltest.Empty(t)
	if _, err := mysql.MigrateUp(t.Context(), db, discard); err != nil {
		t.Fatal(err)
	}
	if _, err := mysql.Seed(t.Context(), db, now); err != nil {
		t.Fatal(err)
	}
	return db
}

func count(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func indexes(t *testing.T, db *sql.DB) int {
	t.Helper()
	return count(t, db, "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'executions'")
}

func TestFill(t *testing.T) {
	t.Parallel()
	db := emptied(t)
	before := indexes(t, db)
	filled, logged, err := seed.Fill(t.Context(), db, plan(t), func(string) {})
	if err != nil || !filled || !logged {
		t.Fatal(filled, logged, err)
	}
	if after := indexes(t, db); after != before {
		t.Errorf("%d columns are indexed, before it were %d", after, before)
	}
	for query, want := range map[string]int{
		"SELECT COUNT(*) FROM jobs":                                   50,
		"SELECT COUNT(*) FROM job_requests":                           50,
		"SELECT COUNT(*) FROM executions":                             5000,
		"SELECT COUNT(DISTINCT trigger_type) FROM executions":         3,
		"SELECT COUNT(DISTINCT status) FROM executions":               6,
		"SELECT COUNT(DISTINCT MONTH(scheduled_for)) FROM executions": 12,
		"SELECT COUNT(*) FROM executions WHERE ended_at IS NULL":      0,
		"SELECT COUNT(*) FROM executions WHERE scheduled_for > NOW()": 0,
		"SELECT COUNT(*) FROM jobs WHERE next_run_at < '2026-03-02'":  0,
		"SELECT COUNT(*) FROM jobs j JOIN categories c ON c.id = j.category_id WHERE c.status = 'inactive' AND j.next_run_at IS NOT NULL": 0,
		"SELECT COUNT(*) FROM jobs WHERE search_text IS NULL OR LOCATE(LOWER(name), search_text) <> 1":                                    0,
		// What stands in job_stats is what the history holds.
		`SELECT COUNT(*) FROM job_stats s JOIN (SELECT job_id, COUNT(*) AS runs, SUM(status = 'success') AS good, MAX(started_at) AS last
			FROM executions WHERE started_at IS NOT NULL GROUP BY job_id) e ON e.job_id = s.job_id
			WHERE s.total_executions <> e.runs OR s.success_count <> e.good OR s.last_run_at <> e.last`: 0,
		"SELECT (SELECT SUM(total_executions) FROM job_stats) - (SELECT COUNT(*) FROM executions WHERE started_at IS NOT NULL)":       0,
		"SELECT (SELECT COUNT(DISTINCT execution_id) FROM attempts) - (SELECT COUNT(*) FROM executions WHERE started_at IS NOT NULL)": 0,
	} {
		if got := count(t, db, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	checkSummaries(t, db)
	if filled, logged, err := seed.Fill(t.Context(), db, plan(t), func(string) {}); err != nil || filled || logged {
		t.Errorf("a second time: filled %t, logged %t, %v", filled, logged, err)
	}
	if unfinished, err := seed.Unfinished(t.Context(), db); err != nil || unfinished {
		t.Errorf("done, and unfinished is %t, %v", unfinished, err)
	}
	other, _ := seed.NewPlan(51, 5000, now)
	if _, _, err := seed.Fill(t.Context(), db, other, func(string) {}); !errors.Is(err, seed.ErrNotEmpty) {
		t.Errorf("another plan: %v", err)
	}
}

// checkSummaries recounts what dashboards are read from.
func checkSummaries(t *testing.T, db *sql.DB) {
	t.Helper()
	rollups := mysql.NewRollups(db)
	repaired, err := rollups.Repair(t.Context(), false)
	if err != nil || repaired.Hours != 0 || repaired.Jobs != 50 {
		t.Errorf("a recount: %+v, %v", repaired, err)
	}
	until := now.Truncate(24 * time.Hour)
	begin := until.AddDate(-1, 0, 0)
	year, err := rollups.Totals(t.Context(), begin, until)
	if err != nil || year.Summary.Total() != 5000 {
		t.Errorf("a year holds %+v, %v", year.Summary.Outcomes, err)
	}
	byHour, err := rollups.Totals(t.Context(), begin.Add(time.Hour), until.Add(-time.Hour))
	if err != nil || byHour.Summary.Total() >= 5000 || byHour.Summary.Total() < 4900 {
		t.Errorf("a year but for two hours holds %+v, %v", byHour.Summary.Outcomes, err)
	}
	// The totals are the jobs' hours added up, by whichever span they are read.
	for span, category := range map[string]string{"hour": "0", "day": "0", "category_hour": "category_id", "category_day": "category_id"} {
		start := "hour"
		if span == "day" || span == "category_day" {
			start = "CAST(DATE(hour) AS DATETIME)"
		}
		var differ, all int
		query := `SELECT COUNT(*), COALESCE(SUM(r.success <> t.success OR r.failed <> t.failed OR r.skipped <> t.skipped OR r.missed <> t.missed OR r.cancelled <> t.cancelled
			OR r.abandoned <> t.abandoned OR r.ds <> t.duration_sum OR r.dm <> t.duration_max OR r.ls <> t.lateness_sum OR r.lm <> t.lateness_max), 0) FROM
			(SELECT ` + start + " AS start, " + category + ` AS category, SUM(success) AS success, SUM(failed) AS failed, SUM(skipped) AS skipped, SUM(missed) AS missed,
				SUM(cancelled) AS cancelled, SUM(abandoned) AS abandoned, SUM(duration_sum) AS ds, MAX(duration_max) AS dm, SUM(lateness_sum) AS ls, MAX(lateness_max) AS lm
				FROM rollups GROUP BY 1, 2) AS r JOIN rollup_totals t ON t.span = ? AND t.start = r.start AND t.category_id = r.category`
		if err := db.QueryRowContext(t.Context(), query, span).Scan(&all, &differ); err != nil {
			t.Fatal(err)
		}
		if stored := count(t, db, "SELECT COUNT(*) FROM rollup_totals WHERE span = ?", span); differ != 0 || all != stored || all == 0 {
			t.Errorf("%s: of %d totals %d have their jobs' hours, and %d differ", span, stored, all, differ)
		}
	}
}

// A database that was filled before there was an audit log gets one, beside the
// entries that it may have.
func TestFillAddsTheAuditLogToAnOlderDatabase(t *testing.T) {
	t.Parallel()
	db := emptied(t)
	if _, _, err := seed.Fill(t.Context(), db, plan(t), func(string) {}); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"DELETE FROM audit_log",
		"DELETE FROM seed_large WHERE name = 'audit_log'",
		"INSERT INTO audit_log (id, at, request_id, address, action, entity, entity_name) VALUES (17, '2026-03-01 08:00:00', 'mine', '', 'auth.login_failed', 'user', '')",
	} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	filled, logged, err := seed.Fill(t.Context(), db, plan(t), func(line string) { said = append(said, line) })
	if err != nil || filled || !logged {
		t.Errorf("filled %t, logged %t, %v", filled, logged, err)
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], "audit_log: 100.0 %, 100 rows") {
		t.Errorf("said %q", said)
	}
	if n := count(t, db, "SELECT COUNT(*) FROM audit_log WHERE request_id = 'mine'"); n != 1 {
		t.Errorf("%d of its own entries", n)
	}
	if n := count(t, db, "SELECT COUNT(*) FROM jobs"); n != 50 {
		t.Errorf("%d jobs", n)
	}
}

// TestTheAuditLogIsSpread looks at a log of some size.
func TestTheAuditLogIsSpread(t *testing.T) {
	t.Parallel()
	db := emptied(t)
	p, err := seed.NewPlan(10_000, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := seed.Fill(t.Context(), db, p, func(string) {}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		"SELECT COUNT(*) FROM audit_log":                                                                                           20_000,
		"SELECT COUNT(DISTINCT action) FROM audit_log":                                                                             len(audit.Actions),
		"SELECT COUNT(DISTINCT entity) FROM audit_log":                                                                             len(audit.Entities),
		"SELECT COUNT(DISTINCT MONTH(at)) FROM audit_log":                                                                          12,
		"SELECT COUNT(*) FROM audit_log WHERE at < '2025-03-01' OR at >= '2026-03-01'":                                             0,
		"SELECT COUNT(DISTINCT user_id) FROM audit_log":                                                                            40,
		"SELECT COUNT(*) BETWEEN 9000 AND 11000 FROM audit_log WHERE user_id = 1":                                                  1,
		"SELECT COUNT(*) FROM audit_log a JOIN jobs j ON j.id = a.entity_id WHERE a.entity = 'job' AND j.name <> a.entity_name":    0,
		"SELECT COUNT(*) FROM audit_log WHERE COALESCE(JSON_VALID(before_json), 1) = 0 OR COALESCE(JSON_VALID(after_json), 1) = 0": 0,
	} {
		if got := count(t, db, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	for _, action := range audit.Actions {
		if n := count(t, db, "SELECT COUNT(*) FROM audit_log WHERE action = ? AND entity <> ?", string(action), string(action.Of())); n != 0 {
			t.Errorf("%s of another kind than %s: %d", action, action.Of(), n)
		}
	}
	page, err := mysql.NewAudit(db).List(t.Context(), audit.Query{UserID: 1, Action: audit.JobExecute, Limit: 10})
	if err != nil || len(page.Entries) != 10 || page.Total < 500 {
		t.Errorf("what the first user ran: %d of %d, %v", len(page.Entries), page.Total, err)
	}
}

func TestFillGoesOnAndIsTheSame(t *testing.T) {
	t.Parallel()
	whole, broken := emptied(t), emptied(t)
	if _, _, err := seed.Fill(t.Context(), whole, plan(t), func(string) {}); err != nil {
		t.Fatal(err)
	}
	// Interrupted once the first jobs are written, and begun again a week later.
	ctx, cancel := context.WithCancel(t.Context())
	if _, _, err := seed.Fill(ctx, broken, plan(t), func(string) { cancel() }); err == nil {
		t.Fatal("it was not interrupted")
	}
	if unfinished, err := seed.Unfinished(t.Context(), broken); err != nil || !unfinished {
		t.Errorf("interrupted, and unfinished is %t, %v", unfinished, err)
	}
	later, err := seed.NewPlan(50, 5000, now.AddDate(0, 0, 7))
	if err != nil {
		t.Fatal(err)
	}
	if filled, logged, err := seed.Fill(t.Context(), broken, later, func(string) {}); err != nil || !filled || !logged {
		t.Fatal(filled, logged, err)
	}
	for _, query := range []string{
		"SELECT GROUP_CONCAT(CONCAT_WS(' ', id, name, status, next_run_at, category_id) ORDER BY id) FROM jobs",
		"SELECT SUM(CRC32(CONCAT_WS(' ', id, job_id, trigger_type, status, scheduled_for, ended_at, error_kind))) FROM executions",
		"SELECT SUM(CRC32(CONCAT_WS(' ', execution_id, attempt, started_at, ended_at))) FROM attempts",
		"SELECT SUM(CRC32(CONCAT_WS(' ', job_id, total_executions, consecutive_failures, last_run_at))) FROM job_stats",
		"SELECT SUM(CRC32(CONCAT_WS(' ', job_id, hour, category_id, success, duration_max, HEX(durations)))) FROM rollups",
		"SELECT SUM(CRC32(CONCAT_WS(' ', at, user_id, session_id, request_id, action, entity_id, entity_name))) FROM audit_log",
		"SELECT SUM(CRC32(CONCAT_WS(' ', span, start, category_id, success, lateness_sum, HEX(latenesses)))) FROM rollup_totals",
	} {
		var a, b string
		if err := whole.QueryRow(query).Scan(&a); err != nil {
			t.Fatal(err)
		}
		if err := broken.QueryRow(query).Scan(&b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s (-whole +broken):\n%s", query, diff)
		}
	}
}

func TestFillRefusesOtherData(t *testing.T) {
	t.Parallel()
	db := emptied(t)
	if _, err := db.Exec(`INSERT INTO jobs (name, description, cron_pattern, timezone, category_id, method, status, created_at, updated_at)
		VALUES ('Mine', 'Not to be touched', '* * * * *', 'UTC', 1, 'GET', 'active', ?, ?)`, now, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := seed.Fill(t.Context(), db, plan(t), func(string) {}); !errors.Is(err, seed.ErrNotEmpty) {
		t.Errorf("answered %v", err)
	}
	if n := count(t, db, "SELECT COUNT(*) FROM categories"); n != 4 {
		t.Errorf("%d categories: it wrote all the same", n)
	}
}

func TestPlansAreChecked(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{0, 1}, {-1, 1}, {1, -1}, {1 << 40, 1}, {1, 1 << 40}} {
		if _, err := seed.NewPlan(size[0], size[1], now); err == nil {
			t.Errorf("a plan of %v is taken", size)
		}
	}
}
