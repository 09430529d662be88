package httpapi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// document is what the tests look at in the OpenAPI document.
type document struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Tags    []struct{ Name string }
	Paths   map[string]map[string]struct {
		OperationID string
		Tags        []string
		Security    []map[string][]string
		Responses   map[string]struct{ Headers map[string]any }
		Parameters  []struct{ Name string }
	}
	Components struct {
		Schemas         map[string]any
		SecuritySchemes map[string]struct{ Type, Scheme string }
	}
}

func readDocument(t *testing.T, h http.Handler) (document, string) {
	t.Helper()
	got := send(t, h, "GET", "/api/docs-json", "")
	if got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
		t.Fatalf("%d %s", got.StatusCode, got.Header.Get("Content-Type"))
	}
	var doc document
	if err := json.Unmarshal([]byte(got.raw), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, got.raw
}

func TestDocument(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, nil)
	doc, raw := readDocument(t, tr.handler())
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Title != "Cron Jobs Management API" {
		t.Errorf("OpenAPI %s, title %q", doc.OpenAPI, doc.Info.Title)
	}
	tags := []string{}
	for _, tag := range doc.Tags {
		tags = append(tags, tag.Name)
	}
	if diff := cmp.Diff([]string{"auth", "users", "categories", "jobs", "secrets", "history", "dashboard", "audit", "health"}, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if doc.Components.SecuritySchemes["bearer"].Scheme != "bearer" {
		t.Errorf("security schemes %v", doc.Components.SecuritySchemes)
	}
	for _, never := range []string{"$schema", `"422"`, "ErrorModel", "application/problem+json"} {
		if strings.Contains(raw, never) {
			t.Errorf("the document has %s", never)
		}
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]*)"`).FindAllStringSubmatch(raw, -1) {
		if _, ok := doc.Components.Schemas[ref[1]]; !ok {
			t.Errorf("a reference to %s leads nowhere", ref[1])
		}
	}
	ids := map[string]bool{}
	for _, a := range tr.accesses {
		op, ok := doc.Paths[a.Path][strings.ToLower(a.Method)]
		if !ok {
			t.Errorf("%s %s is not documented", a.Method, a.Path)
			continue
		}
		if a.Path != "/auth/logout" && (len(op.Security) > 0) != (a.Needs != public) {
			t.Errorf("%s %s: security %v", a.Method, a.Path, op.Security)
		}
		if ids[op.OperationID] || op.OperationID == "" {
			t.Errorf("%s %s: operation id %q is not its own", a.Method, a.Path, op.OperationID)
		}
		ids[op.OperationID] = true
		for _, status := range []string{"400", "500", "503"} {
			if _, ok := op.Responses[status]; !ok {
				t.Errorf("%s %s: no %s", a.Method, a.Path, status)
			}
		}
		if _, limited := op.Responses["429"]; limited == exempt(a.Path) {
			t.Errorf("%s %s: 429 documented: %t", a.Method, a.Path, limited)
		}
	}
}

func TestDocumentSaysWhatAppliesInAbsence(t *testing.T) {
	t.Parallel()
	_, raw := readDocument(t, withThings(t))
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Default any }
				Required   []string
			}
		}
	}
	if err := json.Unmarshal([]byte(raw), &doc); err != nil {
		t.Fatal(err)
	}
	thing := doc.Components.Schemas["ThingBody"]
	if thing.Properties["kind"].Default != "red" || thing.Properties["retries"].Default != 3.0 {
		t.Errorf("defaults: %v", thing.Properties)
	}
	if diff := cmp.Diff([]string{"name"}, thing.Required); diff != "" {
		t.Errorf("required (-want +got):\n%s", diff)
	}
}

