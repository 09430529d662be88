package httpapi

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// quiet are routes that take no body, with what they answer to none.
var quiet = []string{"/jobs/{job}/pause", "/jobs/{job}/resume", "/jobs/{job}/execute", "/history/77/replay"}

func TestNothingButNothingIsTakenForNoBody(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.runs.outcome.Status = execution.Success
	job := d.job("Report", d.category("Reports"))
	for _, path := range quiet {
		path = strings.Replace(path, "{job}", job, 1)
		for _, body := range []string{"", "{}", " {\n} "} {
			d.want(200, "POST", path, body)
			d.want(200, "POST", path, body, "Content-Type", "application/x-www-form-urlencoded")
		}
		for body, field := range map[string]string{
			`{"wait":1}`: "wait", `{"a":1,"a":2}`: "a", "[]": "", "null": "", `"x"`: "", "0": "", "{": "", "{}{}": "", "a=1": "",
		} {
			for _, contentType := range []string{"application/json", "text/plain"} {
				got := d.want(400, "POST", path, body, "Content-Type", contentType)
				if !strings.HasPrefix(body, `{"a"`) && !cmp.Equal(got.fields(), []string{field}) {
					t.Errorf("%s with %s: fields %q", path, body, got.fields())
				}
			}
		}
		d.want(413, "POST", path, strings.Repeat(" ", 1<<20+1))
	}
	asked := d.runs.asked
	d.want(400, "DELETE", "/jobs/"+job, `{"force":true}`)
	d.want(200, "DELETE", "/jobs/"+job, `{}`)
	if asked != 12 {
		t.Errorf("%d runs were asked for, want 12", asked)
	}
}

func TestAnEmptyObjectIsTheSameRequestAsNoBody(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.runs.outcome.Status = execution.Success
	d.want(200, "POST", "/jobs/5/execute", "", "Idempotency-Key", "k")
	again := d.want(200, "POST", "/jobs/5/execute", "{}", "Idempotency-Key", "k")
	if again.Header.Get("Idempotent-Replayed") != "true" {
		t.Error("served anew")
	}
}

func TestSwitchingTakesAVersion(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	at := "/jobs/" + d.job("Report", d.category("Reports"))
	d.want(412, "POST", at+"/pause", "", "If-Match", `"2"`)
	d.want(412, "POST", at+"/pause", "", "If-Match", `W/"1"`)
	if got := d.want(200, "POST", at+"/pause", "", "If-Match", `"1"`).Header.Get("ETag"); got != `"2"` {
		t.Errorf("ETag %s", got)
	}
	d.want(412, "POST", at+"/resume", "", "If-Match", `"1"`)
	d.want(200, "POST", at+"/resume", "", "If-Match", `"7", "2"`)
}

func TestReplay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.runs.outcome = execution.Execution{Status: execution.Failed, Trigger: execution.Replay, ScheduledFor: noon, Attempt: 1}
	got := d.want(200, "POST", "/history/5/replay", "", "Idempotency-Key", "k")
	if got.data()["id"] != 77.0 || got.data()["trigger"] != "replay" || d.runs.outcome.ReplayOf != 5 || d.runs.by != 2 {
		t.Errorf("%s by %d", got.raw, d.runs.by)
	}
	if again := d.want(200, "POST", "/history/5/replay", "", "Idempotency-Key", "k"); again.raw != got.raw || d.runs.asked != 1 {
		t.Errorf("%d runs; %s", d.runs.asked, again.raw)
	}
	d.runs.looks = 1
	accepted := d.want(202, "POST", "/history/5/replay?wait=0", "")
	if accepted.Header.Get("Location") != "/history/77" || accepted.data()["status"] != "running" {
		t.Errorf("%v %s", accepted.Header, accepted.raw)
	}
	for code, status := range map[apperr.Code]int{apperr.NotFound: 404, apperr.Conflict: 409, apperr.Unavailable: 503} {
		d.runs.refuse = apperr.New(code, "No.")
		d.want(status, "POST", "/history/5/replay", "")
	}
	d.want(400, "POST", "/history/0/replay", "")
	d.want(400, "POST", "/history/5/replay?wait=26", "")
	if got := send(t, d.h, "POST", "/history/5/replay", "", "Authorization", as(viewer)); got.StatusCode != 403 {
		t.Errorf("a viewer: %d", got.StatusCode)
	}
}

