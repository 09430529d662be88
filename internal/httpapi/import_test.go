package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// named is a job of an import that names its category.
func named(name, category string, members ...string) string {
	return fmt.Sprintf(`{"name":%q,"description":"A job of the tests","cronPattern":"0 2 * * *","categoryName":%q,"url":"https://example.com/x"%s}`,
		name, category, strings.Join(append([]string{""}, members...), ","))
}

func jobsOf(jobs ...string) string { return `{"jobs":[` + strings.Join(jobs, ",") + `]}` }

// many are so many jobs of a category, all alike but for their names.
func many(n int, category string, members ...string) string {
	jobs := make([]string, n)
	for i := range jobs {
		jobs[i] = named(fmt.Sprintf("Job %d", i), category, members...)
	}
	return jobsOf(jobs...)
}

// imported are the items of an import's answer.
func (r reply) imported() (actions []string, warnings []string) {
	items, _ := r.data()["items"].([]any)
	for i, one := range items {
		item := one.(map[string]any)
		if item["index"] != float64(i) {
			actions = append(actions, "out of order")
		}
		actions = append(actions, fmt.Sprintf("%v %v", item["action"], item["name"]))
		codes := []string{}
		for _, w := range item["warnings"].([]any) {
			codes = append(codes, w.(map[string]any)["code"].(string))
		}
		warnings = append(warnings, strings.Join(codes, " "))
	}
	return actions, warnings
}

// exported is the JSON of an export without its pages, ready to be imported.
func (d *desk) exported(query string) string {
	d.t.Helper()
	all := []string{}
	for cursor := ""; ; {
		got := d.want(200, "GET", "/jobs/export?"+query+cursor, "")
		var answer struct {
			Data struct{ Jobs []json.RawMessage }
			Meta struct{ NextCursor *string }
		}
		if err := json.Unmarshal([]byte(got.raw), &answer); err != nil {
			d.t.Fatal(err)
		}
		if len(got.raw) > 4_000_000 {
			d.t.Errorf("an answer of %d bytes", len(got.raw))
		}
		for _, one := range answer.Data.Jobs {
			all = append(all, string(one))
		}
		if answer.Meta.NextCursor == nil {
			return jobsOf(all...)
		}
		cursor = "&cursor=" + *answer.Meta.NextCursor
	}
}

func (d *desk) total() float64 {
	d.t.Helper()
	return d.want(200, "GET", "/jobs?limit=1", "").body["meta"].(map[string]any)["total"].(float64)
}

func TestImportShape(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	got := d.want(201, "POST", "/jobs/import", jobsOf(named("One", "rePORTS"), jobJSON("Two", category, `"cronPattern2":1`)[:0]+jobJSON("Two", category)))
	data := got.data()
	delete(data, "items")
	if diff := cmp.Diff(map[string]any{"created": 2.0, "updated": 0.0, "skipped": 0.0, "dryRun": false}, data); diff != "" {
		t.Error(diff)
	}
	list := d.want(200, "GET", "/jobs", "").items()
	if len(list) != 2 || list[0]["name"] != "One" || list[1]["name"] != "Two" || list[0]["nextRunAt"] != "2026-02-01T02:00:00.000Z" || list[0]["createdBy"] != 2.0 {
		t.Errorf("stored: %v", list)
	}
	var answer struct {
		Data struct{ Items []map[string]any }
	}
	if err := json.Unmarshal([]byte(got.raw), &answer); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"index": 0.0, "id": list[0]["id"], "name": "One", "action": "created", "warnings": []any{}},
		{"index": 1.0, "id": list[1]["id"], "name": "Two", "action": "created", "warnings": []any{}},
	}
	if diff := cmp.Diff(want, answer.Data.Items); diff != "" {
		t.Error(diff)
	}
	// What is far away is left to the ticks, what is near is not.
	if len(d.runs.dispatched) != 0 {
		t.Errorf("dispatched %v", d.runs.dispatched)
	}
	d.want(201, "POST", "/jobs/import", jobsOf(named("Near", "Reports", `"status":"active"`)[:0]+strings.Replace(named("Near", "Reports"), "0 2 * * *", "* * * * *", 1), named("Far", "Reports")))
	if len(d.runs.dispatched) != 1 {
		t.Errorf("dispatched %v", d.runs.dispatched)
	}
	d.want(201, "POST", "/jobs/import", `{"jobs":[]}`)
}

