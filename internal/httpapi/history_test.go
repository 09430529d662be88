package httpapi_test

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
)

// past is a history: two categories, three jobs (the last deleted), and the
// executions below, whose ids count from first.
type past struct{ category, job, first int64 }

func insert(t *testing.T, db *sql.DB, query string, args ...any) int64 {
	t.Helper()
	res, err := db.Exec(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	id, err := res.LastInsertId()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newPast(t *testing.T, s *system) past {
	t.Helper()
	var p past
	for i, name := range []string{"Past", "Past too"} {
		id := insert(t, s.db, `INSERT INTO categories (name, name_key, color, created_at, updated_at) VALUES (?, ?, '#112233', ?, ?)`,
			name, strings.ToLower(name), s.at, s.at)
		if i == 0 {
			p.category = id
		}
	}
	for i, name := range []string{"Nightly Report", "Ping_100", "Gone"} {
		key := sql.NullString{String: strings.ToLower(name), Valid: name != "Gone"}
		deleted := sql.NullTime{Time: s.at, Valid: name == "Gone"}
		id := insert(t, s.db, `INSERT INTO jobs (name, name_key, description, cron_pattern, timezone, category_id, method, status, created_at, updated_at, deleted_at)
			VALUES (?, ?, 'for the tests', '* * * * *', 'UTC', ?, 'GET', 'active', ?, ?, ?)`,
			name, key, p.category+int64(i%2), s.at, s.at, deleted)
		if i == 0 {
			p.job = id
		}
	}
	return p
}

// run stores an execution of the nth job.
func (p *past) run(t *testing.T, s *system, job int, trigger, status string, scheduled time.Time, rest string, args ...any) int64 {
	t.Helper()
	columns := "job_id, trigger_type, status, scheduled_for, revision, not_before, created_at, updated_at"
	values := "?, ?, ?, ?, 1, ?, ?, ?"
	if rest != "" {
		columns += ", " + rest
		values += strings.Repeat(", ?", len(args))
	}
	id := insert(t, s.db, "INSERT INTO executions ("+columns+") VALUES ("+values+")",
		append([]any{p.job + int64(job), trigger, status, scheduled, scheduled, s.at, s.at}, args...)...)
	if p.first == 0 {
		p.first = id
	}
	return id
}

func TestExecutionShapes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	at := s.at.Add(-time.Hour)
	id := p.run(t, s, 0, "schedule", "failed", at, "attempt, started_at, ended_at, response_status, error_kind, error_message",
		2, at.Add(40*time.Millisecond), at.Add(2*time.Second), 503, "http_status", "the answer was 503")
	for _, a := range []struct {
		attempt, fence, late int
		status               any
		headers, body, kind  any
	}{
		{1, 1, 0, nil, nil, nil, "timeout"},
		{2, 2, 0, 503, `{"content-type":"text/plain","x-a":"1, 2","Set-Cookie":"sid=S3NTINEL","x-auth-token":"S3NTINEL","location":"/cb#t=S3NTINEL","link":"</a?k=S3NTINEL>",
			"WWW-Authenticate":"Digest nonce=\"S3NTINEL\"","operation-location":"https://x.test/y?sig=S3NTINEL","Set-Cookie2":"S3NTINEL","X-Session-Id":"S3NTINEL",
			"X-Amz-Signature":"S3NTINEL","refresh":"0; url=https://ada:S3NTINEL@x.test/","content-location":"/plain","ETag":"\"v1\"","Retry-After":"5","X-RateLimit-Remaining":"7"}`, "grüße", "http_status"},
		{2, 3, 1, 200, `{}`, "too late", nil},
	} {
		insert(t, s.db, `INSERT INTO attempts (execution_id, attempt, fence, started_at, ended_at, late, response_status, response_headers, response_body,
			error_kind, error_message, dns_us, total_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'why', 1234, 5000)`,
			id, a.attempt, a.fence, at, at.Add(500*time.Millisecond), a.late, a.status, a.headers, a.body, a.kind)
	}
	item := map[string]any{
		"id": float64(id), "jobId": float64(p.job), "jobName": "Nightly Report", "trigger": "schedule",
		"scheduledFor": "2026-01-31T11:00:00.000Z", "status": "failed", "reason": nil,
		"startedAt": "2026-01-31T11:00:00.040Z", "endedAt": "2026-01-31T11:00:02.000Z", "duration": 1960.0, "lateness": 40.0,
		"attempt": 2.0, "responseStatus": 503.0, "error": map[string]any{"kind": "http_status", "message": "the answer was 503"},
	}
	token := s.tokenOf(t, account.Operator)
	list := s.send(t, "GET", "/history", token, "").must(200)
	if diff := cmp.Diff([]any{item}, list.at("data")); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"total": 1.0, "page": 1.0, "lastPage": 1.0, "perPage": 10.0, "nextCursor": nil}, list.at("meta")); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
	attempt := func(number, status, failure any) map[string]any {
		return map[string]any{
			"attempt": number, "startedAt": "2026-01-31T11:00:00.000Z", "endedAt": "2026-01-31T11:00:00.500Z", "duration": 500.0,
			"responseStatus": status, "error": failure, "dns": 1.234, "connect": nil, "tls": nil, "ttfb": nil, "total": 5.0,
		}
	}
	detail := map[string]any{
		"responseHeaders": map[string]any{
			"content-type": "text/plain", "x-a": "1, 2", "Set-Cookie": "sid=S3NTINEL", "x-auth-token": "S3NTINEL", "location": "/cb#t=S3NTINEL", "link": "</a?k=S3NTINEL>",
			"WWW-Authenticate": `Digest nonce="S3NTINEL"`, "operation-location": "https://x.test/y?sig=S3NTINEL", "Set-Cookie2": "S3NTINEL", "X-Session-Id": "S3NTINEL",
			"X-Amz-Signature": "S3NTINEL", "refresh": "0; url=https://ada:S3NTINEL@x.test/", "content-location": "/plain", "ETag": `"v1"`, "Retry-After": "5", "X-RateLimit-Remaining": "7",
		},
		"responseBody": "grüße", "responseEncoding": "utf8", "responseTruncated": false,
		"attempts": []any{
			attempt(1.0, nil, map[string]any{"kind": "timeout", "message": "why"}),
			attempt(2.0, 503.0, map[string]any{"kind": "http_status", "message": "why"}),
			attempt(2.0, 200.0, nil),
		},
	}
	for name, value := range item {
		detail[name] = value
	}
	path := fmt.Sprintf("/history/%d", id)
	if diff := cmp.Diff(any(detail), s.send(t, "GET", path, token, "").must(200).at("data")); diff != "" {
		t.Errorf("detail (-want +got):\n%s", diff)
	}
	masked := s.send(t, "GET", path, s.tokenOf(t, account.Viewer), "").must(200)
	if masked.text("data", "responseBody") != "********" || strings.Contains(masked.raw, "S3NTINEL") {
		t.Errorf("a viewer reads %s", masked.raw)
	}
	if diff := cmp.Diff(map[string]any{
		"content-type": "text/plain", "x-a": "********", "Set-Cookie": "********", "x-auth-token": "********", "location": "/cb#********", "link": "</a?********",
		"WWW-Authenticate": "********", "operation-location": "********", "Set-Cookie2": "********", "X-Session-Id": "********",
		"X-Amz-Signature": "********", "refresh": "********", "content-location": "/plain", "ETag": `"v1"`, "Retry-After": "5", "X-RateLimit-Remaining": "7",
	}, masked.at("data", "responseHeaders")); diff != "" {
		t.Errorf("headers for a viewer (-want +got):\n%s", diff)
	}
	s.send(t, "GET", "/history/9007199254740991", token, "").must(404)
	s.send(t, "GET", "/history/0", token, "").must(400)
	s.send(t, "GET", path, "", "").must(401)
}

