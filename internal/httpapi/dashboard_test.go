package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// ran stores an execution that ended some milliseconds after it had begun late.
func (p *past) ran(t *testing.T, s *system, job int, status string, at time.Time, late, took int) int64 {
	t.Helper()
	started := at.Add(time.Duration(late) * time.Millisecond)
	return p.run(t, s, job, "schedule", status, at, "started_at, ended_at", started, started.Add(time.Duration(took)*time.Millisecond))
}

// sumUp makes the summaries of what the test has stored.
func sumUp(t *testing.T, s *system) {
	t.Helper()
	if _, err := mysql.NewRollups(s.db).Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

func near(t *testing.T, what string, got any, want float64) {
	t.Helper()
	if value, ok := got.(float64); !ok || value < want*0.95 || value > want*1.05 {
		t.Errorf("%s is %v, want about %g", what, got, want)
	}
}

// busy is a past of two categories in the hours before noon, s.at.
func busy(t *testing.T, s *system) past {
	t.Helper()
	p := newPast(t, s)
	hour := s.at.Add(-2 * time.Hour)
	for i := range 100 {
		p.ran(t, s, 0, "success", hour.Add(time.Duration(i)*time.Second), i, 10*(i+1))
	}
	p.ran(t, s, 0, "failed", hour.Add(30*time.Minute), 5, 4000)
	p.ran(t, s, 1, "abandoned", hour.Add(61*time.Minute), 5, 60_000)
	p.run(t, s, 1, "schedule", "skipped", hour.Add(62*time.Minute), "reason", "limit")
	p.run(t, s, 1, "schedule", "missed", hour.Add(63*time.Minute), "missed_count, missed_until", 7, hour.Add(70*time.Minute))
	p.run(t, s, 1, "schedule", "cancelled", hour.Add(64*time.Minute), "")
	p.run(t, s, 1, "manual", "running", s.at.Add(-time.Minute), "")
	p.run(t, s, 1, "manual", "pending", s.at.Add(-time.Second), "")
	p.run(t, s, 1, "schedule", "queued", s.at.Add(time.Minute), "occurrence_at", s.at.Add(time.Minute))
	p.ran(t, s, 2, "success", s.at.Add(-30*time.Hour), 5, 25) // yesterday, of a deleted job
	sumUp(t, s)
	return p
}

func TestDashboardStats(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := busy(t, s)
	token := s.tokenOf(t, account.Viewer)

	got := s.send(t, "GET", "/dashboard/stats", token, "").must(200)
	if got.at("data", "from") != "2026-01-30T12:00:00.000Z" || got.at("data", "to") != "2026-01-31T12:00:00.000Z" {
		t.Errorf("the span is %v to %v", got.at("data", "from"), got.at("data", "to"))
	}
	counts := map[string]any{
		"total": 113.0, "success": 100.0, "failed": 1.0, "skipped": 1.0, "missed": 7.0, "cancelled": 1.0, "abandoned": 1.0,
		"running": 1.0, "waiting": 1.0,
	}
	if diff := cmp.Diff(counts, got.at("data", "executions")); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}
	near(t, "the success rate", got.at("data", "successRate"), 100.0/102)
	near(t, "p50", got.at("data", "duration", "p50"), 510)
	near(t, "p95", got.at("data", "duration", "p95"), 970)
	near(t, "p99", got.at("data", "duration", "p99"), 4000)
	if got.at("data", "duration", "max") != 60_000.0 || got.at("data", "duration", "avg") != 1122.5 || got.at("data", "lateness", "max") != 99.0 {
		t.Errorf("duration %v, lateness %v", got.at("data", "duration"), got.at("data", "lateness"))
	}
	near(t, "the lateness", got.at("data", "lateness", "p50"), 49)
	byCategory := []any{
		map[string]any{
			"categoryId": float64(p.category), "name": "Past", "color": "#112233",
			"total": 101.0, "success": 100.0, "failed": 1.0, "successRate": 100.0 / 101,
		},
		map[string]any{
			"categoryId": float64(p.category + 1), "name": "Past too", "color": "#112233",
			"total": 10.0, "success": 0.0, "failed": 0.0, "successRate": 0.0,
		},
	}
	if diff := cmp.Diff(byCategory, got.at("data", "byCategory")); diff != "" {
		t.Errorf("by category (-want +got):\n%s", diff)
	}

	again := s.send(t, "GET", "/dashboard/stats", token, "")
	if tag := got.header.Get("ETag"); tag == "" || tag != again.header.Get("ETag") {
		t.Errorf("ETag %q, then %q", tag, again.header.Get("ETag"))
	}

	for name, tc := range map[string]struct {
		query    string
		from, to string
		total    float64
	}{
		"outward to hours":        {"from=2026-01-31T10:59:00Z&to=2026-01-31T11:00:01Z", "2026-01-31T10:00:00.000Z", "2026-01-31T12:00:00.000Z", 113},
		"one hour":                {"from=2026-01-31T11:00:00Z&to=2026-01-31T12:00:00Z", "2026-01-31T11:00:00.000Z", "2026-01-31T12:00:00.000Z", 12},
		"an instant":              {"from=2026-01-31T10:00:00Z&to=2026-01-31T10:00:00Z", "2026-01-31T10:00:00.000Z", "2026-01-31T11:00:00.000Z", 101},
		"days between":            {"from=2025-01-01T05:00:00Z&to=2026-02-01T07:00:00Z", "2025-01-01T05:00:00.000Z", "2026-02-01T07:00:00.000Z", 114},
		"whole days":              {"from=2026-01-30T00:00:00Z&to=2026-02-01T00:00:00Z", "2026-01-30T00:00:00.000Z", "2026-02-01T00:00:00.000Z", 114},
		"nothing":                 {"from=2020-01-01T00:00:00Z&to=2020-06-01T00:00:00Z", "2020-01-01T00:00:00.000Z", "2020-06-01T00:00:00.000Z", 0},
		"another zone's spelling": {"from=2026-01-31T12:30:00%2B02:00&to=2026-01-31T12:30:00%2B02:00", "2026-01-31T10:00:00.000Z", "2026-01-31T11:00:00.000Z", 101},
	} {
		got := s.send(t, "GET", "/dashboard/stats?"+tc.query, token, "").must(200)
		if got.at("data", "from") != tc.from || got.at("data", "to") != tc.to || got.at("data", "executions", "total") != tc.total {
			t.Errorf("%s: %s", name, got.raw)
		}
	}
	empty := s.send(t, "GET", "/dashboard/stats?from=2020-01-01T00:00:00Z&to=2020-06-01T00:00:00Z", token, "").must(200)
	nothing := map[string]any{"p50": nil, "p95": nil, "p99": nil, "avg": nil, "max": nil}
	if diff := cmp.Diff([]any{nil, nothing, nothing, []any{}}, []any{
		empty.at("data", "successRate"), empty.at("data", "duration"), empty.at("data", "lateness"), empty.at("data", "byCategory"),
	}); diff != "" {
		t.Errorf("where nothing ran (-want +got):\n%s", diff)
	}
	for query, field := range map[string]string{
		"from=2026-01-31T11:00:00Z&to=2026-01-31T10:00:00Z": "to", "from=yesterday": "from", "from=2027-01-01T00:00:00Z": "from",
		"from=9999-12-31T23:59:59Z": "from", "to=9999-12-31T23:59:59Z": "to", "job=1": "job",
	} {
		got := s.send(t, "GET", "/dashboard/stats?"+query, token, "").must(400)
		if !strings.Contains(got.raw, `"errors":[{"field":"`+field+`"`) {
			t.Errorf("%s: %s", query, got.raw)
		}
	}
}

