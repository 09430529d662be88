package executor_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// site is a target that answers each path in its own way and keeps its
// connections open.
func site(t *testing.T, paths map[string]string) *target {
	t.Helper()
	return listen(t, func(c *conn) {
		for {
			request, alive := c.request()
			if !alive {
				return
			}
			path := strings.Fields(request)[1]
			answer, known := paths[path]
			if !known {
				answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
			}
			c.say(answer)
		}
	})
}

func redirect(status int, location string) string {
	return fmt.Sprintf("HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, location)
}

const fine = ok + "Content-Length: 0\r\n\r\n"

func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		most  int
		start string
		kind  execution.ErrorKind
		sent  int
	}{
		"none is followed by default": {0, "/1", execution.ErrRedirect, 1},
		"as many as are allowed":      {2, "/2", "", 3},
		"one more than allowed":       {2, "/3", execution.ErrRedirect, 3},
		"five":                        {5, "/4", "", 6},
		"one with dots in its path":   {6, "/5", "", 7},
		"a loop":                      {5, "/loop", execution.ErrRedirect, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := site(t, map[string]string{
				"/0": fine, "/1": redirect(302, "/0"), "/2": redirect(301, "1"), "/3": redirect(307, "/2"), "/4": redirect(308, "?/3#part"),
				"/4?/3": redirect(302, "/3"), "/5": redirect(303, "/x/../4"), "/loop": redirect(302, "/loop"),
			})
			attempt := call(t, newClient(t), work("http://"+server.addr+tc.start, redirects(tc.most)))
			if tc.kind == "" {
				expect(t, attempt, "", 200, false)
			} else if attempt.Failure == nil || attempt.Failure.Kind != tc.kind || attempt.Response == nil {
				t.Errorf("the call ended with %+v", attempt.Failure)
			}
			if n := len(server.requests()); n != tc.sent {
				t.Errorf("%d requests were sent, want %d: %q", n, tc.sent, server.requests())
			}
		})
	}
}

func TestRedirectsThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	for name, location := range map[string]string{
		"another scheme":    "ftp://127.0.0.1/" + evil,
		"a file":            "file:///etc/passwd",
		"script":            "javascript:alert(1)",
		"no host":           "http:///path",
		"a port alone":      "http://:80/",
		"a name and word":   "http://user:" + evil + "@127.0.0.1/",
		"a word, to itself": "//user:word@SELF/fine",
		"a name, to itself": "//user@SELF/fine",
		"a bad escape":      "http://127.0.0.1/%zz",
		"a control":         "http://127.0.0.1/\x01",
		"a bad address":     "http://[::1/",
		"spaces in a host":  "http://127.0.0.1 .evil/",
		"a port too large":  "http://127.0.0.1:99999/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := listen(t, func(c *conn) {
				for {
					request, alive := c.request()
					if !alive {
						return
					}
					_, host, _ := strings.Cut(request, "\r\nHost: ")
					host, _, _ = strings.Cut(host, "\r\n")
					c.say(redirect(302, strings.ReplaceAll(location, "SELF", host)))
				}
			})
			attempt := call(t, newClient(t), work("http://"+server.addr+"/", redirects(5)))
			if name == "a port too large" {
				expect(t, attempt, execution.ErrConnect, 0, true)
				return
			}
			// Either what it says is refused, or its header cannot be read at all.
			want := execution.ErrRedirect
			if name == "a control" {
				want = execution.ErrProtocol
			}
			if attempt.Failure == nil || attempt.Failure.Kind != want {
				t.Errorf("the call ended with %+v", attempt.Failure)
			}
			if n := len(server.requests()); n != 1 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		server := site(t, map[string]string{"/": "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"})
		attempt := call(t, newClient(t), work("http://"+server.addr+"/", redirects(5)))
		expect(t, attempt, execution.ErrRedirect, 302, false)
	})
}

// TestRedirectThatHangs follows a redirect whose body never comes.
func TestRedirectThatHangs(t *testing.T) {
	t.Parallel()
	end := site(t, map[string]string{"/": fine})
	hanging := listen(t, answering("HTTP/1.1 302 Found\r\nLocation: http://"+end.addr+"/\r\nContent-Length: 10\r\n\r\n"))
	expect(t, call(t, newClient(t), work("http://"+hanging.addr+"/", redirects(1))), "", 200, false)
}