func TestImportOnConflict(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.category("Reports")
	d.want(201, "POST", "/jobs/import", jobsOf(named("Old", "Reports", `"timeout":5000`, `"method":"POST"`), named("Same", "Reports")))
	before := d.exported("")
	file := jobsOf(named("OLD", "Reports", `"timeout":6000`), named("New", "Reports"), named("Same", "Reports"))

	refused := d.want(409, "POST", "/jobs/import", file)
	if diff := cmp.Diff([]string{"jobs[0].name", "jobs[2].name"}, refused.fields()); diff != "" {
		t.Error(diff)
	}
	both := d.want(400, "POST", "/jobs/import", jobsOf(named("Old", "Reports"), named("a/b", "Reports")))
	if diff := cmp.Diff([]string{"jobs[1].name", "jobs[0].name"}, both.fields()); diff != "" {
		t.Error(diff)
	}
	for _, query := range []string{"?onConflict=update&dryRun=true", "?onConflict=skip&dryRun=true"} {
		d.want(201, "POST", "/jobs/import"+query, file)
	}
	if after := d.exported(""); after != before {
		t.Errorf("a refused import, or a dry run, changed something:\n%s\n%s", before, after)
	}

	skipped := d.want(201, "POST", "/jobs/import?onConflict=skip", file)
	actions, _ := skipped.imported()
	if diff := cmp.Diff([]string{"skipped Old", "created New", "skipped Same"}, actions); diff != "" {
		t.Error(diff)
	}
	ids := map[string]string{}
	for _, item := range d.want(200, "GET", "/jobs", "").items() {
		ids[item["name"].(string)] = fmt.Sprintf("%.0f", item["id"])
	}
	d.want(200, "PATCH", "/jobs/"+ids["Same"], `{"description":"Changed meanwhile"}`)

	updated := d.want(201, "POST", "/jobs/import?onConflict=update", file)
	actions, _ = updated.imported()
	if diff := cmp.Diff([]string{"updated OLD", "updated New", "updated Same"}, actions); diff != "" {
		t.Error(diff)
	}
	old := d.want(200, "GET", "/jobs/"+ids["Old"], "")
	if old.data()["name"] != "OLD" || old.data()["timeout"] != 6000.0 || old.data()["method"] != "GET" || old.Header.Get("ETag") != `"2"` {
		t.Errorf("replaced: %s", old.raw)
	}
	if same := d.want(200, "GET", "/jobs/"+ids["Same"], ""); same.data()["description"] != "A job of the tests" || same.Header.Get("ETag") != `"3"` {
		t.Errorf("replaced: %s", same.raw)
	}
	if unchanged := d.want(200, "GET", "/jobs/"+ids["New"], ""); unchanged.Header.Get("ETag") != `"1"` {
		t.Errorf("an update that changes nothing moved the version: %s", unchanged.raw)
	}
}

