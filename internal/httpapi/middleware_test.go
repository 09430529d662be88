package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// withFailures is an API whose routes fail in the ways that handlers can.
func withFailures(t *testing.T) *trial {
	t.Helper()
	tr := newTrial(t, nil)
	tooMany := apperr.New(apperr.TooManyRequests, "Slow down.")
	tooMany.RetryAfter = 1500 * time.Millisecond
	for path, err := range map[string]error{
		"/fails/plain":     errors.New("dial tcp 10.0.0.1:3306: secret detail"),
		"/fails/wrapped":   fmt.Errorf("outer: %w", apperr.Wrap(apperr.Conflict, errors.New("secret detail"), "That name is taken.")),
		"/fails/internal":  apperr.Wrap(apperr.Internal, errors.New("secret detail"), "secret detail"),
		"/fails/many":      tooMany,
		"/fails/away":      apperr.New(apperr.Unavailable, "The database is away."),
		"/fails/late":      fmt.Errorf("query: %w", context.DeadlineExceeded),
		"/fails/forbidden": apperr.New(apperr.Forbidden, "No."),
	} {
		route(tr.server, "GET", path, public, "health", "Fails",
			func(context.Context, *struct{}) (None, error) { return None{}, err })
	}
	route(tr.server, "GET", "/panics", public, "health", "Panics",
		func(context.Context, *struct{}) (None, error) { panic("secret detail") })
	route(tr.server, "GET", "/unencodable", public, "health", "Cannot be encoded",
		func(context.Context, *struct{}) (One[json.RawMessage], error) {
			return One[json.RawMessage]{Data: json.RawMessage(`{"half":`), Location: "/x", Version: 3}, nil
		})
	route(tr.server, "POST", "/made", operator, "jobs", "Makes", func(context.Context, *struct{}) (One[int], error) {
		return One[int]{Data: 1, Status: http.StatusCreated, Location: "/made/1", Version: 7, Message: "Made."}, nil
	}, creates)
	route(tr.server, "GET", "/made", viewer, "jobs", "Lists", func(_ context.Context, in *Paging) (List[string], error) {
		return List[string]{Meta: in.meta(0)}, nil
	})
	route(tr.server, "DELETE", "/made/{id}", admin, "jobs", "Deletes",
		func(context.Context, *ByID) (None, error) { return None{}, nil })
	return tr
}

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	codes := []apperr.Code{
		apperr.Invalid, apperr.Unauthenticated, apperr.Forbidden, apperr.NotFound, apperr.MethodNotAllowed,
		apperr.Conflict, apperr.PreconditionFailed, apperr.TooLarge, apperr.UnsupportedMedia,
		apperr.TooManyRequests, apperr.Internal, apperr.Unavailable,
	}
	got := []int{}
	for _, code := range codes {
		got = append(got, statuses[code])
	}
	want := []int{400, 401, 403, 404, 405, 409, 412, 413, 415, 429, 500, 503}
	if diff := cmp.Diff(want, got); diff != "" || len(statuses) != len(codes) {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestErrorEnvelope(t *testing.T) {
	t.Parallel()
	tr := withFailures(t)
	api := tr.handler()
	for path, want := range map[string]struct {
		status  int
		message string
		retry   string
	}{
		"/fails/plain":     {500, "Something went wrong on our side.", ""},
		"/fails/wrapped":   {409, "That name is taken.", ""},
		"/fails/internal":  {500, "Something went wrong on our side.", ""},
		"/fails/many":      {429, "Slow down.", "2"},
		"/fails/away":      {503, "The database is away.", "2"},
		"/fails/late":      {503, "The request took too long; try again.", "2"},
		"/fails/forbidden": {403, "No.", ""},
		"/panics":          {500, "Something went wrong on our side.", ""},
		"/unencodable":     {500, "Something went wrong on our side.", ""},
		"/nowhere":         {404, "There is nothing at this address.", ""},
	} {
		got := send(t, api, "GET", path+"?", "", "X-Request-Id", "abc.DEF_1-2")
		wantBody := map[string]any{
			"success": false, "statusCode": float64(want.status), "timestamp": "2026-01-31T12:00:00.000Z",
			"path": path + "?", "message": want.message, "errors": nil, "requestId": "abc.DEF_1-2",
		}
		if got.StatusCode != want.status || got.Header.Get("Retry-After") != want.retry {
			t.Errorf("%s: status %d, Retry-After %q", path, got.StatusCode, got.Header.Get("Retry-After"))
		}
		if diff := cmp.Diff(wantBody, got.body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		for _, name := range []string{"ETag", "Location"} {
			if got.Header.Get(name) != "" {
				t.Errorf("%s: an error bears %s", path, name)
			}
		}
		if strings.Contains(got.raw, "secret") {
			t.Errorf("%s: the inner error is shown: %s", path, got.raw)
		}
	}
	logs := tr.logs.String()
	for _, part := range []string{"secret detail", `"msg":"panic"`, "middleware_test.go", `"requestId":"abc.DEF_1-2"`} {
		if !strings.Contains(logs, part) {
			t.Errorf("the log lacks %q", part)
		}
	}
}

func TestSuccessEnvelopes(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	const at = `"timestamp":"2026-01-31T12:00:00.000Z"`
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		raw                string
	}{
		"one":  {"POST", "/made", "", 201, `{"success":true,"data":1,"message":"Made.",` + at + `}`},
		"none": {"DELETE", "/made/1", "", 200, `{"success":true,"data":null,` + at + `}`},
		"list": {"GET", "/made", "", 200, `{"success":true,"data":[],"meta":{"total":0,"page":1,"lastPage":0,"perPage":10},` + at + `}`},
	} {
		got := send(t, api, tc.method, tc.path, tc.body, "Authorization", as(account.Admin))
		if got.StatusCode != tc.status || got.raw != tc.raw {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.raw)
		}
		if ct := got.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
			t.Errorf("%s: Content-Type %q", name, ct)
		}
		if name == "one" && (got.Header.Get("Location") != "/made/1" || got.Header.Get("ETag") != `"7"`) {
			t.Errorf("%s: headers %v", name, got.Header)
		}
	}
}

