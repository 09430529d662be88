package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

func sortedStrings(in []string) []string { return slices.Sorted(slices.Values(in)) }

// jobJSON is the body of a job with what it needs and the members given.
func jobJSON(name, categoryID string, members ...string) string {
	return fmt.Sprintf(`{"name":%q,"description":"A job of the tests","cronPattern":"0 2 * * *","categoryId":%s,"url":"https://example.com/x"%s}`,
		name, categoryID, strings.Join(append([]string{""}, members...), ","))
}

func (d *desk) job(name, categoryID string, members ...string) string {
	d.t.Helper()
	return d.want(201, "POST", "/jobs", jobJSON(name, categoryID, members...)).id()
}

func TestJobShape(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	created := d.want(201, "POST", "/jobs", jobJSON("Report", category))
	var categoryID float64
	if _, err := fmt.Sscan(category, &categoryID); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": created.data()["id"], "name": "Report", "description": "A job of the tests",
		"cronPattern": "0 2 * * *", "timezone": "UTC", "categoryId": categoryID,
		"category": map[string]any{"id": categoryID, "name": "Reports", "color": "#123456", "status": "active"},
		"url":      "https://example.com/x", "method": "GET", "headers": nil, "secretHeaders": []any{},
		"body": nil, "bodySecret": false, "timeout": 30000.0, "retryAttempts": 3.0, "retryDelay": 1000.0,
		"retryBackoff": "fixed", "overlapPolicy": "allow", "misfirePolicy": "fire_once", "maxRedirects": 0.0,
		"status": "active", "statusReason": nil, "isActive": true,
		"nextRunAt": "2026-02-01T02:00:00.000Z", "lastRunAt": nil, "lastStatus": nil,
		"consecutiveFailures": 0.0, "totalExecutions": 0.0, "successCount": 0.0,
		"signing": map[string]any{"enabled": false, "keys": 0.0}, "createdBy": 2.0,
		"createdAt": "2026-01-31T12:00:00.000Z", "updatedAt": "2026-01-31T12:00:00.000Z",
	}
	if created.Header.Get("Location") != "/jobs/"+created.id() || created.Header.Get("ETag") != `"1"` {
		t.Errorf("headers %v", created.Header)
	}
	list := d.want(200, "GET", "/jobs", "")
	if len(list.items()) != 1 {
		t.Fatal(list.raw)
	}
	for name, got := range map[string]map[string]any{
		"created": created.data(), "read": d.want(200, "GET", "/jobs/"+created.id(), "").data(), "listed": list.items()[0],
	} {
		if name == "created" {
			want["createdBy"] = got["createdBy"] // the id of the operator
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestJobLifeCycle(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	at := "/jobs/" + d.job("Report", category, `"method":"POST"`, `"headers":{"Accept":"x"}`, `"body":{"a":1}`, `"timeout":1000`)

	patched := d.want(200, "PATCH", at, `{"headers":null,"body":null,"retryAttempts":0}`, "If-Match", `"1"`)
	if got := patched.data(); got["headers"] != nil || got["body"] != nil || got["retryAttempts"] != 0.0 || got["method"] != "POST" || got["timeout"] != 1000.0 {
		t.Errorf("patched: %s", patched.raw)
	}
	d.want(412, "PATCH", at, `{"timeout":2000}`, "If-Match", `"1"`)
	d.want(412, "DELETE", at, "", "If-Match", `"7"`)

	paused := d.want(200, "POST", at+"/pause", "")
	if got := paused.data(); got["status"] != "inactive" || got["isActive"] != false || got["nextRunAt"] != nil {
		t.Errorf("paused: %s", paused.raw)
	}
	if again := d.want(200, "POST", at+"/pause", ""); again.Header.Get("ETag") != paused.Header.Get("ETag") {
		t.Error("pausing twice is a change")
	}
	resumed := d.want(200, "POST", at+"/resume", "")
	if got := resumed.data(); got["status"] != "active" || got["nextRunAt"] == nil {
		t.Errorf("resumed: %s", resumed.raw)
	}
	replaced := d.want(200, "PUT", at, jobJSON("Other", category))
	if got := replaced.data(); got["name"] != "Other" || got["method"] != "GET" || got["retryAttempts"] != 3.0 || got["timeout"] != 30000.0 {
		t.Errorf("replaced: %s", replaced.raw)
	}
	d.want(409, "POST", "/jobs", jobJSON("OTHER", category))
	d.want(200, "DELETE", at, "")
	for _, method := range []string{"GET", "DELETE"} {
		d.want(404, method, at, "")
	}
	d.want(404, "PUT", at, jobJSON("x", category))
	d.want(404, "POST", at+"/pause", "")
	d.want(404, "POST", at+"/resume", "")
	d.job("Other", category)
}

func TestJobFaults(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	at := "/jobs/" + d.job("Taken", category)
	tests := []struct {
		name, method, target, body string
		fields                     []string
	}{
		{"nothing given", "POST", "/jobs", `{}`, []string{"name", "description", "cronPattern", "categoryId", "url"}},
		{"no object", "POST", "/jobs", `[]`, []string{""}},
		{
			"faults of the form and of the domain together", "POST", "/jobs",
			`{"name":"a/b","description":"short","cronPattern":"61 * * * *","timezone":"Mars","categoryId":"1","url":"ftp://x","headers":{"Host":"x"},"timeout":1,"status":"failed","id":3}`,
			[]string{"name", "description", "cronPattern", "timezone", "categoryId", "url", "headers.Host", "timeout", "status", "id"},
		},
		{
			"faults of the domain alone", "POST", "/jobs",
			`{"name":"a/b","description":"A job of the tests","cronPattern":"0 0 30 2 *","timezone":"Mars","categoryId":9007199254740991,"url":"http://u:p@x/","headers":{"Authorization":"********"}}`,
			[]string{"name", "timezone", "categoryId", "url", "headers.Authorization"},
		},
		{"never fires", "POST", "/jobs", strings.Replace(jobJSON("x", category), "0 2 * * *", "0 0 30 2 *", 1), []string{"cronPattern"}},
		{"null", "PATCH", at, `{"name":null,"timezone":null,"secretHeaders":null,"timeout":null,"status":null}`, []string{"name", "timezone", "secretHeaders", "timeout", "status"}},
		{"numbers as strings", "PATCH", at, `{"timeout":"1000","retryAttempts":"1","bodySecret":"true"}`, []string{"timeout", "retryAttempts", "bodySecret"}},
		{"fractions", "PATCH", at, `{"timeout":1000.5}`, []string{"timeout"}},
		{"header that is no string", "PATCH", at, `{"headers":{"X-A":1}}`, []string{"headers.X-A"}},
		{"header with a line end", "PATCH", at, `{"headers":{"X-A":"a\r\nX-B: c"}}`, []string{"headers.X-A"}},
		{"same field twice", "PATCH", at, `{"timeout":1000,"timeout":2000}`, []string{"timeout"}},
		{"another case", "PATCH", at, `{"Timeout":1000}`, []string{"Timeout"}},
		{"read-only fields", "PUT", at, jobJSON("x", category, `"nextRunAt":null`, `"isActive":true`), []string{"nextRunAt", "isActive"}},
		{"failed is not for clients", "PATCH", at, `{"status":"failed"}`, []string{"status"}},
		{"filters", "GET", "/jobs?status=gone&categoryId=0&method=get&sortBy=url&sortOrder=up&limit=0&x=1", "", []string{"status", "categoryId", "method", "sortBy", "sortOrder", "limit", "x"}},
		{"wait", "POST", at + "/execute?wait=26", "", []string{"wait"}},
	}
	for _, test := range tests {
		got := d.call(test.method, test.target, test.body)
		if diff := cmp.Diff(test.fields, got.fields(), cmp.Transformer("sorted", sortedStrings)); got.StatusCode != 400 || diff != "" {
			t.Errorf("%s: %d\n%s\n%s", test.name, got.StatusCode, diff, got.raw)
		}
	}
	if got := d.want(200, "GET", at, ""); got.Header.Get("ETag") != `"1"` {
		t.Errorf("a faulty request changed the job: %s", got.raw)
	}
}

// TestAllFaultsAtOnce lets a form be at fault beside what only the store knows.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	id := d.want(201, "POST", "/jobs", jobJSON("Nightly", category, `"headers":{"Authorization":"S3NTINEL"}`, `"body":"S3NTINEL"`, `"bodySecret":true`)).id()
	full := func(category, url string, members ...string) string {
		return `{"name":"Nightly","description":"A job of the tests","cronPattern":"0 2 * * *","categoryId":` + category + `,"url":"` + url + `"` + strings.Join(append([]string{""}, members...), ",") + `}`
	}
	kept := `"headers":{"Authorization":"********"}`
	for name, c := range map[string]struct {
		method, target, body string
		want                 []string
	}{
		"create":                         {"POST", "/jobs", full("999999", "http://a.example/", `"timeout":1`), []string{"categoryId", "timeout"}},
		"create, unknown field":          {"POST", "/jobs", full("999999", "ftp:", `"foo":1`, `"name2":2`), []string{"categoryId", "foo", "name2", "url"}},
		"create, no category given":      {"POST", "/jobs", `{"name":"Other","timeout":1}`, []string{"categoryId", "cronPattern", "description", "timeout", "url"}},
		"create, masked":                 {"POST", "/jobs", full(category, "http://a.example/", `"timeout":1`, kept), []string{"headers.Authorization", "timeout"}},
		"replace":                        {"PUT", "/jobs/" + id, full("999999", "https://example.com/x", `"timeout":1`), []string{"categoryId", "timeout"}},
		"replace, host changed":          {"PUT", "/jobs/" + id, full(category, "http://other.example/", `"timeout":1`, kept), []string{"headers.Authorization", "timeout"}},
		"patch":                          {"PATCH", "/jobs/" + id, `{"categoryId":999999,"timeout":1}`, []string{"categoryId", "timeout"}},
		"patch, host changed":            {"PATCH", "/jobs/" + id, `{"url":"http://other.example/","timeout":1,"foo":1}`, []string{"body", "foo", "headers.Authorization", "timeout"}},
		"patch, no longer secret":        {"PATCH", "/jobs/" + id, `{"bodySecret":false,"timeout":1}`, []string{"bodySecret", "timeout"}},
		"patch, only the form":           {"PATCH", "/jobs/" + id, `{"url":"https://example.com/y","timeout":1}`, []string{"timeout"}},
		"unknown job":                    {"PATCH", "/jobs/999999", `{"url":"ftp:","timeout":1}`, []string{"timeout", "url"}},
		"bulk, unknown category":         {"POST", "/jobs/bulk", `{"action":"move","ids":[` + id + `],"categoryId":999999}`, []string{"categoryId"}},
		"bulk, unknown category and ids": {"POST", "/jobs/bulk", `{"action":"move","ids":[999998],"categoryId":999999}`, []string{"categoryId"}},
		"bulk, form":                     {"POST", "/jobs/bulk", `{"action":"move","ids":[],"categoryId":999999,"foo":1}`, []string{"categoryId", "foo", "ids"}},
		"bulk, twice":                    {"POST", "/jobs/bulk", `{"action":"move","ids":[5,5],"categoryId":999999}`, []string{"categoryId", "ids"}},
	} {
		got := d.want(400, c.method, c.target, c.body)
		fields := sortedStrings(got.fields())
		if name == "bulk, twice" {
			for i := range fields {
				fields[i], _, _ = strings.Cut(fields[i], "[")
			}
		}
		if diff := cmp.Diff(c.want, fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s%s", name, diff, got.raw)
		}
	}
	if got := d.want(200, "GET", "/jobs/"+id, ""); got.Header.Get("ETag") != `"1"` || d.total() != 1 {
		t.Errorf("changed by what was refused: %v %s", got.Header, got.raw)
	}
}

func TestJobSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	secrets := []string{`"headers":{"Authorization":"Bearer S3NTINEL","X-Mine":"S3NTINEL","X-Plain":"p"}`, `"secretHeaders":["X-Mine"]`, `"body":{"k":"S3NTINEL"}`, `"bodySecret":true`}
	created := d.want(201, "POST", "/jobs", jobJSON("Secret", category, secrets...))
	at := "/jobs/" + created.id()
	masked := `"headers":{"Authorization":"********","X-Mine":"********","X-Plain":"p"},"body":"********"`
	answers := []reply{
		created, d.want(200, "GET", at, ""), d.want(200, "GET", "/jobs", ""), d.want(200, "GET", "/categories/"+category, ""),
		d.want(200, "PATCH", at, `{`+masked+`}`),
		d.want(200, "PUT", at, jobJSON("Secret", category, masked, `"secretHeaders":["X-Mine"]`, `"bodySecret":true`)),
		d.want(200, "POST", at+"/pause", ""),
		d.want(400, "PATCH", at, `{"url":"https://elsewhere.example/"}`),
		d.want(400, "PATCH", at, `{"secretHeaders":[]}`),
		d.want(400, "PATCH", at, `{"bodySecret":false}`),
		d.want(400, "PATCH", at, `{"headers":{"Authorization":"S3NTINEL\n"}}`),
	}
	for i, answer := range answers {
		if strings.Contains(answer.raw, "S3NTINEL") {
			t.Errorf("answer %d shows a secret: %s", i, answer.raw)
		}
	}
	if got := answers[1].data(); got["body"] != job.Mask || got["headers"].(map[string]any)["X-Plain"] != "p" {
		t.Errorf("read: %s", answers[1].raw)
	}
	if got := answers[7].fields(); !slices.Equal(got, []string{"headers.Authorization", "headers.X-Mine", "body"}) {
		t.Errorf("another host: %v", got)
	}
	d.want(400, "POST", "/jobs", jobJSON("Masked", category, masked))
	d.want(200, "PATCH", at, `{"url":"https://elsewhere.example/","headers":{"Authorization":"again"},"body":null}`)
}