func TestImportMakesCategories(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := jobsOf(named("One", " New Ones "), named("Two", "nEW oNES"), named("Three", "Others"))
	got := d.want(400, "POST", "/jobs/import", file)
	if diff := cmp.Diff([]string{"jobs[0].categoryName", "jobs[1].categoryName", "jobs[2].categoryName"}, got.fields()); diff != "" {
		t.Error(diff)
	}
	d.want(201, "POST", "/jobs/import?createCategories=true&dryRun=true", file)
	if categories := d.want(200, "GET", "/categories", "").items(); len(categories) != 0 {
		t.Errorf("refused and dry imports made %v", categories)
	}
	d.want(201, "POST", "/jobs/import?createCategories=true", file)
	categories := d.want(200, "GET", "/categories", "").items()
	if len(categories) != 2 || categories[0]["name"] != "New Ones" || categories[0]["jobCount"] != 2.0 || categories[0]["status"] != "active" {
		t.Errorf("categories: %v", categories)
	}
	// A job moves to a category that is made for it.
	d.want(201, "POST", "/jobs/import?createCategories=true&onConflict=update", jobsOf(named("One", "Third")))
	if job := d.want(200, "GET", "/jobs?search=One", "").items()[0]; job["category"].(map[string]any)["name"] != "Third" {
		t.Errorf("moved: %v", job)
	}
}

func TestImportFaults(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	good := named("Good", "Reports")
	tests := []struct {
		name, query, body string
		fields            []string
	}{
		{"all faults of all jobs", "", jobsOf(good, named("a/b", "Reports", `"timeout":1`, `"x":1`), strings.Replace(named("B", "Reports"), "0 2 * * *", "61 * * * *", 1), `5`, `{}`), []string{
			"jobs[1].name", "jobs[1].timeout", "jobs[1].x", "jobs[2].cronPattern", "jobs[3]",
			"jobs[4].name", "jobs[4].description", "jobs[4].cronPattern", "jobs[4].url", "jobs[4].categoryId",
		}},
		{"with those of the request", "?dryRun=yes&onConflict=no&x=1&categoryId=a", jobsOf(named("a/b", "Reports")), []string{"dryRun", "onConflict", "x", "categoryId", "jobs[0].name"}},
		{"read-only fields", "", jobsOf(named("A", "Reports", `"id":5`, `"isActive":true`, `"nextRunAt":null`)), []string{"jobs[0].id", "jobs[0].isActive", "jobs[0].nextRunAt"}},
		{"same name twice", "", jobsOf(good, named("gOOD ", "Reports")), []string{"jobs[1].name"}},
		{"both kinds of category", "", jobsOf(named("A", "Reports", `"categoryId":`+category)), []string{"jobs[0].categoryName"}},
		{"no category", "", jobsOf(strings.Replace(named("A", "Reports"), `"categoryName":"Reports",`, "", 1)), []string{"jobs[0].categoryId"}},
		{"unknown categories", "", jobsOf(named("A", "Others"), jobJSON("B", "9007199254740991")), []string{"jobs[0].categoryName", "jobs[1].categoryId"}},
		{"unknown category for all", "?categoryId=9007199254740991", jobsOf(good), []string{"categoryId"}},
		{"category name that is none", "?createCategories=true", jobsOf(strings.Replace(named("A", "BELL"), "BELL", `\u0007`, 1), named("B", strings.Repeat("x", 101))), []string{"jobs[0].categoryName", "jobs[1].categoryName"}},
		{"status of the system", "", jobsOf(named("A", "Reports", `"status":"failed"`)), []string{"jobs[0].status"}},
		{"mask where nothing is secret", "", jobsOf(named("A", "Reports", `"headers":{"X-A":"********"}`), named("B", "Reports", `"body":"********"`)), []string{"jobs[0].headers.X-A", "jobs[1].body"}},
		{"no array", "", `{"jobs":{}}`, []string{"jobs"}},
		{"no jobs", "", `{}`, []string{"jobs"}},
		{"more than jobs", "", `{"jobs":[],"success":true}`, []string{"success"}},
		{"jobs twice", "", `{"jobs":[],"jobs":[]}`, []string{"jobs"}},
		{"no object", "", `[]`, []string{""}},
		{"no JSON", "", `{"jobs":[}`, []string{""}},
		{"space", "", "  \n", []string{""}},
		{"nothing", "", "", []string{""}},
	}
	for _, test := range tests {
		got := d.call("POST", "/jobs/import"+test.query, test.body)
		if diff := cmp.Diff(test.fields, got.fields(), cmp.Transformer("sorted", sortedStrings)); got.StatusCode != 400 || diff != "" {
			t.Errorf("%s: %d\n%s\n%s", test.name, got.StatusCode, diff, got.raw)
		}
	}
	if n := d.total(); n != 0 {
		t.Errorf("faulty imports stored %v jobs", n)
	}
}