func TestListsAreRevalidated(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	first := send(t, api, "GET", "/made", "", "Authorization", as(account.Viewer))
	tag := first.Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Fatalf("ETag %q is not weak", tag)
	}
	for header, want := range map[string]int{
		tag: 304, `"x", ` + tag: 304, strings.Repeat(`W/"longer", `, 100) + tag: 304, strings.TrimPrefix(tag, "W/"): 304, "*": 304, `W/"x"`: 200, "": 200,
	} {
		got := send(t, api, "GET", "/made", "", "Authorization", as(account.Viewer), "If-None-Match", header)
		if got.StatusCode != want || want == 304 && got.raw != "" {
			t.Errorf("If-None-Match %s: %d %s", header, got.StatusCode, got.raw)
		}
	}
	other := send(t, api, "GET", "/made?limit=20", "", "Authorization", as(account.Viewer), "If-None-Match", tag)
	if other.StatusCode != 200 {
		t.Errorf("another page: %d", other.StatusCode)
	}
}

func TestRolesAtTheDoor(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	for name, tc := range map[string]struct {
		method, path, authorization string
		want                        int
	}{
		"no token":           {"GET", "/made", "", 401},
		"bad token":          {"GET", "/made", "Bearer nonsense", 401},
		"another scheme":     {"GET", "/made", "Basic dmlld2VyOg==", 401},
		"scheme alone":       {"GET", "/made", "Bearer", 401},
		"scheme in capitals": {"GET", "/made", "BEARER viewer", 200},
		"viewer reads":       {"GET", "/made", as(account.Viewer), 200},
		"viewer writes":      {"POST", "/made", as(account.Viewer), 403},
		"operator writes":    {"POST", "/made", as(account.Operator), 201},
		"operator deletes":   {"DELETE", "/made/1", as(account.Operator), 403},
		"admin deletes":      {"DELETE", "/made/1", as(account.Admin), 200},
		"before validation":  {"DELETE", "/made/0", "", 401},
		"public, bad token":  {"GET", "/health/live", "Bearer nonsense", 200},
	} {
		headers := []string{}
		if tc.authorization != "" {
			headers = []string{"Authorization", tc.authorization}
		}
		got := send(t, api, tc.method, tc.path, "", headers...)
		if got.StatusCode != tc.want {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.raw)
		}
		if got.Header.Get("WWW-Authenticate") != map[bool]string{true: "Bearer"}[tc.want == 401] {
			t.Errorf("%s: WWW-Authenticate %q", name, got.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	for name, tc := range map[string]struct {
		method, path string
		want         int
		allow        string
	}{
		"route":              {"GET", "/made", 200, ""},
		"one slash":          {"GET", "/made/", 200, ""},
		"two slashes":        {"GET", "/made//", 404, ""},
		"slash with query":   {"GET", "/made/?limit=5", 200, ""},
		"slash after id":     {"DELETE", "/made/1/", 200, ""},
		"other casing":       {"GET", "/Made", 404, ""},
		"root":               {"GET", "/", 404, ""},
		"dots":               {"GET", "/made/../made", 404, ""},
		"escaped slash":      {"GET", "/made%2F1", 404, ""},
		"other method":       {"PUT", "/made", 405, "GET, HEAD, POST"},
		"method, slash":      {"PUT", "/made/", 405, "GET, HEAD, POST"},
		"method with id":     {"GET", "/made/1", 405, "DELETE"},
		"plain OPTIONS":      {"OPTIONS", "/made", 405, "GET, HEAD, POST"},
		"TRACE":              {"TRACE", "/made", 405, "GET, HEAD, POST"},
		"made-up method":     {"BREW", "/made", 405, "GET, HEAD, POST"},
		"made-up everything": {"BREW", "/pot", 404, ""},
		"method nowhere":     {"POST", "/nowhere", 404, ""},
		"no id of a job":     {"PUT", "/jobs/bulk", 405, "POST"},
		"reads, no id":       {"DELETE", "/jobs/export", 405, "GET, HEAD"},
		"no id, slash":       {"PATCH", "/jobs/import/", 405, "POST"},
		"no id of a run":     {"DELETE", "/history/stream", 405, "GET, HEAD"},
	} {
		got := send(t, api, tc.method, tc.path, "", "Authorization", as(account.Admin))
		if got.StatusCode != tc.want || got.Header.Get("Allow") != tc.allow {
			t.Errorf("%s: %d, Allow %q, want %d, %q", name, got.StatusCode, got.Header.Get("Allow"), tc.want, tc.allow)
		}
		if got.body["success"] != (tc.want == 200) {
			t.Errorf("%s: not in the envelope: %s", name, got.raw)
		}
	}
}

func TestHeadIsGetWithoutTheBody(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	for _, path := range []string{"/made", "/nowhere", "/fails/plain", "/health/live", "/api/docs-json"} {
		get := send(t, api, "GET", path, "", "Authorization", as(account.Viewer), "X-Request-Id", "1")
		head := send(t, api, "HEAD", path, "", "Authorization", as(account.Viewer), "X-Request-Id", "1")
		if head.StatusCode != get.StatusCode || head.raw != "" {
			t.Errorf("%s: HEAD answers %d with %d bytes, GET %d", path, head.StatusCode, len(head.raw), get.StatusCode)
		}
		if diff := cmp.Diff(get.Header, head.Header); diff != "" {
			t.Errorf("%s: headers (-GET +HEAD):\n%s", path, diff)
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	generated := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	for sent, kept := range map[string]bool{
		"abc": true, "A.b_c-9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a,b": false, "a\nb": false, "é": false, "<x>": false,
	} {
		got := send(t, api, "GET", "/nowhere", "", "X-Request-Id", sent)
		id := got.Header.Get("X-Request-Id")
		if kept && id != sent || !kept && !generated.MatchString(id) {
			t.Errorf("%q: answered %q", sent, id)
		}
		if got.body["requestId"] != id {
			t.Errorf("%q: the body says %v", sent, got.body["requestId"])
		}
	}
}

func TestSecureHeaders(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	for _, path := range []string{"/made", "/nowhere", "/panics", "/health"} {
		got := send(t, api, "GET", path, "")
		for name, want := range map[string]string{
			"Cache-Control":             "no-store",
			"X-Content-Type-Options":    "nosniff",
			"Strict-Transport-Security": "max-age=63072000; includeSubDomains",
			"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
			"X-Frame-Options":           "DENY",
			"Referrer-Policy":           "no-referrer",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.Header.Get(name))
			}
		}
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	const ours = "https://app.example"
	for _, path := range []string{"/made", "/nowhere", "/panics", "/fails/plain"} {
		got := send(t, api, "GET", path, "", "Origin", ours)
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin":      ours,
			"Access-Control-Allow-Credentials": "true",
			"Vary":                             "Origin",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.Header.Get(name))
			}
		}
		for _, name := range []string{
			"X-Request-Id", "ETag", "Location", "Retry-After", "Allow", "RateLimit-Limit",
			"RateLimit-Remaining", "RateLimit-Reset", "Idempotent-Replayed",
		} {
			if !strings.Contains(got.Header.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("%s: %s is not exposed", path, name)
			}
		}
	}
	for _, origin := range []string{"", "null", "https://app.example.evil", "http://app.example", "https://APP.example", "https://app.example:8443", "*"} {
		headers := []string{"Origin", origin}
		if origin == "" {
			headers = nil
		}
		got := send(t, api, "GET", "/made", "", headers...)
		for name := range got.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("origin %q: %s is sent", origin, name)
			}
		}
		if got.Header.Get("Vary") != "Origin" {
			t.Errorf("origin %q: Vary is %q", origin, got.Header.Get("Vary"))
		}
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	api := withFailures(t).handler()
	preflight := func(origin, method, headers string) *http.Response {
		req := httptest.NewRequest(http.MethodOptions, "/made", nil)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", method)
		if headers != "" {
			req.Header.Set("Access-Control-Request-Headers", headers)
		}
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, req)
		return rec.Result()
	}
	const all = "authorization,content-type,idempotency-key,if-match,if-none-match,last-event-id,x-request-id"
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		got := preflight("https://app.example", method, all)
		if got.StatusCode != 200 || got.Header.Get("Access-Control-Allow-Origin") != "https://app.example" ||
			got.Header.Get("Access-Control-Allow-Methods") != method || got.Header.Get("Access-Control-Max-Age") != "7200" ||
			got.Header.Get("Access-Control-Allow-Credentials") != "true" || got.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %v", method, got.StatusCode, got.Header)
		}
	}
	for name, got := range map[string]*http.Response{
		"origin":  preflight("https://evil.example", "GET", ""),
		"method":  preflight("https://app.example", "TRACE", ""),
		"headers": preflight("https://app.example", "GET", "x-evil"),
	} {
		if got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("another %s is allowed: %v", name, got.Header)
		}
	}
}

