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
		Responses   map[string]any
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
	if diff := cmp.Diff([]string{"auth", "users", "categories", "jobs", "history", "dashboard", "health"}, tags); diff != "" {
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
		if (len(op.Security) > 0) != (a.Needs != public) {
			t.Errorf("%s %s: security %v", a.Method, a.Path, op.Security)
		}
		if ids[op.OperationID] || op.OperationID == "" {
			t.Errorf("%s %s: operation id %q is not its own", a.Method, a.Path, op.OperationID)
		}
		ids[op.OperationID] = true
		for _, status := range []string{"400", "429", "500", "503"} {
			if op.Responses[status] == nil {
				t.Errorf("%s %s: no %s", a.Method, a.Path, status)
			}
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