func TestJobForViewers(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.want(201, "POST", "/jobs", strings.Replace(jobJSON("Query", d.category("A")), "/x", "/x?key=S3NTINEL&flag&a=b=c", 1)).id()
	got := send(t, d.h, "GET", "/jobs/"+id, "", "Authorization", as(viewer))
	if url := got.data()["url"]; url != "https://example.com/x?key=********&********&a=********" {
		t.Errorf("a viewer sees %s", url)
	}
	if url := d.want(200, "GET", "/jobs/"+id, "").data()["url"]; url != "https://example.com/x?key=S3NTINEL&flag&a=b=c" {
		t.Errorf("an operator sees %s", url)
	}
	for _, request := range []string{"POST /jobs", "PUT /jobs/1", "PATCH /jobs/1", "DELETE /jobs/1", "POST /jobs/1/pause", "POST /jobs/1/resume", "POST /jobs/1/execute", "POST /categories", "DELETE /categories/1"} {
		method, target, _ := strings.Cut(request, " ")
		if got := send(t, d.h, method, target, "{}", "Authorization", as(viewer)); got.StatusCode != 403 {
			t.Errorf("%s as a viewer: %d", request, got.StatusCode)
		}
	}
}

func TestJobBodyKeepsItsBytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("A")
	for i, text := range []string{`{"b":1.0,"a":12345678901234567890.50,"<":"&"}`, `"text"`, `false`, `0`, `[]`, `""`} {
		created := d.want(201, "POST", "/jobs", jobJSON(fmt.Sprintf("Body %d", i), category, `"body":`+text))
		if !strings.Contains(created.raw, `"body":`+text+`,`) {
			t.Errorf("%s became %s", text, created.raw)
		}
	}
}