func TestImportNamesTheFirstFaultsAndCountsTheRest(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.category("Reports")
	got := d.want(400, "POST", "/jobs/import", many(300, "Reports", `"timeout":1`))
	if len(got.fields()) != 100 || !strings.Contains(fmt.Sprint(got.body["message"]), "300") || !strings.Contains(fmt.Sprint(got.body["message"]), "200 more") {
		t.Errorf("%d faults: %v", len(got.fields()), got.body["message"])
	}
	d.want(201, "POST", "/jobs/import", many(150, "Reports"))
	taken := d.want(409, "POST", "/jobs/import", many(150, "Reports"))
	if len(taken.fields()) != 100 || !strings.Contains(fmt.Sprint(taken.body["message"]), "50 more") {
		t.Errorf("%d faults: %v", len(taken.fields()), taken.body["message"])
	}
}

func TestImportOfMaskedSecrets(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.category("Reports")
	secret := []string{`"headers":{"Authorization":"Bearer S3NTINEL","X-Mine":"S3NTINEL","X-Plain":"p"}`, `"secretHeaders":["X-Mine"]`, `"body":{"k":"S3NTINEL"}`, `"bodySecret":true`}
	d.want(201, "POST", "/jobs/import", jobsOf(named("Secret", "Reports", secret...)))
	file := d.exported("")
	if strings.Contains(file, "S3NTINEL") || strings.Count(file, "********") != 3 {
		t.Fatalf("exported: %s", file)
	}
	at := "/jobs/" + fmt.Sprintf("%.0f", d.want(200, "GET", "/jobs", "").items()[0]["id"])

	// Replaced on its own host, the job keeps its secrets and stays active.
	kept := d.want(201, "POST", "/jobs/import?onConflict=update", strings.Replace(file, "A job of the tests", "A job of the tests, changed", 1))
	if _, warnings := kept.imported(); warnings[0] != "" {
		t.Errorf("warnings %v", warnings)
	}
	if got := d.want(200, "GET", at, ""); got.data()["status"] != "active" || got.data()["description"] != "A job of the tests, changed" {
		t.Errorf("%s", got.raw)
	}
	moved := d.want(400, "POST", "/jobs/import?onConflict=update", strings.Replace(file, "https://example.com", "https://elsewhere.example", 1))
	if diff := cmp.Diff([]string{"jobs[0].headers.Authorization", "jobs[0].headers.X-Mine", "jobs[0].body"}, moved.fields()); diff != "" {
		t.Error(diff)
	}

	// Elsewhere it is inactive until they are entered.
	other := newDesk(t)
	other.category("Reports")
	got := other.want(201, "POST", "/jobs/import", file)
	if _, warnings := got.imported(); warnings[0] != "secret_missing" {
		t.Errorf("warnings %v", warnings)
	}
	id := fmt.Sprintf("%.0f", other.want(200, "GET", "/jobs", "").items()[0]["id"])
	at = "/jobs/" + id
	read := other.want(200, "GET", at, "").data()
	if read["status"] != "inactive" || read["nextRunAt"] != nil || read["statusReason"] == nil {
		t.Errorf("%v", read)
	}
	resumed := other.want(400, "POST", at+"/resume", "")
	if diff := cmp.Diff([]string{"headers.Authorization", "headers.X-Mine", "body"}, resumed.fields()); diff != "" {
		t.Error(diff)
	}
	bulk := other.want(200, "POST", "/jobs/bulk", `{"action":"resume","ids":[`+id+`]}`)
	if bulk.data()["failed"] != 1.0 {
		t.Errorf("resumed in bulk: %s", bulk.raw)
	}
	other.want(400, "PATCH", at, `{"status":"active","headers":{"Authorization":"Bearer x","X-Mine":"********"}}`)
	other.want(200, "PATCH", at, `{"description":"Still inactive, and that is well"}`)
	if again := other.exported(""); strings.Replace(again, "Still inactive, and that is well", "A job of the tests", 1) != strings.Replace(file, `"status":"active"`, `"status":"inactive"`, 1) {
		t.Errorf("exported again:\n%s\n%s", file, again)
	}
	entered := other.want(200, "PATCH", at, `{"status":"active","headers":{"Authorization":"Bearer x","X-Mine":"y"},"body":{"k":1}}`).data()
	if entered["status"] != "active" || entered["statusReason"] != nil || entered["nextRunAt"] == nil {
		t.Errorf("%v", entered)
	}
}