func TestNoOriginsMeansNone(t *testing.T) {
	t.Parallel()
	api := newTrial(t, func(d *Deps) { d.CORSOrigins = nil }).handler()
	got := send(t, api, "GET", "/nowhere", "", "Origin", "https://app.example")
	if got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("an empty list allows %q", got.Header.Get("Access-Control-Allow-Origin"))
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	tr := withFailures(t)
	send(t, tr.handler(), "GET", "/made?limit=77&ticket=hush", `{"password":"hush"}`, "Authorization", as(account.Operator), "X-Request-Id", "r1")
	var line map[string]any
	if err := json.Unmarshal(tr.logs.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON: %v\n%s", err, tr.logs.String())
	}
	delete(line, "time")
	delete(line, "bytes")
	want := map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "path": "/made", "status": 400.0,
		"durationMs": 0.0, "requestId": "r1", "userId": 2.0,
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
}

func TestConditional(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": true, "*": true, `"3"`: true, `"2", "3"`: true, ` "3" `: true,
		`"2"`: false, `W/"3"`: false, "3": false, `"03"`: false, `"+3"`: false, `""`: false, `"x"`: false, `"`: false,
	} {
		versions := Conditional{IfMatch: header}.Versions()
		if got := versions == nil || slices.Contains(versions, 3); got != want {
			t.Errorf("If-Match %s names %v", header, versions)
		}
	}
}

