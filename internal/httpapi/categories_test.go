package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCategoryLifeCycle(t *testing.T) {
	t.Parallel()
	d := newDesk(t)

	created := d.want(201, "POST", "/categories", `{"name":" Data Sync ","description":"Text","color":"#3B82F6","status":"active"}`)
	at := "/categories/" + created.id()
	want := map[string]any{
		"id": created.data()["id"], "name": "Data Sync", "description": "Text", "color": "#3B82F6",
		"status": "active", "jobCount": 0.0, "isActive": true,
		"createdAt": "2026-01-31T12:00:00.000Z", "updatedAt": "2026-01-31T12:00:00.000Z",
	}
	if diff := cmp.Diff(want, created.data()); diff != "" {
		t.Error(diff)
	}
	if created.Header.Get("Location") != at || created.Header.Get("ETag") != `"1"` {
		t.Errorf("headers %v", created.Header)
	}

	read := d.want(200, "GET", at, "")
	want["jobs"] = []any{}
	if diff := cmp.Diff(want, read.data()); diff != "" {
		t.Error(diff)
	}
	delete(want, "jobs")

	patched := d.want(200, "PATCH", at, `{"description":null,"status":"inactive"}`, "If-Match", `"1"`)
	want["description"], want["status"], want["isActive"] = nil, "inactive", false
	if diff := cmp.Diff(want, patched.data()); diff != "" || patched.Header.Get("ETag") != `"2"` {
		t.Error(diff, patched.Header.Get("ETag"))
	}
	if stale := d.call("PUT", at, `{"name":"Other","color":"#000000"}`, "If-Match", `"1"`); stale.StatusCode != 412 {
		t.Errorf("stale: %d", stale.StatusCode)
	}
	replaced := d.want(200, "PUT", at, `{"name":"Other","color":"#000000"}`)
	want["name"], want["color"], want["status"], want["isActive"] = "Other", "#000000", "active", true
	if diff := cmp.Diff(want, replaced.data()); diff != "" {
		t.Error(diff)
	}

	gone := d.want(200, "DELETE", at, "", "If-Match", `"3"`)
	if data, there := gone.body["data"]; data != nil || !there || gone.body["success"] != true {
		t.Errorf("deletion answers %s", gone.raw)
	}
	d.want(404, "GET", at, "")
	d.want(404, "DELETE", at, "")
}

func TestCategoryFaults(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.category("Taken")
	tests := []struct {
		name, method, target, body string
		status                     int
		fields                     []string
	}{
		{"nothing given", "POST", "/categories", `{}`, 400, []string{"name", "color"}},
		{"all at fault", "POST", "/categories", `{"name":"","description":7,"color":"red","status":"failed","id":1}`, 400, []string{"color", "description", "id", "name", "status"}},
		{"null", "POST", "/categories", `{"name":null,"color":null,"description":null,"status":null}`, 400, []string{"color", "name", "status"}},
		{"name of spaces", "POST", "/categories", `{"name":"  ","color":"#123456"}`, 400, []string{"name"}},
		{"name too long", "POST", "/categories", fmt.Sprintf(`{"name":%q,"color":"#123456"}`, strings.Repeat("ä", 101)), 400, []string{"name"}},
		{"name taken in another case", "POST", "/categories", `{"name":"TAKEN","color":"#123456"}`, 409, []string{"name"}},
		{"unknown", "GET", "/categories/9007199254740991", "", 404, nil},
		{"id of 0", "GET", "/categories/0", "", 400, []string{"id"}},
		{"id that is too large", "GET", "/categories/9007199254740992", "", 400, []string{"id"}},
		{"id that is a word", "PATCH", "/categories/x", `{"name":"y"}`, 400, []string{"id"}},
		{"reassign to itself", "DELETE", "/categories/" + id + "?reassignTo=" + id, "", 400, []string{"reassignTo"}},
		{"reassign to nothing", "DELETE", "/categories/" + id + "?reassignTo=9007199254740991", "", 400, []string{"reassignTo"}},
		{"unknown order", "GET", "/categories?sortBy=color", "", 400, []string{"sortBy"}},
		{"unknown filter", "GET", "/categories?color=red&limit=101&page=0", "", 400, []string{"page", "limit", "color"}},
		{"unknown method", "POST", "/categories/" + id, `{}`, 405, nil},
	}
	for _, test := range tests {
		got := d.call(test.method, test.target, test.body)
		fields := got.fields()
		less := cmp.Transformer("sorted", sortedStrings)
		if diff := cmp.Diff(test.fields, fields, less); got.StatusCode != test.status || diff != "" {
			t.Errorf("%s: %d, want %d\n%s\n%s", test.name, got.StatusCode, test.status, diff, got.raw)
		}
	}
}

func TestCategoryList(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 15 {
		d.category(fmt.Sprintf("Category %02d", i))
	}
	page := d.want(200, "GET", "/categories?page=2&limit=10", "")
	if diff := cmp.Diff(map[string]any{"total": 15.0, "page": 2.0, "lastPage": 2.0, "perPage": 10.0}, page.body["meta"]); diff != "" || len(page.items()) != 5 {
		t.Errorf("%d items, %s", len(page.items()), diff)
	}
	past := d.want(200, "GET", "/categories?page=9", "")
	if past.body["data"] == nil || len(past.items()) != 0 {
		t.Errorf("past the end: %s", past.raw)
	}
	down := d.want(200, "GET", "/categories?search=CATEGORY%20%25&sortBy=name&sortOrder=desc", "")
	if len(down.items()) != 0 {
		t.Error("% is a wildcard")
	}
	down = d.want(200, "GET", "/categories?search=ory%2001&sortBy=name&sortOrder=desc&status=active&limit=1", "")
	if len(down.items()) != 1 || down.items()[0]["name"] != "Category 01" {
		t.Errorf("search: %s", down.raw)
	}
	tag := page.Header.Get("ETag")
	if again := d.call("GET", "/categories?page=2&limit=10", "", "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
		t.Errorf("unchanged: %d", again.StatusCode)
	}
}

func TestCategoryWithJobs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from, to := d.category("From"), d.category("To")
	d.job("Report b", from)
	moved := d.job("Report a", from)
	read := d.want(200, "GET", "/categories/"+from, "")
	jobs := read.data()["jobs"].([]any)
	if len(jobs) != 2 || jobs[0].(map[string]any)["name"] != "Report a" || read.data()["jobCount"] != 2.0 {
		t.Errorf("jobs: %s", read.raw)
	}
	d.want(409, "DELETE", "/categories/"+from, "")
	d.want(200, "DELETE", "/categories/"+from+"?reassignTo="+to, "")
	if got := d.want(200, "GET", "/jobs/"+moved, ""); fmt.Sprintf("%.0f", got.data()["categoryId"]) != to {
		t.Errorf("moved: %s", got.raw)
	}
}