func TestJobList(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a, b := d.category("A"), d.category("B")
	d.job("First", a)
	d.job("Second_1", b, `"status":"inactive"`, `"method":"POST"`)
	d.job("third", a)
	tests := []struct {
		query string
		want  string
	}{
		{"", "First Second_1 third"},
		{"?sortOrder=desc", "third Second_1 First"},
		{"?sortOrder=DESC", "third Second_1 First"},
		{"?sortBy=name&sortOrder=desc", "third Second_1 First"},
		{"?sortBy=nextRunAt", "First third Second_1"},
		{"?search=SECOND_", "Second_1"},
		{"?search=_", "Second_1"},
		{"?search=%25", ""},
		{"?search=of%20the%20TESTS", "First Second_1 third"},
		{"?status=inactive", "Second_1"},
		{"?status=failed", ""},
		{"?method=POST", "Second_1"},
		{"?categoryId=" + a, "First third"},
		{"?categoryId=" + a + "&page=2&limit=1", "third"},
		{"?page=1000000000&limit=100", ""},
		{"?search=&status=&categoryId=&method=", "First Second_1 third"},
	}
	for _, test := range tests {
		var names []string
		for _, item := range d.want(200, "GET", "/jobs"+test.query, "").items() {
			names = append(names, item["name"].(string))
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%s: %s, want %s", test.query, got, test.want)
		}
	}
}