func TestAJobSaysThatItsCategoryIsInactive(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	at := "/jobs/" + d.job("Report", category)
	d.want(200, "PATCH", "/categories/"+category, `{"status":"inactive"}`)
	got := d.want(200, "GET", at, "").data()
	if got["statusReason"] != "its category is inactive" || got["nextRunAt"] != nil || got["status"] != "active" {
		t.Errorf("%v", got)
	}
	if listed := d.want(200, "GET", "/jobs", "").items()[0]; listed["statusReason"] != got["statusReason"] || listed["nextRunAt"] != nil {
		t.Errorf("in a list: %v", listed)
	}
	d.want(200, "PATCH", "/categories/"+category, `{"status":"active"}`)
	if got := d.want(200, "GET", at, "").data(); got["statusReason"] != nil {
		t.Errorf("%v", got)
	}
	d.want(200, "PATCH", "/categories/"+category, `{"status":"inactive"}`)
	if got := d.want(200, "POST", at+"/pause", "").data(); got["statusReason"] != nil {
		t.Errorf("paused as well: %v", got)
	}
}

// Whoever asks why a job has stopped is told.
func TestAJobThatCannotBePlannedSaysWhy(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.job("Report", d.category("Reports"))
	if _, err := d.db.ExecContext(t.Context(), "UPDATE jobs SET timezone = 'Atlantis/Capital', next_run_at = ? WHERE id = ?", noon, id); err != nil {
		t.Fatal(err)
	}
	tick := dispatch.New(mysql.NewExecutions(d.db), noQueue{}, noQueue{}, func() time.Time { return noon }, slog.New(slog.DiscardHandler))
	if report, err := tick.Tick(t.Context()); err != nil || report.SetAside != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	got := d.want(200, "GET", "/jobs/"+id, "").data()
	reason, _ := got["statusReason"].(string)
	if got["status"] != "failed" || got["nextRunAt"] != nil || !strings.Contains(reason, "schedule can no longer be read") || !strings.Contains(reason, "time zone is not known") {
		t.Errorf("%v", got)
	}
	if listed := d.want(200, "GET", "/jobs", "").items()[0]; listed["statusReason"] != reason {
		t.Errorf("in a list: %v", listed)
	}
}

func TestDuplicateJob(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	at := "/jobs/" + d.job("Report", d.category("Reports"), `"headers":{"Authorization":"Bearer sentinel"}`)
	first := d.want(201, "POST", at+"/duplicate", "{}")
	if got := first.data(); got["name"] != "Report copy" || got["status"] != "inactive" || got["nextRunAt"] != nil ||
		got["headers"].(map[string]any)["Authorization"] != "********" {
		t.Errorf("%s", first.raw)
	}
	if first.Header.Get("Location") != "/jobs/"+first.id() || first.Header.Get("ETag") != `"1"` {
		t.Errorf("%v", first.Header)
	}
	if got := d.want(201, "POST", at+"/duplicate", "").data()["name"]; got != "Report copy 2" {
		t.Errorf("the second copy is %q", got)
	}
	d.want(400, "POST", at+"/duplicate", `{"name":"Mine"}`)
	d.want(404, "POST", "/jobs/9007199254740991/duplicate", "")
	if got := send(t, d.h, "POST", at+"/duplicate", "", "Authorization", as(viewer)); got.StatusCode != 403 {
		t.Errorf("a viewer: %d", got.StatusCode)
	}
}

