package app

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/config"
)

// eventOf is an event as the gateway sends it, in payload version 2.0: names of
// headers in lower case, repeated ones joined, cookies by themselves, the path
// decoded and the query not, and in base64 each body that is neither text nor JSON.
func eventOf(t *testing.T, name string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "events", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(text, &event); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return event
}

// What a handler sees of an event is what it would see of the request itself.
func TestEventsOfTheGatewayBecomeTheirRequests(t *testing.T) {
	t.Parallel()
	type seen struct {
		Method, Path, Query, Host, Address, Body string
		Length                                   int64
	}
	const host = "r3pmxmplak.execute-api.eu-central-1.amazonaws.com"
	get := seen{Method: "GET", Path: "/jobs", Host: host, Address: "203.0.113.10:0"}
	change := func(to func(*seen)) seen { s := get; to(&s); return s }
	const login = `{"email":"admin@example.com","password":"change-me-please"}`
	for name, tc := range map[string]struct {
		want    seen
		headers map[string]string // each has one value, whole
		cookies map[string]string
		query   map[string][]string
	}{
		"cookies": {
			want:    get,
			headers: map[string]string{"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"},
			cookies: map[string]string{"theme": "dark", "session": "a1b2=", "note": "x, y"},
		},
		"repeated-headers": {
			want: change(func(s *seen) { s.Path = "/jobs/7" }),
			headers: map[string]string{
				"Accept": "text/html,application/json;q=0.9", "Cache-Control": "no-cache,no-store", "If-None-Match": `"v1","v2"`,
				"Date": "Sun, 19 Jul 2026 08:12:46 GMT", "X-Forwarded-For": "198.51.100.4, 203.0.113.10", "X-Signature": "t=1784448766,v1=5257a8",
			},
		},
		"repeated-query": {
			want:  change(func(s *seen) { s.Path, s.Query = "/history", "status=success&status=failed&search=a%2Cb+%C3%BC&empty=" }),
			query: map[string][]string{"status": {"success", "failed"}, "search": {"a,b ü"}, "empty": {""}},
		},
		"decoded-path": {want: change(func(s *seen) { s.Path, s.Query = "/jobs/100% of what?/ä;b", "page=2" })},
		"login":        {want: change(func(s *seen) { s.Method, s.Path, s.Body = "POST", "/auth/login", login })},
		"login-base64": {
			want:    change(func(s *seen) { s.Method, s.Path, s.Body = "POST", "/auth/login", login }),
			headers: map[string]string{"Content-Type": "application/json; charset=utf-8"},
		},
		"binary-body": {want: change(func(s *seen) {
			s.Method, s.Path, s.Body = "PUT", "/upload", "\x00\xff\x01\x80ü,{\"a\":1}\r\n"
		})},
		"form-over-ipv6": {
			want: change(func(s *seen) {
				s.Method, s.Body, s.Address = "POST", "name=a+b&name=c%26d", "[2001:db8:85a3::8a2e:370:7334]:0"
			}),
			headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": "2001:db8:85a3::8a2e:370:7334"},
		},
		"preflight": {
			want:    change(func(s *seen) { s.Method, s.Path = "OPTIONS", "/jobs/7" }),
			headers: map[string]string{"Access-Control-Request-Headers": "authorization,content-type,if-match"},
		},
	} {
		called := false
		tc.want.Length = int64(len(tc.want.Body))
		serve(t, eventOf(t, name), func(_ http.ResponseWriter, r *http.Request) {
			called = true
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got := seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr, string(body), r.ContentLength}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-sent +seen):\n%s", name, diff)
			}
			for header, want := range tc.headers {
				if got := r.Header.Values(header); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %s arrived as %q", name, header, got)
				}
			}
			for cookie, want := range tc.cookies {
				if got, err := r.Cookie(cookie); err != nil || got.Value != want {
					t.Errorf("%s: cookie %s arrived as %v, %v, of %q", name, cookie, got, err, r.Header.Values("Cookie"))
				}
			}
			if diff := cmp.Diff(tc.query, map[string][]string(r.URL.Query())); tc.query != nil && diff != "" {
				t.Errorf("%s: query (-sent +seen):\n%s", name, diff)
			}
		})
		if !called {
			t.Errorf("%s: the handler was not called", name)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "events", "*.json"))
	if err != nil || len(files) != 9 {
		t.Errorf("%d events, %v: one is not tried", len(files), err)
	}
}

// The whole API answers such events, with a database behind it.
func TestTheAPIAnswersEventsOfTheGateway(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	d.migrate(t)
	env := d.as(t, config.API)
	env.Config.CORSOrigins = []string{"https://jobs.example.com"}
	ask, closeAll, err := NewAPI(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	token := ""
	for _, tc := range []struct {
		event  string
		status int
		holds  string
	}{
		{"login", 200, `"accessToken":"`},
		{"login-base64", 200, `"accessToken":"`},
		{"cookies", 200, `"data":[]`},
		{"repeated-headers", 404, `"success":false`},
		{"repeated-query", 400, `"status","message":"is given more than once"`},
		{"decoded-path", 404, `"success":false`},
		{"binary-body", 404, `"success":false`},
		{"form-over-ipv6", 415, `"success":false`},
		{"preflight", 200, ""},
	} {
		event := eventOf(t, tc.event)
		event.Headers["accept-encoding"] = "identity"
		if token != "" {
			event.Headers["authorization"] = "Bearer " + token
		}
		got, err := ask(t.Context(), event)
		if err != nil || got.StatusCode != tc.status || !strings.Contains(got.Body, tc.holds) {
			t.Errorf("%s: status %d, %v: %s", tc.event, got.StatusCode, err, got.Body)
		}
		if origin := got.Headers["Access-Control-Allow-Origin"]; tc.event == "preflight" && origin != "https://jobs.example.com" {
			t.Errorf("%s: for the origin %q", tc.event, origin)
		}
		var envelope struct{ Data struct{ AccessToken string } }
		if json.Unmarshal([]byte(got.Body), &envelope) == nil && envelope.Data.AccessToken != "" {
			token = envelope.Data.AccessToken
		}
	}
}