func TestJobStats(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := busy(t, s)
	for job := range int64(2) {
		insert(t, s.db, `INSERT INTO job_requests (job_id, revision, method, url, timeout_ms, max_redirects, retry_attempts, retry_delay_ms, retry_backoff,
			overlap_policy, created_at) VALUES (?, 1, 'GET', 'https://example.com', 30000, 0, 0, 1000, 'fixed', 'allow', ?)`, p.job+job, s.at)
	}
	insert(t, s.db, "INSERT INTO job_stats (job_id, consecutive_failures, last_run_at, last_status) VALUES (?, 3, ?, 'abandoned')", p.job+1, s.at.Add(-time.Hour))
	token := s.tokenOf(t, account.Viewer)
	got := s.send(t, "GET", fmt.Sprintf("/jobs/%d/stats", p.job+1), token, "").must(200)
	counts := map[string]any{
		"total": 12.0, "success": 0.0, "failed": 0.0, "skipped": 1.0, "missed": 7.0, "cancelled": 1.0, "abandoned": 1.0,
		"running": 1.0, "waiting": 1.0,
	}
	if diff := cmp.Diff(counts, got.at("data", "executions")); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}
	stands := []any{got.at("data", "lastRunAt"), got.at("data", "lastStatus"), got.at("data", "consecutiveFailures"), got.at("data", "nextRunAt"), got.at("data", "duration", "max")}
	if diff := cmp.Diff([]any{"2026-01-31T11:00:00.000Z", "abandoned", 3.0, nil, 60_000.0}, stands); diff != "" {
		t.Errorf("where it stands (-want +got):\n%s", diff)
	}
	if _, there := got.at("data").(map[string]any)["byCategory"]; there {
		t.Error("a job's stats have categories")
	}
	got = s.send(t, "GET", fmt.Sprintf("/jobs/%d/stats?from=2026-01-31T10:00:00Z&to=2026-01-31T11:00:00Z", p.job), token, "").must(200)
	if got.at("data", "executions", "total") != 101.0 || got.at("data", "lastRunAt") != nil {
		t.Errorf("the other job: %s", got.raw)
	}
	s.send(t, "GET", fmt.Sprintf("/jobs/%d/stats", p.job+2), token, "").must(404) // deleted
}