// TestLongListsStaySmall fills a page with the largest jobs there can be.
func TestLongListsStaySmall(t *testing.T) {
	t.Parallel()
	headers := map[string]string{}
	for i := range 50 {
		headers[fmt.Sprintf("X-%048d", i)] = strings.Repeat(`"`, 277)
	}
	listed := make([]string, 50)
	for i := range listed {
		listed[i] = strings.Repeat("l", 98) + fmt.Sprintf("%02d", i)
	}
	jobs := make([]job.Job, 100)
	for i := range jobs {
		jobs[i] = job.Job{
			Description: strings.Repeat("\u2028", 1000),
			Request: job.Request{
				URL: strings.Repeat("u", 2048), Headers: headers, SecretHeaders: listed,
				Body: []byte(`"` + strings.Repeat("\u2028", 64<<10/3) + `"`),
			},
		}
	}
	views := viewJobs(t.Context(), jobs)
	encoded, err := encode(views)
	if err != nil || len(encoded) > 4_000_000 {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
	if views[0].Omitted != nil || views[0].Body == nil {
		t.Error("the first job is not whole")
	}
	if last := views[99]; !slices.Equal(last.Omitted, []string{"headers", "body"}) || last.Body != nil || last.Headers != nil {
		t.Errorf("the last job omits %v", last.Omitted)
	}
}

func TestExecute(t *testing.T) {
	t.Parallel()
	ended := execution.Execution{Trigger: execution.Manual, ScheduledFor: noon, Attempt: 1, CreatedAt: noon, UpdatedAt: noon}
	tests := []struct {
		name   string
		runs   *fakeRuns
		ends   execution.Status
		query  string
		status int
		shows  execution.Status
		takes  time.Duration // at most
	}{
		{"quick success", &fakeRuns{}, execution.Success, "", 200, execution.Success, 50 * time.Millisecond},
		{"failure", &fakeRuns{looks: 3}, execution.Failed, "", 200, execution.Failed, 500 * time.Millisecond},
		{"skipped", &fakeRuns{}, execution.Skipped, "", 200, execution.Skipped, 50 * time.Millisecond},
		{"the database stumbles", &fakeRuns{failLooks: 2}, execution.Success, "", 200, execution.Success, 500 * time.Millisecond},
		{"no wait", &fakeRuns{looks: 1}, execution.Success, "?wait=0", 202, execution.Running, 0},
		{"longer than the wait", &fakeRuns{looks: 1000}, execution.Success, "?wait=1", 202, execution.Running, time.Second},
		{"longer than the default", &fakeRuns{looks: 1000}, execution.Success, "", 202, execution.Running, 20 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				runs := test.runs
				runs.outcome = ended
				runs.outcome.Status = test.ends
				h := newTrial(t, func(deps *Deps) { deps.Runner, deps.History = runs, runs }).handler()
				before := time.Now()
				got := send(t, h, "POST", "/jobs/5/execute"+test.query, "", "Authorization", as(operator))
				if took := time.Since(before); took > test.takes {
					t.Errorf("took %s", took)
				}
				if got.StatusCode != test.status || got.data()["status"] != string(test.shows) ||
					got.data()["jobId"] != 5.0 || got.data()["trigger"] != "manual" {
					t.Errorf("%d %s", got.StatusCode, got.raw)
				}
				if location := got.Header.Get("Location"); (location == "/history/77") != (test.status == 202) {
					t.Errorf("location %q", location)
				}
				if runs.by == 0 {
					t.Error("nobody asked for it")
				}
			})
		})
	}
}