func TestExportThenImportThenExport(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.category("Reports")
	d.category("Ünïcode & <others>")
	jobs := []string{
		named("Plain", "Reports"),
		named("Everything", "Ünïcode & <others>", `"timezone":"Europe/Berlin"`, `"method":"PATCH"`, `"headers":{"X-A":"<&> \" ' ä","X-B":""}`,
			`"secretHeaders":["X-None"]`, `"body":{"b":[1.0,1e5,"\u0000\ud83d\ude00<"],"a":null}`, `"timeout":1500`, `"retryAttempts":0`, `"retryDelay":0`,
			`"retryBackoff":"exponential"`, `"overlapPolicy":"skip"`, `"misfirePolicy":"fire_all"`, `"maxRedirects":5`, `"status":"inactive"`),
		named("Text", "Reports", `"body":"just text\n"`, `"method":"POST"`),
		named("Number", "Reports", `"body":0`), named("False", "Reports", `"body":false`), named("Empty", "Reports", `"body":""`),
		strings.Replace(named("Seconds", "Reports"), "0 2 * * *", "30 0 2 L * ?", 1),
		strings.Replace(named("Described", "Reports"), "A job of the tests", `Zeile\nTab\t\u2028\"`, 1),
	}
	d.want(201, "POST", "/jobs/import", jobsOf(jobs...))
	first := d.exported("")
	other := newDesk(t)
	other.want(201, "POST", "/jobs/import?createCategories=true", first)
	if diff := cmp.Diff(first, other.exported("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(first, other.exported("limit=3")); diff != "" {
		t.Errorf("in pages: %s", diff)
	}
	// Into the same system it changes nothing.
	before := d.want(200, "GET", "/jobs?limit=100", "").raw
	d.want(201, "POST", "/jobs/import?onConflict=update", first)
	if after := d.want(200, "GET", "/jobs?limit=100", "").raw; after != before {
		t.Errorf("an import of what is there changed it:\n%s\n%s", before, after)
	}
}

func TestExportIsBoundedAndPaged(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	d.category("Others")
	body := `"body":"` + strings.Repeat("x", 60_000) + `"`
	for part := range 2 {
		jobs := make([]string, 60)
		for i := range jobs {
			jobs[i] = named(fmt.Sprintf("Large %d %d", part, i), "Reports", body)
		}
		d.want(201, "POST", "/jobs/import", jobsOf(jobs...))
	}
	d.want(201, "POST", "/jobs/import", jobsOf(named("Other", "Others")))
	if all := d.exported(""); strings.Count(all, `"name"`) != 121 {
		t.Errorf("%d jobs", strings.Count(all, `"name"`))
	}
	if some := d.exported("categoryId=" + category); strings.Count(some, `"name"`) != 120 {
		t.Errorf("%d jobs of the category", strings.Count(some, `"name"`))
	}
	first := d.want(200, "GET", "/jobs/export?limit=2", "")
	cursor := first.body["meta"].(map[string]any)["nextCursor"].(string)
	for _, query := range []string{"cursor=" + cursor + "&categoryId=" + category, "cursor=x", "limit=0", "limit=1001", "page=1"} {
		d.want(400, "GET", "/jobs/export?"+query, "")
	}
	text := d.want(200, "GET", "/jobs/export", "", "Accept", "text/plain")
	if len(text.raw) > 4_000_000 || !strings.Contains(text.raw, "GET /jobs/export?cursor=") || !strings.HasPrefix(text.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d bytes of %s", len(text.raw), text.Header.Get("Content-Type"))
	}
}

func TestExportAsCrontab(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	d.want(201, "POST", "/jobs/import", jobsOf(
		named("Plain one", "Reports", `"retryAttempts":0`),
		named("Secret", "Reports", `"method":"POST"`, `"headers":{"Authorization":"S3NTINEL","Content-Type":"text/x"}`, `"body":"it's 5%"`, `"timezone":"Europe/Berlin"`),
		strings.Replace(named("Seconds", "Reports"), "0 2 * * *", "30 0 2 * * *", 1),
		named("Paused", "Reports", `"status":"inactive"`)))
	got := d.want(200, "GET", "/jobs/export", "", "Accept", "text/plain;q=0.9, application/json;q=0.1")
	want := `CRON_TZ=UTC
# name: Plain one
# description: A job of the tests
0 2 * * * curl -fsS -m 30 https://example.com/x
CRON_TZ=Europe/Berlin
# name: Secret
# description: A job of the tests
0 2 * * * curl -fsS -X POST -H 'Authorization: ********' -H 'Content-Type: text/x' --data-raw 'it'\''s 5\%' -m 30 --retry 3 --retry-delay 1 https://example.com/x
# Seconds: its pattern is none of crontab's
# 30 0 2 * * * curl -fsS -m 30 --retry 3 --retry-delay 1 https://example.com/x
CRON_TZ=UTC
# Paused: not active
# 0 2 * * * curl -fsS -m 30 --retry 3 --retry-delay 1 https://example.com/x
`
	if diff := cmp.Diff(want, got.raw); diff != "" {
		t.Error(diff)
	}
	again := d.want(201, "POST", "/jobs/import?onConflict=update&categoryId="+category, got.raw, "Content-Type", "text/plain")
	actions, warnings := again.imported()
	if diff := cmp.Diff([]string{"updated Plain one", "updated Secret"}, actions); diff != "" || warnings[0] != "" || !strings.HasPrefix(warnings[1], "dst_") {
		t.Error(diff, warnings)
	}
	for accept, isText := range map[string]bool{"": false, "*/*": false, "application/json": false, "text/plain": true, "text/html, text/plain": true, "application/json, text/plain": false, "text/plain;q=0": false, "nonsense;;": false} {
		got := d.want(200, "GET", "/jobs/export", "", "Accept", accept)
		if strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain") != isText ||
			strings.Join(got.Header.Values("Vary"), ",") != "Origin,Accept-Encoding,Accept" {
			t.Errorf("%q: %v", accept, got.Header)
		}
	}
}

func TestCrontabWithListedSecretsIsImportedAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	id := d.want(201, "POST", "/jobs", jobJSON("Listed", category, `"method":"POST"`,
		`"headers":{"X-S":"S3NTINEL","Authorization":"S3NTINEL","X-A":"b"}`, `"secretHeaders":["X-S"]`, `"body":{"a":"S3NTINEL"}`, `"bodySecret":true`)).id()
	text := d.want(200, "GET", "/jobs/export", "", "Accept", "text/plain").raw
	if strings.Contains(text, "S3NTINEL") || strings.Count(text, "********") != 3 {
		t.Fatalf("%s", text)
	}
	plain := []string{"Content-Type", "text/plain"}
	headers := map[string]any{"X-S": "********", "Authorization": "********", "X-A": "b"}
	// In its own place, it keeps what is stored …
	got := d.want(201, "POST", "/jobs/import?onConflict=update&categoryId="+category, text, plain...)
	if actions, warnings := got.imported(); !cmp.Equal(actions, []string{"updated Listed"}) || warnings[0] != "" {
		t.Errorf("%s", got.raw)
	}
	kept := d.want(200, "GET", "/jobs/"+id, "").data()
	if diff := cmp.Diff(headers, kept["headers"]); diff != "" || kept["status"] != "active" || !cmp.Equal(kept["secretHeaders"], []any{"X-S"}) || kept["bodySecret"] != true {
		t.Errorf("%s%v", diff, kept)
	}
	d.want(201, "POST", "/jobs/import?onConflict=skip&categoryId="+category, text, plain...)
	// … and anywhere else it waits for the secrets.
	got = d.want(201, "POST", "/jobs/import?categoryId="+category, strings.Replace(text, "name: Listed", "name: Another", 1), plain...)
	if actions, warnings := got.imported(); !cmp.Equal(actions, []string{"created Another"}) || warnings[0] != "secret_missing" {
		t.Errorf("%s", got.raw)
	}
	another := d.want(200, "GET", "/jobs?search=Another", "").items()[0]
	if diff := cmp.Diff(headers, another["headers"]); diff != "" || another["status"] != "inactive" || !cmp.Equal(another["secretHeaders"], []any{"X-S"}) {
		t.Errorf("%s%v", diff, another)
	}
}