// TestRedirectedRequest shows what the last hop of a redirect is sent.
func TestRedirectedRequest(t *testing.T) {
	t.Parallel()
	post := []func(*executor.Work){method("POST"), body(`{"a":1}`)}
	for name, tc := range map[string]struct {
		change []func(*executor.Work)
		hops   []int // the statuses, last one to the final path
		method string
		body   string
	}{
		"301 reads":                       {post, []int{301}, "GET", ""},
		"302 reads":                       {post, []int{302}, "GET", ""},
		"303 reads":                       {post, []int{303}, "GET", ""},
		"307 repeats":                     {post, []int{307}, "POST", `{"a":1}`},
		"308 repeats":                     {post, []int{308}, "POST", `{"a":1}`},
		"307 twice repeats":               {post, []int{307, 307}, "POST", `{"a":1}`},
		"303 then 307 has lost the body":  {post, []int{303, 307}, "GET", ""},
		"HEAD stays HEAD":                 {[]func(*executor.Work){method("HEAD")}, []int{303, 307}, "HEAD", ""},
		"GET stays GET":                   {nil, []int{307}, "GET", ""},
		"GET with a body loses it by 302": {[]func(*executor.Work){body(`"x"`)}, []int{302}, "GET", ""},
		"DELETE is repeated by 307":       {[]func(*executor.Work){method("DELETE")}, []int{307}, "DELETE", ""},
		"DELETE reads by 302":             {[]func(*executor.Work){method("DELETE")}, []int{302}, "GET", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paths := map[string]string{"/0": fine}
			for i, status := range tc.hops {
				paths[fmt.Sprintf("/%d", len(tc.hops)-i)] = redirect(status, fmt.Sprintf("/%d", len(tc.hops)-i-1))
			}
			server := site(t, paths)
			change := append([]func(*executor.Work){redirects(5), headers("Authorization", "Bearer abcd", "Content-Language", "de")}, tc.change...)
			attempt := call(t, newClient(t), work(fmt.Sprintf("http://%s/%d", server.addr, len(tc.hops)), change...))
			expect(t, attempt, "", 200, false)
			requests := server.requests()
			last := parse(t, requests[len(requests)-1])
			if last.method != tc.method || last.body != tc.body {
				t.Errorf("the last request is %s with %q", last.method, last.body)
			}
			if _, typed := last.header["content-type"]; typed != (tc.body != "") {
				t.Errorf("the header is %q", last.header)
			}
			if _, spoken := last.header["content-language"]; spoken && tc.method == "GET" && name != "GET stays GET" {
				t.Errorf("the header is %q", last.header)
			}
			if got := last.header["authorization"]; got != "Bearer abcd" {
				t.Errorf("on the same host the authorization became %q", got)
			}
			if got := last.header["idempotency-key"]; got != "42" {
				t.Errorf("the idempotency key is %q", got)
			}
		})
	}
}

// TestRedirectToAnotherHost leaves behind what may be a credential.
func TestRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	sent := headers("Authorization", "Bearer abcd", "Cookie", "a=b", "X-Api-Key", "k", "X-Anything", "x", "Accept", "text/plain", "User-Agent", "mine/1.0")
	for name, change := range map[string]func(*executor.Work){
		"as it is":                   func(*executor.Work) {},
		"with a secret User-Agent":   func(w *executor.Work) { w.Request.SecretHeaders = []string{"user-agent"} },
		"and back to the first host": func(*executor.Work) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := site(t, map[string]string{"/": fine, "/back": ""})
			paths := map[string]string{"/home": fine, "/": redirect(307, "http://"+other.addr+"/")}
			first := site(t, paths)
			final := other
			if name == "and back to the first host" {
				other = site(t, map[string]string{"/": redirect(307, "http://"+first.addr+"/home")})
				paths["/"] = redirect(307, "http://"+other.addr+"/")
				final = first
			}
			attempt := call(t, newClient(t), work("http://"+first.addr+"/", sent, redirects(5), method("POST"), body(`{"a":1}`), change))
			expect(t, attempt, "", 200, false)
			requests := final.requests()
			last := parse(t, requests[len(requests)-1])
			for _, header := range []string{"authorization", "cookie", "x-api-key", "x-anything"} {
				if value, there := last.header[header]; there {
					t.Errorf("%s: %q travelled", header, value)
				}
			}
			agent := "mine/1.0"
			if name == "with a secret User-Agent" {
				agent = executor.UserAgent
			}
			for header, want := range map[string]string{
				"accept": "text/plain", "user-agent": agent, "content-type": "application/json", "idempotency-key": "42",
				"x-cron-job-id": "7", "accept-encoding": "identity", "host": final.addr,
			} {
				if got := last.header[header]; got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
			if last.body != `{"a":1}` {
				t.Errorf("the body is %q", last.body)
			}
		})
	}
}