func TestExecuteRefused(t *testing.T) {
	t.Parallel()
	for code, status := range map[apperr.Code]int{apperr.NotFound: 404, apperr.Conflict: 409, apperr.Unavailable: 503} {
		runs := &fakeRuns{refuse: apperr.New(code, "No.")}
		h := newTrial(t, func(deps *Deps) { deps.Runner, deps.History = runs, runs }).handler()
		if got := send(t, h, "POST", "/jobs/5/execute", "", "Authorization", as(operator)); got.StatusCode != status {
			t.Errorf("%s: %d", code, got.StatusCode)
		}
	}
}

func TestDispatchFollowsCreation(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.want(201, "POST", "/jobs", strings.Replace(jobJSON("Soon", d.category("A")), "0 2 * * *", "* * * * *", 1)).id()
	if got := fmt.Sprint(d.runs.dispatched); got != "["+id+"]" {
		t.Errorf("dispatched %s", got)
	}
}

func TestSchedulePreview(t *testing.T) {
	t.Parallel()
	h := newTrial(t, nil).handler()
	preview := func(body string) reply {
		return send(t, h, "POST", "/schedules/preview", body, "Authorization", as(viewer))
	}
	got := preview(`{"cronPattern":"30 9 * * MON-FRI","timezone":"Europe/Berlin","from":"2026-03-27T08:30:00Z","count":2}`)
	if runs := fmt.Sprint(got.data()["nextRuns"]); got.StatusCode != 200 || runs != "[2026-03-30T07:30:00.000Z 2026-03-31T07:30:00.000Z]" {
		t.Errorf("%d %s", got.StatusCode, got.raw)
	}
	if got.data()["description"] == "" || got.data()["timezone"] != "Europe/Berlin" || got.data()["cronPattern"] != "30 9 * * MON-FRI" {
		t.Errorf("%s", got.raw)
	}
	for from, next := range map[string]string{
		"2026-03-27t08:30:00z": "2026-03-27T09:30:00.000Z", "2026-03-27t08:30:00.25+01:00": "2026-03-27T09:30:00.000Z", "2026-03-27T09:30:00-00:00": "2026-03-28T09:30:00.000Z",
	} {
		got = preview(`{"count":1, "from" : "` + from + `","cronPattern":"30 9 * * *"}`)
		if runs := fmt.Sprint(got.data()["nextRuns"]); got.StatusCode != 200 || runs != "["+next+"]" {
			t.Errorf("from %s: %d %s", from, got.StatusCode, got.raw)
		}
	}
	got = preview(`{"cronPattern":"*/5 * * * *"}`)
	runs, _ := got.data()["nextRuns"].([]any)
	if len(runs) != 5 || runs[0] != "2026-01-31T12:05:00.000Z" || got.data()["timezone"] != "UTC" || got.data()["warnings"] == nil {
		t.Errorf("defaults: %s", got.raw)
	}
	got = preview(`{"cronPattern":"0 0 30 2 *"}`)
	warnings, _ := json.Marshal(got.data()["warnings"])
	if runs, there := got.data()["nextRuns"].([]any); got.StatusCode != 200 || !there || len(runs) != 0 || !strings.Contains(string(warnings), `"never_fires"`) {
		t.Errorf("never fires: %s", got.raw)
	}
	tests := []struct {
		body   string
		fields []string
	}{
		{`{}`, []string{"cronPattern"}},
		{`{"cronPattern":"61 * * * *","timezone":"Mars","count":101,"from":"yesterday"}`, []string{"cronPattern", "timezone", "count", "from"}},
		{`{"cronPattern":"* * * * *","count":0}`, []string{"count"}},
		{`{"cronPattern":"* * * * *","timezone":null}`, []string{"timezone"}},
	}
	for _, test := range tests {
		got := preview(test.body)
		if diff := cmp.Diff(test.fields, got.fields(), cmp.Transformer("sorted", sortedStrings)); got.StatusCode != 400 || diff != "" {
			t.Errorf("%s: %d %s", test.body, got.StatusCode, diff)
		}
	}
}