func TestImportOfACrontab(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	crontab := "MAILTO=me\nCRON_TZ=Europe/Berlin\n\n# name: Nightly report\n0 2 * * * curl -fsSL -X POST -H 'X-A: b' -d '{\"a\":1}' https://example.com/report >/dev/null 2>&1\r\n" +
		"@hourly /usr/bin/curl -u me:S3NTINEL --compressed https://example.com/ping\n"
	got := d.want(201, "POST", "/jobs/import?categoryId="+category, crontab, "Content-Type", "text/plain; charset=UTF-8")
	actions, warnings := got.imported()
	if diff := cmp.Diff([]string{"created Nightly report", "created example-com-ping"}, actions); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(warnings[0], "variable_ignored") || !strings.HasPrefix(warnings[1], "option_ignored") {
		t.Errorf("warnings %q", warnings)
	}
	list := d.want(200, "GET", "/jobs", "")
	first, second := list.items()[0], list.items()[1]
	if first["timezone"] != "Europe/Berlin" || first["method"] != "POST" || first["maxRedirects"] != 5.0 || first["retryAttempts"] != 0.0 ||
		!cmp.Equal(first["body"], map[string]any{"a": 1.0}) || second["cronPattern"] != "@hourly" || strings.Contains(list.raw, "S3NTINEL") {
		t.Errorf("%s", list.raw)
	}
	skipped := d.want(201, "POST", "/jobs/import?onConflict=skip&categoryId="+category, crontab, "Content-Type", "text/plain")
	if skipped.data()["skipped"] != 2.0 {
		t.Errorf("imported again: %s", skipped.raw)
	}
	empty := d.want(201, "POST", "/jobs/import?categoryId="+category, "# nothing\n", "Content-Type", "text/plain")
	if empty.data()["created"] != 0.0 {
		t.Errorf("%s", empty.raw)
	}
}