func TestDocumentSaysWhatAJobTakes(t *testing.T) {
	t.Parallel()
	_, raw := readDocument(t, newTrial(t, nil).handler())
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					MaxLength int
					Pattern   string
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(raw), &doc); err != nil {
		t.Fatal(err)
	}
	for _, schema := range []string{"JobBody", "JobChange"} {
		job := doc.Components.Schemas[schema].Properties
		if job["url"].MaxLength != 2048 || job["cronPattern"].MaxLength != 100 {
			t.Errorf("%s: lengths %v", schema, job)
		}
		name := regexp.MustCompile(job["name"].Pattern)
		for text, want := range map[string]bool{
			"a": true, "Nightly report_2-b": true, " x ": true, strings.Repeat("n", 100): true,
			"": false, " ": false, "a/b": false, "é": false, strings.Repeat("n", 101): false,
		} {
			if name.MatchString(text) != want {
				t.Errorf("%s: the pattern takes %q: %t", schema, text, !want)
			}
		}
	}
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	api := newTrial(t, nil).handler()
	for _, path := range []string{"/api/docs", "/api/docs/"} {
		page := send(t, api, "GET", path, "")
		if page.StatusCode != 200 || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
			t.Fatalf("%s: %d %s", path, page.StatusCode, page.Header.Get("Content-Type"))
		}
		policy := page.Header.Get("Content-Security-Policy")
		if scripts := inlineScript.FindAllString(page.raw, -1); len(scripts) == 0 || len(scripts) != strings.Count(policy, "'sha256-") {
			t.Errorf("%s: %d scripts under the policy %s", path, len(scripts), policy)
		}
		if strings.Contains(policy, "script-src 'self' 'unsafe-inline'") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy is loose: %s", path, policy)
		}
		for _, part := range []string{"/api/docs-json", "persistAuthorization"} {
			if !strings.Contains(page.raw, part) {
				t.Errorf("%s: the page lacks %s", path, part)
			}
		}
		for _, url := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.raw, -1) {
			if !strings.HasPrefix(url[1], "/api/docs/") {
				t.Errorf("the page loads %s from elsewhere", url[1])
				continue
			}
			file := send(t, api, "GET", url[1], "")
			if file.StatusCode != 200 || file.raw == "" {
				t.Errorf("%s: %d", url[1], file.StatusCode)
			}
		}
	}
	for _, path := range []string{"/api/docs/nothing.js", "/api/docs/../health", "/api/docsx", "/api"} {
		got := send(t, api, "GET", path, "")
		if got.StatusCode != 404 || got.body["success"] != false {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.raw)
		}
	}
}

func TestDocumentSaysWhichHeadersAnswersBear(t *testing.T) {
	t.Parallel()
	doc, _ := readDocument(t, newTrial(t, nil).handler())
	for _, tc := range []struct {
		method, path, status string
		headers              []string
	}{
		{"get", "/jobs", "200", []string{"ETag", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-Id"}},
		{"get", "/jobs", "304", []string{"ETag", "RateLimit-Limit", "X-Request-Id"}},
		{"get", "/history", "304", []string{"ETag"}},
		{"get", "/jobs", "429", []string{"Retry-After", "RateLimit-Reset"}},
		{"get", "/jobs", "401", []string{"WWW-Authenticate"}},
		{"get", "/users/{id}", "200", []string{"ETag"}},
		{"post", "/jobs", "201", []string{"ETag", "Location", "Idempotent-Replayed"}},
		{"post", "/jobs/{id}/execute", "202", []string{"Location", "Idempotent-Replayed", "X-Request-Id"}},
		{"get", "/health", "503", []string{"Retry-After", "X-Request-Id"}},
	} {
		response, ok := doc.Paths[tc.path][tc.method].Responses[tc.status]
		if !ok {
			t.Errorf("%s %s: no %s", tc.method, tc.path, tc.status)
		}
		for _, name := range tc.headers {
			if response.Headers[name] == nil {
				t.Errorf("%s %s: %s has no %s", tc.method, tc.path, tc.status, name)
			}
		}
	}
	for _, tc := range [][3]string{
		{"post", "/auth/login", "409"},
		{"post", "/auth/logout", "409"},
		{"post", "/schedules/preview", "409"},
		{"get", "/health", "429"},
		{"post", "/jobs/{id}/execute", "415"},
		{"delete", "/auth/sessions/{id}", "412"},
		{"get", "/jobs/{id}", "304"},
	} {
		if _, ok := doc.Paths[tc[1]][tc[0]].Responses[tc[2]]; ok {
			t.Errorf("%s %s cannot answer %s", tc[0], tc[1], tc[2])
		}
	}
	if op := doc.Paths["/auth/logout"]["post"]; len(op.Security) != 2 || op.Security[0]["bearer"] == nil {
		t.Errorf("logout's security: %v", op.Security)
	}
}