func TestExecutionWithoutAnything(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	id := p.run(t, s, 1, "manual", "pending", s.at, "")
	got := s.send(t, "GET", fmt.Sprintf("/history/%d", id), s.tokenOf(t, account.Admin), "").must(200)
	want := map[string]any{
		"id": float64(id), "jobId": float64(p.job + 1), "jobName": "Ping_100", "trigger": "manual",
		"scheduledFor": "2026-01-31T12:00:00.000Z", "status": "pending", "reason": nil, "startedAt": nil, "endedAt": nil,
		"duration": nil, "lateness": nil, "attempt": 1.0, "responseStatus": nil, "error": nil,
		"responseHeaders": nil, "responseBody": "", "responseEncoding": "utf8", "responseTruncated": false, "attempts": []any{},
	}
	if diff := cmp.Diff(any(want), got.at("data")); diff != "" {
		t.Errorf("detail (-want +got):\n%s", diff)
	}
}

func TestResponseBodies(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Admin)
	const most = 64 << 10
	full := strings.Repeat("a", most-1)
	for name, tc := range map[string]struct {
		stored    string
		truncated bool
		text      string
		encoding  string
	}{
		"empty":               {"", false, "", "utf8"},
		"text":                {"naïve\x00<b>", false, "naïve\x00<b>", "utf8"},
		"bytes":               {"\xff\x00\xfe", false, base64.StdEncoding.EncodeToString([]byte("\xff\x00\xfe")), "base64"},
		"a rune cut in two":   {full + "\xc3", true, full, "utf8"},
		"a rune cut in four":  {full[:most-3] + "\xf0\x9f\x98", true, full[:most-3], "utf8"},
		"a whole rune at end": {full[:most-2] + "é", true, full[:most-2] + "é", "utf8"},
		"not cut, yet broken": {"a\xc3", false, base64.StdEncoding.EncodeToString([]byte("a\xc3")), "base64"},
		"cut and binary":      {"\xff" + full, true, base64.StdEncoding.EncodeToString([]byte("\xff" + full)), "base64"},
	} {
		id := p.run(t, s, 0, "schedule", "success", s.at, "response_status", 200)
		insert(t, s.db, `INSERT INTO attempts (execution_id, attempt, fence, started_at, ended_at, response_status, response_body, response_truncated)
			VALUES (?, 1, 1, ?, ?, 200, ?, ?)`, id, s.at, s.at, []byte(tc.stored), tc.truncated)
		got := s.send(t, "GET", fmt.Sprintf("/history/%d", id), token, "").must(200)
		if got.text("data", "responseBody") != tc.text || got.text("data", "responseEncoding") != tc.encoding ||
			got.at("data", "responseTruncated") != tc.truncated {
			t.Errorf("%s: %.300s", name, got.raw)
		}
	}
}