// What has been written cannot be taken back; whoever serves breaks it off.
func TestAPanicInMidAnswerBreaksItOff(t *testing.T) {
	t.Parallel()
	handler := (&server{log: slog.New(slog.DiscardHandler)}).recoverPanics(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"success":true,"data":[1,`)
		panic("in mid-answer")
	}))
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			t.Errorf("it went on with %v", cause)
		}
	}()
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	t.Error("the half answer passed for a whole one")
}

// TestBodiesOfUnknownLengthAreLimited sends more than is taken without saying so
// beforehand.
func TestBodiesOfUnknownLengthAreLimited(t *testing.T) {
	t.Parallel()
	api := newTrial(t, nil).handler()
	for size, want := range map[int]int{defaultMaxBody + 1: 413, 8 * defaultMaxBody: 413} {
		const before, after = `{"email":"`, `","password":"x"}`
		body := &countingReader{Reader: io.MultiReader(strings.NewReader(before), strings.NewReader(strings.Repeat("a", size-len(before)-len(after))), strings.NewReader(after))}
		r := httptest.NewRequest("POST", "/auth/login", body)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if r.ContentLength != -1 || w.Code != want || body.read > 2*defaultMaxBody {
			t.Errorf("%d bytes: %d, with %d of them read", size, w.Code, body.read)
		}
	}
}

type countingReader struct {
	io.Reader
	read int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}