// What is sent has the bytes that were written, be it that answers show a body
// without its insignificant space and that something else was changed since.
func TestBodiesKeepTheirSpace(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	for body, shown := range map[string]string{
		"{\n \"b\" :  1.0 ,\t\"a\":[ ] }": `{"b":1.0,"a":[]}`,
		`"  two  words\n"`:                `"  two  words\n"`,
		`"\u0041\ud83d\ude00"`:            `"\u0041\ud83d\ude00"`,
		`{"half":"\ud83d"}`:               `{"half":"\ud83d"}`,
		" 1e2 ":                           "1e2",
	} {
		id := d.job("Report", category, `"method":"POST"`, `"body":`+body)
		for _, got := range []reply{
			d.want(200, "GET", "/jobs/"+id, ""),
			d.want(200, "PATCH", "/jobs/"+id, `{"timeout":2000}`),
		} {
			if !strings.Contains(got.raw, `"body":`+shown+`,`) {
				t.Errorf("%s is shown in %s", body, got.raw)
			}
		}
		var stored []byte
		if err := d.db.QueryRowContext(t.Context(), "SELECT body FROM job_requests WHERE job_id = ? ORDER BY revision DESC LIMIT 1", id).Scan(&stored); err != nil || string(stored) != strings.TrimSpace(body) {
			t.Errorf("%q is stored as %q, %v", body, stored, err)
		}
		d.want(200, "DELETE", "/jobs/"+id, "")
	}
	for _, target := range []string{"/jobs", "/jobs/import"} {
		body, field := jobJSON("Half", category, `"body":"\ud83d"`), "body"
		if target == "/jobs/import" {
			body, field = jobsOf(body), "jobs[0].body"
		}
		if got := d.want(400, "POST", target, body); fmt.Sprint(got.fields()) != "["+field+"]" {
			t.Errorf("half a character to %s: %s", target, got.raw)
		}
	}
}