func TestFaultsOfACrontab(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	plain := []string{"Content-Type", "text/plain"}
	got := d.want(400, "POST", "/jobs/import?categoryId="+category, "TZ=Mars\n61 * * * * curl https://example.com/a\n@reboot curl -k ftp://example.com/\n"+
		"* * * * * curl https://example.com/b | jq\n# name: Same\n* * * * * curl https://example.com/b\n# name: same\n* * * * * curl -m 0.5 https://example.com/b?a=$(date)\n* * * * * curl --retry 9 -H 'Host: x' https://example.com/c\n", plain...)
	want := []string{
		"line 1.timezone", "line 2.cronPattern", "line 3.command", "line 3.cronPattern", "line 3.url", "line 4.command", "line 4.url",
		"line 8.command", "line 8.name", "line 8.url", "line 9.headers.Host", "line 9.retryAttempts",
	}
	if diff := cmp.Diff(want, slices.Compact(sortedStrings(got.fields()))); diff != "" {
		t.Errorf("%s\n%s", diff, got.raw)
	}
	if got := d.want(400, "POST", "/jobs/import", "@daily curl https://example.com\n61 * * * * curl https://example.com", plain...); !cmp.Equal(got.fields(), []string{"categoryId", "line 2.cronPattern"}) {
		t.Errorf("%s", got.raw)
	}
	if got := d.want(400, "POST", "/jobs/import?categoryId=9007199254740991", "@daily curl https://example.com\n", plain...); !cmp.Equal(got.fields(), []string{"categoryId"}) {
		t.Errorf("%s", got.raw)
	}
	if n := d.total(); n != 0 {
		t.Errorf("%v jobs", n)
	}
}

