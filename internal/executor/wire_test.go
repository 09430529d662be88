package executor_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/executor"
)

// sent is a request as a target received it.
type sent struct {
	method, target string
	header         map[string]string // by name in lower case
	body           string
}

// parse reads a request; a header that is there twice is a fault.
func parse(t *testing.T, request string) sent {
	t.Helper()
	head, body, found := strings.Cut(request, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	words := strings.Fields(lines[0])
	if !found || len(words) != 3 || words[2] != "HTTP/1.1" {
		t.Fatalf("the request is %q", request)
	}
	s := sent{method: words[0], target: words[1], header: map[string]string{}, body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		name = strings.ToLower(name)
		if _, twice := s.header[name]; twice {
			t.Errorf("the header %q is there twice", name)
		}
		s.header[name] = value
	}
	return s
}

// TestRequestOnTheWire compares what a target receives, byte for byte.
func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	all := []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
	const jsonType, textType = "application/json", "text/plain; charset=utf-8"
	for name, tc := range map[string]struct {
		methods     []string
		change      []func(*executor.Work)
		bare        bool   // no Content-Length
		contentType string // "-": none
		body        string
	}{
		"without a body, where none is usual": {methods: []string{"GET", "HEAD", "OPTIONS", "DELETE"}, bare: true, contentType: "-"},
		"without a body, where one is usual":  {methods: []string{"POST", "PUT", "PATCH"}, contentType: "-"},
		"an object": {
			methods: all, change: []func(*executor.Work){body("{ \"a\" : [1,\r\n2], \"é\": \"\\u00e9\" }")},
			contentType: jsonType, body: "{ \"a\" : [1,\r\n2], \"é\": \"\\u00e9\" }",
		},
		"a number": {methods: all, change: []func(*executor.Work){body("1.50")}, contentType: jsonType, body: "1.50"},
		"a text": {
			methods: all, change: []func(*executor.Work){body(`"line\r\nnext \u00e9 \"q\""`)},
			contentType: textType, body: "line\r\nnext é \"q\"",
		},
		"a text with space around":   {methods: all, change: []func(*executor.Work){body(" \"text\"\n")}, contentType: textType, body: "text"},
		"a text that is JSON":        {methods: all, change: []func(*executor.Work){body(`"{\"a\":1}"`)}, contentType: jsonType, body: `{"a":1}`},
		"an empty text, none usual":  {methods: []string{"GET", "HEAD", "OPTIONS", "DELETE"}, change: []func(*executor.Work){body(`""`)}, bare: true, contentType: textType},
		"an empty text, one usual":   {methods: []string{"POST", "PUT", "PATCH"}, change: []func(*executor.Work){body(`""`)}, contentType: textType},
		"a type that the job names":  {methods: all, change: []func(*executor.Work){body(`"a=b"`), headers("content-type", "application/x-www-form-urlencoded")}, contentType: "application/x-www-form-urlencoded", body: "a=b"},
		"a type for JSON by the job": {methods: all, change: []func(*executor.Work){body(`{}`), headers("CONTENT-TYPE", "application/cloudevents+json")}, contentType: "application/cloudevents+json", body: "{}"},
	} {
		for _, verb := range tc.methods {
			t.Run(name+", "+verb, func(t *testing.T) {
				t.Parallel()
				target := listen(t, answering(ok, "Content-Length: 0\r\n\r\n"))
				attempt := call(t, newClient(t), work("http://"+target.addr+"/path?q=1&r=%20", append(slices.Clone(tc.change), method(verb))...))
				expect(t, attempt, "", 200, false)
				got := parse(t, target.requests()[0])
				header := map[string]string{
					"host": target.addr, "user-agent": executor.UserAgent, "accept-encoding": "identity", "idempotency-key": "42",
					"x-cron-job-id": "7", "x-cron-execution-id": "42", "x-cron-attempt": "1", "x-cron-scheduled-for": "2026-01-31T09:30:00.000Z",
				}
				if !tc.bare {
					header["content-length"] = strconv.Itoa(len(tc.body))
				}
				if tc.contentType != "-" {
					header["content-type"] = tc.contentType
				}
				want := sent{method: verb, target: "/path?q=1&r=%20", header: header, body: tc.body}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(sent{})); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestHeadersOfAJob shows how a job's own headers meet ours.
func TestHeadersOfAJob(t *testing.T) {
	t.Parallel()
	target := listen(t, answering(ok, "Content-Length: 0\r\n\r\n"))
	w := work("http://"+target.addr+"/", headers(
		"user-agent", "mine/2.0", "X-Mixed-CASE", "v a l", "Empty", "", "Accept-Encoding", "gzip", "Host", "evil.test",
		"Content-Length", "5", "Transfer-Encoding", "chunked",
	))
	w.Attempt = 3
	expect(t, call(t, newClient(t), w), "", 200, false)
	got := parse(t, target.requests()[0])
	for name, want := range map[string]string{
		"user-agent": "mine/2.0", "x-mixed-case": "v a l", "empty": "", "accept-encoding": "identity", "host": target.addr, "x-cron-attempt": "3",
	} {
		if value, there := got.header[name]; !there || value != want {
			t.Errorf("%s: %q, %t; want %q", name, value, there, want)
		}
	}
	for _, name := range []string{"content-length", "transfer-encoding"} {
		if value, there := got.header[name]; there {
			t.Errorf("%s: %q was sent", name, value)
		}
	}
}

// TestNoSilentSecondSend breaks a connection that is used again after it has
// taken the second request: whether the target has acted on it nobody knows,
// so within this attempt it must not be sent again.
func TestNoSilentSecondSend(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"} {
		for _, payload := range []string{"", `""`, `{"a":1}`} {
			for _, breaks := range []string{"closes", "resets", "says it timed out"} {
				t.Run(fmt.Sprintf("%s %s %s", verb, payload, breaks), func(t *testing.T) {
					t.Parallel()
					target := listen(t, func(c *conn) {
						if _, alive := c.request(); !alive {
							return
						}
						c.say(fine)
						if _, alive := c.request(); !alive {
							return
						}
						switch breaks {
						case "resets":
							c.reset()
						case "says it timed out":
							c.say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
						}
					})
					w := work("http://"+target.addr+"/", method(verb))
					if payload != "" {
						w.Request.Body = []byte(payload)
					}
					client := newClient(t)
					first := call(t, client, w)
					expect(t, first, "", 200, false)
					second := call(t, client, w)
					if breaks == "says it timed out" {
						expect(t, second, "http_status", 408, true)
					} else {
						expect(t, second, "reset", 0, true)
					}
					if second.Timings.Connect != nil {
						t.Error("the connection was not used again; the test shows nothing")
					}
					if n := len(target.requests()); n != 2 {
						t.Errorf("the target has seen %d requests of 2 attempts", n)
					}
				})
			}
		}
	}
}