func TestDashboardTimeline(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	busy(t, s)
	token := s.tokenOf(t, account.Viewer)
	read := func(query string) (buckets []map[string]any) {
		t.Helper()
		all, _ := s.send(t, "GET", "/dashboard/timeline?"+query, token, "").must(200).at("data", "buckets").([]any)
		for _, one := range all {
			buckets = append(buckets, one.(map[string]any))
		}
		return buckets
	}
	hours := read("")
	if len(hours) != 24 {
		t.Fatalf("%d hours in a day", len(hours))
	}
	if diff := cmp.Diff(map[string]any{
		"from": "2026-01-31T11:00:00.000Z", "to": "2026-01-31T12:00:00.000Z", "total": 10.0, "success": 0.0, "failed": 0.0, "skipped": 1.0,
		"missed": 7.0, "abandoned": 1.0, "durationP95": 60_000.0, "latenessP95": 5.0,
	}, hours[23]); diff != "" {
		t.Errorf("the last hour (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{
		"from": "2026-01-31T09:00:00.000Z", "to": "2026-01-31T10:00:00.000Z", "total": 0.0, "success": 0.0, "failed": 0.0, "skipped": 0.0,
		"missed": 0.0, "abandoned": 0.0, "durationP95": nil, "latenessP95": nil,
	}, hours[21]); diff != "" {
		t.Errorf("an empty hour (-want +got):\n%s", diff)
	}
	type bucket struct {
		From  any
		Total any
	}
	for name, tc := range map[string]struct {
		query string
		want  []bucket
	}{
		"days in UTC": {"interval=day&from=2026-01-29T00:00:00Z&to=2026-02-01T00:00:00Z", []bucket{
			{"2026-01-29T00:00:00.000Z", 0.0}, {"2026-01-30T00:00:00.000Z", 1.0}, {"2026-01-31T00:00:00.000Z", 111.0},
		}},
		"days in New York, outward to whole ones": {"interval=day&timezone=America/New_York&from=2026-01-30T07:00:00Z", []bucket{
			{"2026-01-30T05:00:00.000Z", 1.0}, {"2026-01-31T05:00:00.000Z", 111.0},
		}},
		"days in Kathmandu": {"interval=day&timezone=Asia/Kathmandu&from=2026-01-31T11:00:00Z", []bucket{{"2026-01-30T18:00:00.000Z", 111.0}}},
		"the day on which clocks change": {"interval=day&timezone=Europe/Berlin&from=2026-03-29T00:00:00Z&to=2026-03-30T00:00:00Z", []bucket{
			{"2026-03-28T23:00:00.000Z", 0.0}, {"2026-03-29T22:00:00.000Z", 0.0},
		}},
		"a day that Samoa skipped": {"interval=day&timezone=Pacific/Apia&from=2011-12-29T12:00:00Z&to=2011-12-30T12:00:00Z", []bucket{
			{"2011-12-29T10:00:00.000Z", 0.0}, {"2011-12-30T10:00:00.000Z", 0.0},
		}},
	} {
		var got []bucket
		for _, b := range read(tc.query) {
			got = append(got, bucket{b["from"], b["total"]})
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := len(read("from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z")); n != 744 {
		t.Errorf("%d hours in January", n)
	}
	if n := len(read("interval=day&from=2025-01-01T00:00:00Z&to=2026-02-05T00:00:00Z")); n != 400 {
		t.Errorf("%d of 400 days", n)
	}
	for _, query := range []string{
		"from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:01Z", "interval=day&from=2025-01-01T00:00:00Z&to=2026-02-05T00:00:01Z",
		"interval=day&from=1000-01-01T00:00:00Z", "interval=week", "timezone=Mars/Olympus", "timezone=", "interval=day&timezone=Local",
	} {
		s.send(t, "GET", "/dashboard/timeline?"+query, token, "").must(400)
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := busy(t, s)
	at := s.at
	s.advance(10 * time.Second)
	for job, next := range []time.Duration{20 * time.Minute, 5 * time.Minute} {
		if _, err := s.db.Exec("UPDATE jobs SET next_run_at = ? WHERE id = ?", at.Add(next), p.job+int64(job)); err != nil {
			t.Fatal(err)
		}
	}
	failed := p.run(t, s, 0, "manual", "failed", at.Add(-time.Hour), "response_status, error_kind, error_message", 503, "http_status", "the answer was 503")
	insert(t, s.db, "INSERT INTO job_stats (job_id, consecutive_failures, last_failure_at, last_execution_id, last_status) VALUES (?, 2, ?, ?, 'failed'), (?, 0, ?, 1, 'success'), (?, 9, ?, 1, 'failed')",
		p.job, at.Add(-59*time.Minute), failed, p.job+1, at, p.job+2, at)
	token := s.tokenOf(t, account.Viewer)
	got := s.send(t, "GET", "/dashboard", token, "").must(200)
	if diff := cmp.Diff(map[string]any{"total": 2.0, "active": 2.0, "inactive": 0.0, "failed": 0.0}, got.at("data", "jobs")); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"total": 2.0, "active": 2.0}, got.at("data", "categories")); diff != "" {
		t.Errorf("categories (-want +got):\n%s", diff)
	}
	if recent := got.at("data", "recent").([]any); len(recent) != 10 || recent[0].(map[string]any)["status"] != "pending" {
		t.Errorf("recent: %v", recent)
	}
	upcoming := []any{ // the second job has a run that is recorded
		map[string]any{
			"jobId": float64(p.job + 1), "jobName": "Ping_100", "cronPattern": "* * * * *", "timezone": "UTC", "nextRunAt": "2026-01-31T12:01:00.000Z",
			"category": map[string]any{"id": float64(p.category + 1), "name": "Past too", "color": "#112233", "status": "active"},
		},
		map[string]any{
			"jobId": float64(p.job), "jobName": "Nightly Report", "cronPattern": "* * * * *", "timezone": "UTC", "nextRunAt": "2026-01-31T12:20:00.000Z",
			"category": map[string]any{"id": float64(p.category), "name": "Past", "color": "#112233", "status": "active"},
		},
	}
	if diff := cmp.Diff(upcoming, got.at("data", "upcoming")); diff != "" {
		t.Errorf("upcoming (-want +got):\n%s", diff)
	}
	failures := []any{map[string]any{
		"jobId": float64(p.job), "jobName": "Nightly Report", "status": "active", "consecutiveFailures": 2.0, "lastFailedAt": "2026-01-31T11:01:00.000Z",
		"executionId": float64(failed), "responseStatus": 503.0, "error": map[string]any{"kind": "http_status", "message": "the answer was 503"},
	}}
	if diff := cmp.Diff(failures, got.at("data", "failures")); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	for path, want := range map[string]any{
		"/dashboard/upcoming": upcoming, "/dashboard/upcoming?limit=1": upcoming[:1], "/dashboard/failures": failures,
	} {
		if diff := cmp.Diff(want, s.send(t, "GET", path, token, "").must(200).at("data")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	s.send(t, "GET", "/dashboard/failures?limit=101", token, "").must(400)

	if got.at("data", "generatedAt") != "2026-01-31T12:00:10.000Z" || got.at("data", "last24h", "executions", "success") != 100.0 {
		t.Errorf("generated at %v: %v", got.at("data", "generatedAt"), got.at("data", "last24h"))
	}
	// A second later all is the same but for the time.
	s.advance(time.Second)
	again := s.send(t, "GET", "/dashboard", token, "").must(200)
	if tag := got.header.Get("ETag"); tag == "" || tag != again.header.Get("ETag") || again.at("data", "generatedAt") == got.at("data", "generatedAt") {
		t.Errorf("ETag %q and %q, generated at %v", tag, again.header.Get("ETag"), again.at("data", "generatedAt"))
	}
}

func TestDeleteHistory(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	busy(t, s)
	token := s.tokenOf(t, account.Admin)
	got := s.send(t, "DELETE", "/history?before=2026-01-31T11:02:00Z", token, "").must(200)
	if diff := cmp.Diff(map[string]any{"deleted": 103.0, "complete": true}, got.at("data")); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if left := s.send(t, "GET", "/history", token, "").must(200).at("meta", "total"); left != 5.0 {
		t.Errorf("%v are left", left)
	}
	if total := s.send(t, "GET", "/dashboard/stats", token, "").must(200).at("data", "executions", "total"); total != 113.0 {
		t.Errorf("the summaries count %v", total)
	}
	if again := s.send(t, "DELETE", "/history?before=2026-01-31T11:02:00Z", token, "").must(200); again.at("data", "deleted") != 0.0 {
		t.Errorf("once more: %s", again.raw)
	}
	told := s.send(t, "GET", "/audit?action=history.delete", token, "").must(200)
	if diff := cmp.Diff([]any{map[string]any{"before": "2026-01-31T11:02:00Z", "deleted": 103.0}}, []any{told.at("data").([]any)[0].(map[string]any)["after"]}); diff != "" || told.at("meta", "total") != 1.0 {
		t.Errorf("the audit log (-want +got):\n%s\n%s", diff, told.raw)
	}
	for _, query := range []string{"", "?before=", "?before=2026-01-31T12:00:01Z", "?before=2026-01-01", "?jobId=1&before=2026-01-01T00:00:00Z"} {
		s.send(t, "DELETE", "/history"+query, token, "").must(400)
	}
	s.send(t, "DELETE", "/history?before=2026-01-01T00:00:00Z", s.tokenOf(t, account.Operator), "").must(403)
}