// What Windows writes at the beginning of a text is none of a crontab, and no JSON.
func TestImportWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	if got := d.want(400, "POST", "/jobs/import", "\ufeff"+jobsOf(named("A", "Reports"))); !strings.Contains(got.raw, "byte order mark") {
		t.Errorf("%s", got.raw)
	}
	d.want(201, "POST", "/jobs/import?categoryId="+category, "\ufeff@daily curl https://example.com/a\r\n@daily curl https://example.com/b\r\n", "Content-Type", "text/plain")
}

func TestImportTakesTwoTypes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for contentType, status := range map[string]int{
		"application/json": 201, "application/json; charset=utf-8": 201, "text/plain": 400, "text/plain; charset=latin1": 415, "application/xml": 415, "text/csv": 415, "nonsense/": 415,
	} {
		d.want(status, "POST", "/jobs/import", `{"jobs":[]}`, "Content-Type", contentType)
	}
	d.want(415, "POST", "/jobs/import", `{"jobs":[]}`, "Content-Encoding", "gzip")
	if got := send(t, d.h, "GET", "/jobs/export", "", "Authorization", as(viewer)); got.StatusCode != 403 {
		t.Errorf("a viewer exports: %d", got.StatusCode)
	}
}

func TestImportWithAKeyIsServedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.category("Reports")
	body := many(200, "Reports")
	first := d.want(201, "POST", "/jobs/import", body, "Idempotency-Key", "k")
	again := d.want(201, "POST", "/jobs/import", body, "Idempotency-Key", "k")
	if first.raw != again.raw || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Error("the second answer is another")
	}
	d.want(409, "POST", "/jobs/import?dryRun=true", body, "Idempotency-Key", "k")
}

func TestImportsOfTheSameNamesAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			jobs := make([]string, 120)
			for i := range jobs { // in different orders
				jobs[i] = named(fmt.Sprintf("Job %d", (i*7+n*31)%120), "Made at once", fmt.Sprintf(`"timeout":%d`, 1000+n))
			}
			got := d.call("POST", "/jobs/import?createCategories=true", jobsOf(jobs...))
			mu.Lock()
			defer mu.Unlock()
			statuses[got.StatusCode]++
			if got.StatusCode == 409 && len(got.fields()) != 100 {
				t.Errorf("409 names %d fields", len(got.fields()))
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[int]int{201: 1, 409: 3}, statuses); diff != "" {
		t.Error(diff)
	}
	timeouts := map[string]bool{}
	for _, line := range strings.Split(d.exported(""), `"timeout":`)[1:] {
		timeouts[line[:4]] = true
	}
	if d.total() != 120 || len(timeouts) != 1 {
		t.Errorf("%v jobs, of imports %v", d.total(), slices.Sorted(maps.Keys(timeouts)))
	}
	if categories := d.want(200, "GET", "/categories", "").items(); len(categories) != 1 {
		t.Errorf("%d categories", len(categories))
	}
}
