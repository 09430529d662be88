package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// serve sends an event through the gateway to a handler.
func serve(t *testing.T, event events.APIGatewayV2HTTPRequest, handler http.HandlerFunc) events.APIGatewayV2HTTPResponse {
	t.Helper()
	if event.RequestContext.HTTP.Method == "" {
		event.RequestContext.HTTP.Method = "GET"
	}
	if event.RawPath == "" {
		event.RawPath = "/"
	}
	if event.RequestContext.DomainName == "" {
		event.RequestContext.DomainName = "api.example.com"
	}
	response, err := gateway(handler, slog.New(slog.DiscardHandler))(context.Background(), event)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestAHandlerThatWritesNothingAnswers200(t *testing.T) {
	t.Parallel()
	if got := serve(t, events.APIGatewayV2HTTPRequest{}, func(http.ResponseWriter, *http.Request) {}); got.StatusCode != 200 {
		t.Errorf("status %d", got.StatusCode)
	}
}

// `sam local start-api` and some proxies do not write names in lower case.
func TestHeadersAreFoundHoweverTheyAreSpelt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"x-request-id", "X-Request-Id", "X-REQUEST-ID"} {
		serve(t, events.APIGatewayV2HTTPRequest{Headers: map[string]string{name: "a, b"}}, func(_ http.ResponseWriter, r *http.Request) {
			if got := r.Header.Values("X-Request-Id"); len(got) != 1 || got[0] != "a, b" {
				t.Errorf("%s arrived as %q", name, got)
			}
		})
	}
}

func TestTheHostIsNoHeader(t *testing.T) {
	t.Parallel()
	serve(t, events.APIGatewayV2HTTPRequest{Headers: map[string]string{"host": "cron-jobs.example.com"}}, func(_ http.ResponseWriter, r *http.Request) {
		if r.Host != "cron-jobs.example.com" || r.Header.Get("Host") != "" {
			t.Errorf("host %q, header %q", r.Host, r.Header.Get("Host"))
		}
	})
}

func TestHeadersWithCommasArriveWhole(t *testing.T) {
	t.Parallel()
	sent := map[string]string{
		"date": "Mon, 23 Nov 2026 16:00:00 GMT", "x-signature": "t=1,v1=abc",
		"user-agent": "Mozilla/5.0 (KHTML, like Gecko)", "if-none-match": `"a", "b"`,
	}
	serve(t, events.APIGatewayV2HTTPRequest{Headers: sent}, func(_ http.ResponseWriter, r *http.Request) {
		got := map[string]string{}
		for name := range sent {
			got[name] = r.Header.Get(name)
			if n := len(r.Header.Values(name)); n != 1 {
				t.Errorf("%s has %d values", name, n)
			}
		}
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Errorf("headers (-sent +got):\n%s", diff)
		}
	})
}

func TestDecodedPathsStayPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/jobs/a?b=c", "/jobs/100%", "/jobs/%zz", "/jobs/ä b", "//jobs", "/jobs/;x"} {
		got := serve(t, events.APIGatewayV2HTTPRequest{RawPath: path, RawQueryString: "page=2"}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path || r.URL.RawQuery != "page=2" {
				t.Errorf("%q arrived as %q with query %q", path, r.URL.Path, r.URL.RawQuery)
			}
			w.WriteHeader(http.StatusTeapot)
		})
		if got.StatusCode != http.StatusTeapot {
			t.Errorf("%q: status %d", path, got.StatusCode)
		}
	}
}

func TestTheFirstFinalStatusCounts(t *testing.T) {
	t.Parallel()
	got := serve(t, events.APIGatewayV2HTTPRequest{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusInternalServerError)
	})
	if got.StatusCode != http.StatusCreated {
		t.Errorf("status %d", got.StatusCode)
	}
}

func TestTheClientsAddressHasAPort(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"203.0.113.10", "2001:db8::7"} {
		event := events.APIGatewayV2HTTPRequest{}
		event.RequestContext.HTTP.SourceIP = source
		serve(t, event, func(_ http.ResponseWriter, r *http.Request) {
			if host, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || host != source {
				t.Errorf("%s arrived as %s", source, r.RemoteAddr)
			}
		})
	}
}

func TestBodiesAndCookies(t *testing.T) {
	t.Parallel()
	binary := "\x00\xff\x01 binary"
	event := events.APIGatewayV2HTTPRequest{
		Body: base64.StdEncoding.EncodeToString([]byte(binary)), IsBase64Encoded: true, Cookies: []string{"a=1", "b=2"},
	}
	event.RequestContext.HTTP.Method = "POST"
	got := serve(t, event, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != binary {
			t.Errorf("body %q, %v", body, err)
		}
		if c, err := r.Cookie("b"); err != nil || c.Value != "2" {
			t.Errorf("cookie: %v, %v", c, err)
		}
		_, _ = w.Write([]byte(binary))
	})
	if !got.IsBase64Encoded || got.Body != event.Body {
		t.Errorf("a binary answer left as %q, base64 %t", got.Body, got.IsBase64Encoded)
	}
}