func TestHistoryFilters(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Viewer)
	hour := func(n int) time.Time { return s.at.Add(time.Duration(n-30) * time.Hour) }
	p.run(t, s, 0, "schedule", "success", hour(0), "")                                                              // 0
	p.run(t, s, 0, "manual", "failed", hour(1), "error_kind, error_message", "dns", "No such host: EXAMPLE_1%")     // 1
	p.run(t, s, 1, "schedule", "success", hour(2), "")                                                              // 2
	p.run(t, s, 2, "replay", "skipped", hour(2), "")                                                                // 3
	p.run(t, s, 1, "schedule", "failed", hour(29), "error_kind, error_message", "timeout", "No answer within 30 s") // 4
	iso := func(n int) string { return url.QueryEscape(hour(n).Format(time.RFC3339)) }
	job := func(n int) string { return fmt.Sprint(p.job + int64(n)) }
	for name, tc := range map[string]struct {
		query string
		want  []int64
	}{
		"all, newest first, ties by id": {"", []int64{4, 3, 2, 1, 0}},
		"oldest first":                  {"?sortBy=scheduledFor&sortOrder=asc", []int64{0, 1, 2, 3, 4}},
		"job":                           {"?jobId=" + job(0), []int64{1, 0}},
		"deleted job":                   {"?jobId=" + job(2), []int64{3}},
		"unknown job":                   {"?jobId=9007199254740991", nil},
		"category":                      {fmt.Sprintf("?categoryId=%d", p.category), []int64{3, 1, 0}},
		"unknown category":              {"?categoryId=9007199254740991", nil},
		"status":                        {"?status=success", []int64{2, 0}},
		"trigger":                       {"?trigger=manual", []int64{1}},
		"from, inclusive":               {"?from=" + iso(2), []int64{4, 3, 2}},
		"to, inclusive":                 {"?to=" + iso(2), []int64{3, 2, 1, 0}},
		"one instant":                   {"?from=" + iso(2) + "&to=" + iso(2), []int64{3, 2}},
		"other offset":                  {"?from=" + url.QueryEscape(hour(29).In(time.FixedZone("", 7200)).Format(time.RFC3339)), []int64{4}},
		"name, case-blind":              {"?search=nightly", []int64{1, 0}},
		"name of a deleted job":         {"?search=gone", []int64{3}},
		"underscore is itself":          {"?search=g_1", []int64{4, 2}},
		"percent is itself":             {"?search=%25", nil},
		"error text not everywhere":     {"?search=host", nil},
		"error text of a job":           {"?search=such+host:+example_1%25&jobId=" + job(0), []int64{1}},
		"error text of a day":           {"?search=ANSWER&from=" + iso(10), []int64{4}},
		"error text of two days":        {"?search=answer&from=" + iso(0), nil},
		"empty filters":                 {"?search=&status=&categoryId=", []int64{4, 3, 2, 1, 0}},
		"page":                          {"?limit=2&page=2", []int64{2, 1}},
		"a page past the end":           {"?limit=2&page=4", nil},
		"far past the end":              {"?limit=100&page=1000000000", nil},
		"quotes":                        {"?search=" + url.QueryEscape(`' OR 1=1 -- "`), nil},
		"backslash":                     {"?search=" + url.QueryEscape(`\`), nil},
	} {
		got := s.send(t, "GET", "/history"+tc.query, token, "").must(200)
		var ids []int64
		for i := range got.at("data").([]any) {
			ids = append(ids, int64(got.at("data", i, "id").(float64))-p.first)
		}
		if diff := cmp.Diff(tc.want, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(tc.query, "page=") && got.at("meta", "total") != float64(len(tc.want)) {
			t.Errorf("%s: total %v", name, got.at("meta", "total"))
		}
	}
	for query, fields := range map[string][]string{
		"?status=done&trigger=cron&jobId=x&limit=0":               {"limit", "status", "trigger", "jobId"},
		"?sortBy=responseBody":                                    {"sortBy"},
		"?from=2026-01-31&to=tomorrow":                            {"from", "to"},
		"?from=" + iso(2) + "&to=" + iso(1):                       {"to"},
		"?from=0000-01-01T00:00:00Z&to=9999-12-31T23:59:59-12:00": {"from", "to"},
		"?cursor=nonsense":                                        {"cursor"},
		"?unknown=1&search=a&search=b":                            {"search", "unknown"},
	} {
		if diff := cmp.Diff(fields, s.send(t, "GET", "/history"+query, token, "").must(400).fields()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestHistoryOfAJob(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Viewer)
	insert(t, s.db, `INSERT INTO job_requests (job_id, revision, method, url, timeout_ms, max_redirects, retry_attempts, retry_delay_ms,
		retry_backoff, overlap_policy, created_at) VALUES (?, 1, 'GET', 'https://example.com/', 30000, 0, 0, 0, 'fixed', 'allow', ?)`, p.job, s.at)
	mine := p.run(t, s, 0, "schedule", "success", s.at, "")
	p.run(t, s, 1, "schedule", "success", s.at, "")
	list := s.send(t, "GET", fmt.Sprintf("/jobs/%d/history?status=success", p.job), token, "").must(200)
	if len(list.at("data").([]any)) != 1 || list.at("data", 0, "id") != float64(mine) {
		t.Errorf("listed %s", list.raw)
	}
	s.send(t, "GET", "/jobs/9007199254740991/history", token, "").must(404)
	deleted := fmt.Sprintf("/jobs/%d/history", p.job+2)
	s.send(t, "GET", deleted, token, "").must(404)
	unknown := s.send(t, "GET", fmt.Sprintf("/jobs/%d/history?jobId=1", p.job), token, "").must(400)
	if diff := cmp.Diff([]string{"jobId"}, unknown.fields()); diff != "" {
		t.Errorf("a filter that the path already is (-want +got):\n%s", diff)
	}
}

func TestHistoryCursor(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Viewer)
	for i := range 7 { // three share an instant
		p.run(t, s, 0, "schedule", "success", s.at.Add(-time.Duration(i/3)*time.Minute), "")
	}
	for _, order := range []string{"", "&sortOrder=asc"} {
		whole := s.send(t, "GET", "/history?limit=100"+order, token, "").must(200)
		var all, walked []any
		for i := range whole.at("data").([]any) {
			all = append(all, whole.at("data", i, "id"))
		}
		query, steps := "/history?limit=2"+order, 0
		for ; steps < 10; steps++ {
			page := s.send(t, "GET", query, token, "").must(200)
			for i := range page.at("data").([]any) {
				walked = append(walked, page.at("data", i, "id"))
			}
			if page.at("meta", "total") != 7.0 {
				t.Errorf("total %v", page.at("meta", "total"))
			}
			if page.at("meta", "nextCursor") == nil {
				break
			}
			query = "/history?limit=2" + order + "&cursor=" + page.text("meta", "nextCursor")
		}
		if diff := cmp.Diff(all, walked); diff != "" || steps != 3 {
			t.Errorf("%q: walked in %d steps (-whole +walked):\n%s", order, steps, diff)
		}
	}
	cursor := s.send(t, "GET", "/history?limit=2", token, "").must(200).text("meta", "nextCursor")
	for _, query := range []string{
		"status=success&cursor=" + cursor, "sortOrder=asc&cursor=" + cursor, "search=x&cursor=" + cursor,
		"cursor=" + cursor[1:], "cursor=" + cursor + "A", "cursor=" + strings.ToLower(cursor),
	} {
		if diff := cmp.Diff([]string{"cursor"}, s.send(t, "GET", "/history?"+query, token, "").must(400).fields()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	if diff := cmp.Diff([]string{"page"}, s.send(t, "GET", "/history?page=2&cursor="+cursor, token, "").must(400).fields()); diff != "" {
		t.Errorf("page with a cursor (-want +got):\n%s", diff)
	}
}

func TestCountingStops(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Viewer)
	values := strings.TrimSuffix(strings.Repeat("(?, 'manual', 'success', ?, 1, ?, ?, ?), ", 500), ", ")
	fill := func(rows int) {
		for done := 0; done < rows; done += 500 {
			var args []any
			for range 500 {
				args = append(args, p.job, s.at, s.at, s.at, s.at)
			}
			insert(t, s.db, `INSERT INTO executions (job_id, trigger_type, status, scheduled_for, revision, not_before, created_at, updated_at) VALUES `+values, args...)
		}
	}
	fill(10_000)
	exact := s.send(t, "GET", "/history?limit=100&page=100", token, "").must(200)
	if exact.at("meta", "total") != 10_000.0 || exact.at("meta", "totalIsLowerBound") != nil || len(exact.at("data").([]any)) != 100 {
		t.Errorf("exactly 10,000: %v", exact.at("meta"))
	}
	fill(500)
	beyond := s.send(t, "GET", "/history?limit=100&page=105", token, "").must(200)
	if beyond.at("meta", "total") != 10_000.0 || beyond.at("meta", "totalIsLowerBound") != true || len(beyond.at("data").([]any)) != 100 {
		t.Errorf("beyond 10,000: %v", beyond.at("meta"))
	}
	past := s.send(t, "GET", "/history?limit=100&page=1002", token, "").must(200)
	if len(past.at("data").([]any)) != 0 || past.at("meta", "nextCursor") != nil {
		t.Errorf("past the end: %v", past.body)
	}
	deep := s.send(t, "GET", fmt.Sprintf("/history?jobId=%d&limit=100&page=1002", p.job), token, "").must(400)
	if diff := cmp.Diff([]string{"page"}, deep.fields()); diff != "" {
		t.Errorf("too deep (-want +got):\n%s", diff)
	}
	jobs := s.send(t, "GET", fmt.Sprintf("/history?jobId=%d&status=success&search=report", p.job), token, "").must(200)
	if jobs.at("meta", "totalIsLowerBound") != true || len(jobs.at("data").([]any)) != 10 {
		t.Errorf("of a job: %v", jobs.at("meta"))
	}
}