func TestChangeManyJobs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	a, b := d.job("A", category), d.job("B", category)
	got := d.want(200, "POST", "/jobs/bulk", `{"action":"pause","ids":[`+b+`,9007199254740991,`+a+`]}`, "Idempotency-Key", "k")
	want := map[string]any{"succeeded": 2.0, "failed": 1.0, "results": []any{
		map[string]any{"id": number(b), "ok": true, "statusCode": 200.0, "message": "The job is paused."},
		map[string]any{"id": 9007199254740991.0, "ok": false, "statusCode": 404.0, "message": "There is no such job."},
		map[string]any{"id": number(a), "ok": true, "statusCode": 200.0, "message": "The job is paused."},
	}}
	if diff := cmp.Diff(want, got.data()); diff != "" {
		t.Error(diff)
	}
	again := d.want(200, "POST", "/jobs/bulk", `{"action":"pause","ids":[`+b+`,9007199254740991,`+a+`]}`, "Idempotency-Key", "k")
	if again.raw != got.raw || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v", again.Header)
	}
	d.want(409, "POST", "/jobs/bulk", `{"action":"resume","ids":[`+b+`]}`, "Idempotency-Key", "k")
	if tag := d.want(200, "GET", "/jobs/"+a, "").Header.Get("ETag"); tag != `"2"` {
		t.Errorf("ETag %s", tag)
	}
	other := d.category("Other")
	d.want(200, "POST", "/jobs/bulk", `{"action":"move","ids":[`+a+`],"categoryId":`+other+`}`)
	d.want(200, "POST", "/jobs/bulk", `{"action":"delete","ids":[`+b+`]}`)
	d.want(404, "GET", "/jobs/"+b, "")
	if got := d.want(200, "GET", "/categories/"+other, "").data()["jobCount"]; got != 1.0 {
		t.Errorf("%v jobs have moved", got)
	}

	many := make([]string, 501)
	for i := range many {
		many[i] = strconv.Itoa(i + 1)
	}
	d.want(200, "POST", "/jobs/bulk", `{"action":"pause","ids":[`+strings.Join(many[:500], ",")+`]}`)
	for body, fields := range map[string][]string{
		`{}`:                                 {"action", "ids"},
		`{"action":"stop","ids":[]}`:         {"action", "ids"},
		`{"action":"pause","ids":[1,2,1.0]}`: {"ids[2]"},
		`{"action":"pause","ids":["1",0,9007199254740992,null,1.5]}`:        {"ids[0]", "ids[1]", "ids[2]", "ids[3]", "ids[4]"},
		`{"action":"pause","ids":[1],"categoryId":1}`:                       {"categoryId"},
		`{"action":"pause","ids":[1],"categoryId":null}`:                    {"categoryId"},
		`{"action":"move","ids":[1]}`:                                       {"categoryId"},
		`{"action":"move","ids":[` + a + `],"categoryId":9007199254740991}`: {"categoryId"},
		`{"action":"pause","ids":[1],"dry":true}`:                           {"dry"},
		`{"action":"pause","ids":[` + strings.Join(many, ",") + `]}`:        {"ids"},
	} {
		if got := d.want(400, "POST", "/jobs/bulk", body); !cmp.Equal(got.fields(), fields) {
			t.Errorf("%.60s: fields %v, want %v", body, got.fields(), fields)
		}
	}
}

func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func TestACopyOfAJobWithoutItsSecretDoesNotRunEither(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.category("Reports")
	d.want(201, "POST", "/jobs/import", jobsOf(named("Masked", "Reports", `"headers":{"Authorization":"********"}`)))
	source := fmt.Sprintf("%.0f", d.want(200, "GET", "/jobs", "").items()[0]["id"])
	copied := d.want(201, "POST", "/jobs/"+source+"/duplicate", "")
	if copied.data()["statusReason"] == nil {
		t.Errorf("the copy does not say what is missing: %s", copied.raw)
	}
	d.want(400, "POST", "/jobs/"+copied.id()+"/resume", "")
	bulk := d.want(200, "POST", "/jobs/bulk", `{"action":"resume","ids":[`+copied.id()+`]}`).data()
	if bulk["failed"] != 1.0 {
		t.Errorf("resumed: %v", bulk)
	}
	d.want(200, "PATCH", "/jobs/"+copied.id(), `{"headers":{"Authorization":"Bearer x"}}`)
	d.want(200, "POST", "/jobs/"+copied.id()+"/resume", "")
}