// A body's length is told by its bytes, whichever way it came.
func TestTextIsSentAsItIs(t *testing.T) {
	t.Parallel()
	const text = `{"name":"Zürich \u0000 😀"}`
	for name, event := range map[string]events.APIGatewayV2HTTPRequest{
		"as text":   {Body: text},
		"as base64": {Body: base64.StdEncoding.EncodeToString([]byte(text)), IsBase64Encoded: true},
		"none":      {},
	} {
		event.RequestContext.HTTP.Method = "PUT"
		want := text
		if event.Body == "" {
			want = ""
		}
		got := serve(t, event, func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err != nil || string(body) != want || r.ContentLength != int64(len(want)) || r.Method != "PUT" {
				t.Errorf("%s: %s %q of %d bytes, %v", name, r.Method, body, r.ContentLength, err)
			}
			_, _ = io.WriteString(w, want)
		})
		if got.IsBase64Encoded || got.Body != want {
			t.Errorf("%s: left as %q, base64 %t", name, got.Body, got.IsBase64Encoded)
		}
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"before the answer": func(http.ResponseWriter, *http.Request) { panic("at once") },
		"net/http's own":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"in mid-answer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"success":true,"data":[1,2,`)
			panic("at once")
		},
	} {
		got := serve(t, events.APIGatewayV2HTTPRequest{}, handler)
		var envelope struct {
			Success    *bool
			StatusCode int
		}
		err := json.Unmarshal([]byte(got.Body), &envelope)
		if got.StatusCode != http.StatusInternalServerError || strings.Contains(got.Body, "at once") ||
			err != nil || envelope.Success == nil || *envelope.Success || envelope.StatusCode != got.StatusCode {
			t.Errorf("%s: %d %q", name, got.StatusCode, got.Body)
		}
	}
}

// What the gateway would refuse of a function is refused here, with a reason.
func TestAnswersThatAreTooLong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		good bool
	}{
		"just below":          {strings.Repeat("a", maxResponse-2048), true},
		"too long":            {strings.Repeat("a", maxResponse+1), false},
		"too long by quotes":  {strings.Repeat(`"`, maxResponse/2+1), false},
		"quotes that fit":     {strings.Repeat(`"`, maxResponse/2-2048), true},
		"too long by escapes": {strings.Repeat("\x01", maxResponse/6+1), false},
		"umlauts that fit":    {strings.Repeat("ä", maxResponse/2-2048), true},
		"binary that fits":    {strings.Repeat("\xff", maxResponse/4*3-4096), true},
		"too long as base64":  {strings.Repeat("\xff", maxResponse/4*3), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := serve(t, events.APIGatewayV2HTTPRequest{}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				_, _ = io.WriteString(w, tc.body)
			})
			if (got.StatusCode == http.StatusOK) != tc.good {
				t.Errorf("status %d", got.StatusCode)
			}
			if !tc.good && !strings.Contains(got.Body, "longer than 6 MB") {
				t.Errorf("answered %q", got.Body)
			}
			// Encoded as the runtime does, HTML left as it is.
			var encoded strings.Builder
			encoder := json.NewEncoder(&encoded)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(got); err != nil || encoded.Len() > 6*1024*1024 {
				t.Errorf("%d bytes leave the function, %v", encoded.Len(), err)
			}
		})
	}
}

func TestAnEventThatIsNoRequestIsAnswered(t *testing.T) {
	t.Parallel()
	event := events.APIGatewayV2HTTPRequest{Body: "%%%", IsBase64Encoded: true}
	got := serve(t, event, func(http.ResponseWriter, *http.Request) { t.Error("the handler is called") })
	if got.StatusCode != http.StatusBadRequest || !strings.Contains(got.Body, `"success":false`) {
		t.Errorf("%d %s", got.StatusCode, got.Body)
	}
}

// Not parallel: the output is the process's.
//
// The adapter prints what does not convert, past the log.
func TestAnEventThatIsNoRequestIsNotPrinted(t *testing.T) {
	output := os.Stdout
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = write
	defer func() { os.Stdout = output }()
	status := map[string]int{}
	for name, change := range map[string]func(*events.APIGatewayV2HTTPRequest){
		"a method with a blank":  func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "GE T" },
		"a query of two lines":   func(e *events.APIGatewayV2HTTPRequest) { e.RawQueryString = "a=b\nc" },
		"a domain with a blank":  func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.DomainName = "a b" },
		"a path of no beginning": func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = "jobs" },
	} {
		event := events.APIGatewayV2HTTPRequest{}
		event.RequestContext.HTTP.Method = "GET"
		change(&event)
		status[name] = serve(t, event, func(http.ResponseWriter, *http.Request) {}).StatusCode
	}
	_ = write.Close()
	printed, err := io.ReadAll(read)
	if err != nil || len(printed) > 0 {
		t.Errorf("printed: %s, %v", printed, err)
	}
	want := map[string]int{"a method with a blank": 400, "a query of two lines": 400, "a domain with a blank": 400, "a path of no beginning": 200}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestRepeatedQueriesAndHeaders(t *testing.T) {
	t.Parallel()
	event := events.APIGatewayV2HTTPRequest{
		RawQueryString:        "status=success&status=failed&q=a%2Cb+c&empty=",
		QueryStringParameters: map[string]string{"status": "success,failed", "q": "a,b c", "empty": ""},
		Headers:               map[string]string{"accept": "text/html, application/json;q=0.9", "x-forwarded-for": "203.0.113.1, 198.51.100.2"},
	}
	got := serve(t, event, func(w http.ResponseWriter, r *http.Request) {
		want := map[string][]string{"status": {"success", "failed"}, "q": {"a,b c"}, "empty": {""}}
		if diff := cmp.Diff(want, map[string][]string(r.URL.Query())); diff != "" {
			t.Errorf("query (-sent +got):\n%s", diff)
		}
		if got := r.Header.Get("X-Forwarded-For"); got != "203.0.113.1, 198.51.100.2" {
			t.Errorf("X-Forwarded-For: %s", got)
		}
		w.Header().Add("Vary", "Origin")
		w.Header().Add("Vary", "Accept-Encoding")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
	})
	if got.Headers["Vary"] != "Origin,Accept-Encoding" {
		t.Errorf("Vary: %q", got.Headers["Vary"])
	}
	if diff := cmp.Diff([]string{"a=1", "b=2"}, got.Cookies); diff != "" {
		t.Errorf("cookies (-sent +got):\n%s", diff)
	}
}