func TestHeadersKeepTheCaseTheyAreWrittenIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	const headers = `{"ETag-of":"1","x-LoWer_Case":"2"}`
	id := d.job("Report", category, `"headers":`+headers)
	exported := d.exported("")
	if !strings.Contains(exported, `"headers":`+headers) {
		t.Errorf("exported as %s", exported)
	}
	d.want(200, "DELETE", "/jobs/"+id, "")
	d.want(201, "POST", "/jobs/import", exported)
	if got := d.want(200, "GET", "/jobs", ""); !strings.Contains(got.raw, `"headers":`+headers) {
		t.Errorf("imported as %s", got.raw)
	}
	got := d.want(400, "POST", "/jobs", jobJSON("Twice", category, `"headers":{"X-A":"1","x-a":"2"}`))
	if fmt.Sprint(got.fields()) != "[headers.x-a]" {
		t.Errorf("two that differ in case: %s", got.raw)
	}
}

func TestWhatIfMatchMayBe(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.job("Report", d.category("Reports"))
	for header, want := range map[string]int{
		`1`: 412, `'1'`: 412, `"1`: 412, `"1" "2"`: 412, `*, "2"`: 412, `w/"1"`: 412,
		`"x"`: 412, `""`: 412, `W/"1"`: 412, `"2", W/"1"`: 412, `"2", "3"`: 412, `"99999999999999999999"`: 412,
		`*`: 200, ``: 200,
	} {
		got := d.want(want, "PATCH", "/jobs/"+id, `{"timeout":30000}`, "If-Match", header)
		if want == 412 && !strings.Contains(got.raw, "ETag") {
			t.Errorf("%s: %s", header, got.raw)
		}
	}
	version := d.want(200, "GET", "/jobs/"+id, "").Header.Get("ETag")
	d.want(200, "PATCH", "/jobs/"+id, `{"timeout":30000}`, "If-Match", `"x",, `+version+`,`)
}