// TestSecretBodyStaysWithItsHost tries ways to carry it to another one.
func TestSecretBodyStaysWithItsHost(t *testing.T) {
	t.Parallel()
	secret := func(w *executor.Work) {
		w.Request.Method, w.Request.Body, w.Request.BodySecret, w.Request.MaxRedirects = "POST", []byte(`"sentinel"`), true, 5
	}
	for name, tc := range map[string]struct {
		first, second int // the statuses of the first host, and of the other one
		kind          execution.ErrorKind
	}{
		"307":                      {307, 200, execution.ErrBlockedSecret},
		"308":                      {308, 200, execution.ErrBlockedSecret},
		"303 drops it":             {303, 200, ""},
		"303 and 307 bring none":   {303, 307, ""},
		"302 and 308 bring none":   {302, 308, ""},
		"307 on the host is fine":  {-307, 200, ""},
		"307 there, then to other": {-307, 307, execution.ErrBlockedSecret},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paths := map[string]string{"/": fine, "/end": fine}
			other := site(t, paths)
			if tc.second != 200 {
				paths["/"] = redirect(tc.second, "/end")
			}
			start := redirect(tc.first, "http://"+other.addr+"/")
			home := map[string]string{"/": start, "/there": fine}
			if tc.first < 0 {
				home["/"] = redirect(-tc.first, "/there")
				if tc.second != 200 {
					home["/there"] = redirect(tc.second, "http://"+other.addr+"/")
				}
			}
			server := site(t, home)
			attempt := call(t, newClient(t), work("http://"+server.addr+"/", secret))
			var kind execution.ErrorKind
			if attempt.Failure != nil {
				kind = attempt.Failure.Kind
			}
			if kind != tc.kind {
				t.Errorf("the call ended with %+v", attempt.Failure)
			}
			for _, request := range other.requests() {
				if strings.Contains(request, "sentinel") {
					t.Errorf("the secret travelled: %q", request)
				}
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	same := [][2]string{
		{"http://a.test/x", "http://A.test:80/y?z"}, {"https://a.test", "https://a.test:443/"}, {"http://[::1]/", "http://[::1]:80"},
	}
	other := [][2]string{
		{"http://a.test/", "https://a.test/"},
		{"http://a.test:443/", "https://a.test:443/"},
		{"http://a.test/", "http://b.test/"},
		{"http://a.test/", "http://a.test:8080/"},
		{"http://a.test/", "http://sub.a.test/"},
		{"http://a.test/", "http://a.test./"},
	}
	origin := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return executor.Origin(u)
	}
	for _, pair := range same {
		if origin(pair[0]) != origin(pair[1]) {
			t.Errorf("%s and %s count as two origins", pair[0], pair[1])
		}
	}
	for _, pair := range other {
		if origin(pair[0]) == origin(pair[1]) {
			t.Errorf("%s and %s count as one origin", pair[0], pair[1])
		}
	}
}

// TestNoRedirectCarriesASecretToAnotherHost follows targets that redirect to where
// the address says, or that repeat in the new address what they were sent.
func TestNoRedirectCarriesASecretToAnotherHost(t *testing.T) {
	t.Parallel()
	const value = "in ner/Half+other=half&x"
	other := listen(t, answering(ok, "Content-Length: 0\r\n\r\n"))
	// As careful redirectors write what they read: spaces escaped, the rest as it is.
	spaced := strings.ReplaceAll(value, " ", "%20")
	twice := url.QueryEscape(url.QueryEscape(value))
	for name, tc := range map[string]struct {
		location string // OTHER is another host, HERE this one
		spec     func(w *executor.Work)
		kind     execution.ErrorKind
	}{
		"as it was sent in a path":       {"http://OTHER/{{sent}}", nil, execution.ErrBlockedSecret},
		"in a query":                     {"http://OTHER/?next=" + url.QueryEscape(value), nil, execution.ErrBlockedSecret},
		"escaped twice":                  {"http://OTHER/?next=" + twice, nil, execution.ErrBlockedSecret},
		"escaped three times":            {"http://OTHER/?next=" + url.QueryEscape(twice), nil, execution.ErrBlockedSecret},
		"before a bad escape":            {"http://OTHER/?next=" + spaced + "&p=%zz", nil, execution.ErrBlockedSecret},
		"behind a bad escape":            {"http://OTHER/?p=%zz&next=" + spaced, nil, execution.ErrBlockedSecret},
		"right behind one":               {"http://OTHER/?p=%" + spaced + "%", nil, execution.ErrBlockedSecret},
		"escaped twice, before one":      {"http://OTHER/?next=" + twice + "%", nil, execution.ErrBlockedSecret},
		"in base64, before one":          {"http://OTHER/?next=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(value))) + "%zz", nil, execution.ErrBlockedSecret},
		"with spaces as they are":        {"http://OTHER/?next=" + value, nil, execution.ErrBlockedSecret},
		"in a fragment":                  {"http://OTHER/#" + url.PathEscape(value), nil, execution.ErrBlockedSecret},
		"in small letters":               {"http://OTHER/?next=" + strings.ToLower(spaced), nil, execution.ErrBlockedSecret},
		"as a part of the host":          {"http://HEADEROFTHEJOB.localhost/", headers("Authorization", "Bearer headerofthejob"), execution.ErrBlockedSecret},
		"half of what is sent":           {"http://OTHER/?b=wordofthebody", func(w *executor.Work) { w.Request.Body, w.Request.BodySecret = []byte(`"a=b&p=wordofthebody"`), true }, execution.ErrBlockedSecret},
		"more than can be looked for":    {"http://OTHER/", func(w *executor.Work) { w.Request.Body, w.Request.BodySecret = []byte(manySecrets(300)[300]), true }, execution.ErrBlockedSecret},
		"in base64":                      {"http://OTHER/" + base64.URLEncoding.EncodeToString([]byte(value)), nil, execution.ErrBlockedSecret},
		"in hexadecimal":                 {"http://OTHER/" + hex.EncodeToString([]byte(value)), nil, execution.ErrBlockedSecret},
		"by an address without a scheme": {"//OTHER/" + url.PathEscape(value), nil, execution.ErrBlockedSecret},
		"a header's":                     {"http://OTHER/?h=headerofthejob", headers("Authorization", "Bearer headerofthejob"), execution.ErrBlockedSecret},
		"of a secret body":               {"http://OTHER/?b=wordofthebody", func(w *executor.Work) { w.Request.Body, w.Request.BodySecret = []byte(`{"p":"wordofthebody"}`), true }, execution.ErrBlockedSecret},
		"none":                           {"http://OTHER/plain", nil, ""},
		"to the same host":               {"http://HERE/done?k=" + url.QueryEscape(value), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := listen(t, func(c *conn) {
				for {
					request, alive := c.request()
					if !alive {
						return
					}
					path := strings.Fields(request)[1]
					if strings.HasPrefix(path, "/done") {
						c.say(fine)
						continue
					}
					_, host, _ := strings.Cut(request, "\r\nHost: ")
					host, _, _ = strings.Cut(host, "\r\n")
					sent := strings.TrimPrefix(path, "/")
					c.say(redirect(303, strings.NewReplacer("OTHER", other.addr, "HERE", host, "{{sent}}", sent).Replace(tc.location)))
				}
			})
			w := work("http://"+server.addr+"/{{secret.A}}", redirects(5), method("POST"), func(w *executor.Work) {
				w.Vault = map[string]executor.VaultSecret{"A": {Value: value, AllowedHosts: []string{"127.0.0.1"}}}
			})
			if tc.spec != nil {
				tc.spec(&w)
			}
			attempt := call(t, newClient(t), w)
			status := 200
			if tc.kind != "" {
				status = 303
			}
			expect(t, attempt, tc.kind, status, false)
		})
	}
	t.Cleanup(func() {
		if n := len(other.requests()); n != 1 {
			t.Errorf("%d requests reached the other host, want that without a secret alone", n)
		}
	})
}
