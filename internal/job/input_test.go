package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

var anyCategory = &CategoryRef{ID: 7, Name: "Reports", Color: "#10B981", Status: CategoryActive}

// validInput has every required field and nothing else.
func validInput() Input {
	return Input{
		Name:        new("Nightly report"),
		Description: new("Sends the report of the day"),
		CronPattern: new("0 2 * * *"),
		CategoryID:  new(int64(7)),
		URL:         new("https://example.com/report"),
	}
}

func headers(pairs ...string) Nullable[map[string]string] {
	all := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return Nullable[map[string]string]{Given: true, Value: &all}
}

func body(text string) Nullable[json.RawMessage] {
	return Nullable[json.RawMessage]{Given: true, Value: new(json.RawMessage(text))}
}

// fields are the names of the faults in an error, in order.
func fields(err error) []string {
	var e *apperr.Error
	if !errors.As(err, &e) {
		return nil
	}
	var names []string
	for _, field := range e.Fields {
		names = append(names, field.Name)
	}
	return names
}

func TestCheckFillsInDefaults(t *testing.T) {
	t.Parallel()
	got, err := validInput().check(Defaults(), nil, anyCategory, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := Job{
		Name: "Nightly report", Description: "Sends the report of the day",
		CronPattern: "0 2 * * *", Timezone: "UTC", CategoryID: 7,
		Request: Request{
			Method: "GET", URL: "https://example.com/report", SecretHeaders: []string{},
			Timeout: 30 * time.Second, OverlapPolicy: OverlapAllow,
			Retry: execution.RetryPolicy{Attempts: 3, Delay: time.Second, Backoff: execution.Fixed},
		},
		MisfirePolicy: MisfireFireOnce, Status: Active, Category: *anyCategory,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckNamesEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	in := Input{
		Name: new("a/b"), CronPattern: new("61 * * * *"), Timezone: new("Mars/Olympus"),
		CategoryID: new(int64(9)), URL: new("ftp://x"), Method: new("get"),
		Headers: headers("Host", "x", "A b", "y"), SecretHeaders: &[]string{"fine", "not fine"},
		Body: body("{"), Timeout: new(int64(999)), RetryAttempts: new(int64(6)),
		RetryDelay: new(int64(-1)), RetryBackoff: new("linear"), OverlapPolicy: new("queue"),
		MaxRedirects: new(int64(6)), MisfirePolicy: new("all"), Status: new("failed"),
	}
	_, err := in.check(Defaults(), nil, nil, noon)
	want := []string{
		"name", "description", "cronPattern", "timezone", "categoryId", "url", "method",
		"headers", "headers.Host", "secretHeaders[1]", "body", "timeout", "retryAttempts", "retryDelay",
		"retryBackoff", "overlapPolicy", "maxRedirects", "misfirePolicy", "status",
	}
	if diff := cmp.Diff(want, fields(err)); diff != "" {
		t.Error(diff)
	}
	if apperr.CodeOf(err) != apperr.Invalid {
		t.Errorf("code %s", apperr.CodeOf(err))
	}
	_, err = Input{}.check(Defaults(), nil, nil, noon)
	if diff := cmp.Diff([]string{"name", "description", "cronPattern", "categoryId", "url"}, fields(err)); diff != "" {
		t.Errorf("nothing given: %s", diff)
	}
}

// TestCheckBounds tries both sides of every bound.
func TestCheckBounds(t *testing.T) {
	t.Parallel()
	many := func(n, size int) Nullable[map[string]string] {
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprintf("X-%03d", i), strings.Repeat("v", size))
		}
		return headers(pairs...)
	}
	tests := []struct {
		name  string
		set   func(*Input)
		fault string // "": accepted
	}{
		{"name of 100", func(in *Input) { in.Name = new(strings.Repeat("a", 100)) }, ""},
		{"name of 101", func(in *Input) { in.Name = new(strings.Repeat("a", 101)) }, "name"},
		{"name of 100 and spaces around", func(in *Input) { in.Name = new("  " + strings.Repeat("a", 100) + " ") }, ""},
		{"name of spaces", func(in *Input) { in.Name = new("   ") }, "name"},
		{"name with every kind", func(in *Input) { in.Name = new("Az 09-_") }, ""},
		{"name with a letter beyond ASCII", func(in *Input) { in.Name = new("naïve") }, "name"},
		{"name with a line end inside", func(in *Input) { in.Name = new("a\nb") }, "name"},
		{"name with a quote", func(in *Input) { in.Name = new("a' OR 1=1") }, "name"},
		{"name with NUL", func(in *Input) { in.Name = new("a\x00") }, "name"},
		{"description of 9", func(in *Input) { in.Description = new("123456789") }, "description"},
		{"description of 10", func(in *Input) { in.Description = new("1234567890") }, ""},
		{"description of 10 emoji", func(in *Input) { in.Description = new(strings.Repeat("🚀", 10)) }, ""},
		{"description of 9 emoji", func(in *Input) { in.Description = new(strings.Repeat("🚀", 9)) }, "description"},
		{"description of 1000", func(in *Input) { in.Description = new(strings.Repeat("ä", 1000)) }, ""},
		{"description of 1001", func(in *Input) { in.Description = new(strings.Repeat("ä", 1001)) }, "description"},
		{"description of lines", func(in *Input) { in.Description = new("first\r\n\tsecond") }, ""},
		{"description that is blank", func(in *Input) { in.Description = new(strings.Repeat(" ", 10)) }, "description"},
		{"description with NUL", func(in *Input) { in.Description = new("1234567890\x00") }, "description"},
		{"six fields", func(in *Input) { in.CronPattern = new("*/5 * * * * *") }, ""},
		{"empty pattern", func(in *Input) { in.CronPattern = new("") }, "cronPattern"},
		{"pattern that never fires", func(in *Input) { in.CronPattern = new("0 0 30 2 *") }, "cronPattern"},
		{"empty zone", func(in *Input) { in.Timezone = new("") }, "timezone"},
		{"local zone", func(in *Input) { in.Timezone = new("Local") }, "timezone"},
		{"other zone", func(in *Input) { in.Timezone = new("Europe/Berlin") }, ""},
		{"timeout 1000", func(in *Input) { in.Timeout = new(int64(1000)) }, ""},
		{"timeout 300000", func(in *Input) { in.Timeout = new(int64(300000)) }, ""},
		{"timeout 300001", func(in *Input) { in.Timeout = new(int64(300001)) }, "timeout"},
		{"timeout overflowing", func(in *Input) { in.Timeout = new(int64(1<<62 + 30000)) }, "timeout"},
		{"0 retries", func(in *Input) { in.RetryAttempts = new(int64(0)) }, ""},
		{"5 retries", func(in *Input) { in.RetryAttempts = new(int64(5)) }, ""},
		{"-1 retries", func(in *Input) { in.RetryAttempts = new(int64(-1)) }, "retryAttempts"},
		{"retry delay 0", func(in *Input) { in.RetryDelay = new(int64(0)) }, ""},
		{"retry delay 1 h", func(in *Input) { in.RetryDelay = new(int64(3600000)) }, ""},
		{"retry delay over 1 h", func(in *Input) { in.RetryDelay = new(int64(3600001)) }, "retryDelay"},
		{"0 redirects", func(in *Input) { in.MaxRedirects = new(int64(0)) }, ""},
		{"5 redirects", func(in *Input) { in.MaxRedirects = new(int64(5)) }, ""},
		{"-1 redirects", func(in *Input) { in.MaxRedirects = new(int64(-1)) }, "maxRedirects"},
		{"50 headers", func(in *Input) { in.Headers = many(50, 1) }, ""},
		{"51 headers", func(in *Input) { in.Headers = many(51, 1) }, "headers"},
		{"headers of 16 KiB", func(in *Input) { in.Headers = many(32, 512-5) }, ""},
		{"headers of 16 KiB and a byte", func(in *Input) {
			in.Headers = many(32, 512-5)
			(*in.Headers.Value)["Y"] = ""
		}, "headers"},
		{"header null", func(in *Input) { in.Headers = Nullable[map[string]string]{Given: true} }, ""},
		{"header with a line end", func(in *Input) { in.Headers = headers("X-A", "a\r\nX-B: b") }, "headers.X-A"},
		{"header with a line end at its end", func(in *Input) { in.Headers = headers("X-A", "a\n") }, "headers.X-A"},
		{"header with NUL", func(in *Input) { in.Headers = headers("X-A", "a\x00") }, "headers.X-A"},
		{"header name with a colon", func(in *Input) { in.Headers = headers("X-A:", "a") }, "headers"},
		{"header name with a line end", func(in *Input) { in.Headers = headers("X\r\nY", "a") }, "headers"},
		{"empty header name", func(in *Input) { in.Headers = headers("", "a") }, "headers"},
		{"header name beyond ASCII", func(in *Input) { in.Headers = headers("X-Ä", "a") }, "headers"},
		{"header twice", func(in *Input) { in.Headers = headers("X-A", "a", "x-a", "b") }, "headers.x-a"},
		{"mask in a header", func(in *Input) { in.Headers = headers("Authorization", Mask) }, "headers.Authorization"},
		{"mask in a plain header", func(in *Input) { in.Headers = headers("X-A", " "+Mask) }, "headers.X-A"},
		{"secret header twice", func(in *Input) { in.SecretHeaders = &[]string{"X-A", "x-a"} }, ""},
		{"body of 64 KiB", func(in *Input) { in.Body = body(`"` + strings.Repeat("a", maxBody-2) + `"`) }, ""},
		{"body over 64 KiB", func(in *Input) { in.Body = body(`"` + strings.Repeat("a", maxBody-1) + `"`) }, "body"},
		{"body null", func(in *Input) { in.Body = body("null") }, ""},
		{"body false", func(in *Input) { in.Body = body("false") }, ""},
		{"body not UTF-8", func(in *Input) { in.Body = body("\"\xff\"") }, "body"},
		{"body of two values", func(in *Input) { in.Body = body("1 2") }, "body"},
		{"mask as body", func(in *Input) { in.Body = body(`"********"`) }, "body"},
		{"inactive", func(in *Input) { in.Status = new("inactive") }, ""},
		{"failed", func(in *Input) { in.Status = new("failed") }, "status"},
		{"empty status", func(in *Input) { in.Status = new("") }, "status"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := validInput()
			test.set(&in)
			_, err := in.check(Defaults(), nil, anyCategory, noon)
			var want []string
			if test.fault != "" {
				want = []string{test.fault}
			}
			if diff := cmp.Diff(want, fields(err)); diff != "" {
				t.Errorf("%s\n%v", diff, err)
			}
		})
	}
}

func TestHeadersOfTheSystemAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Host", "content-length", "Transfer-Encoding", "CONNECTION", "Expect", "Keep-Alive", "TE", "Trailer",
		"Upgrade", "Proxy-Connection", "Accept-Encoding", "Idempotency-Key", "X-Cron-Job-Id", "x-cron-anything", "Webhook-Signature",
		"Proxy-Authenticate", "HTTP2-Settings", "Alt-Svc",
		"X_Cron_Job_Id", "x-cron_anything", "webhook_signature", "Idempotency_Key", "CONTENT_LENGTH", "Transfer_Encoding", "Accept_encoding", "Keep_Alive", "Proxy_Connection",
	} {
		var f apperr.Faults
		checkHeaders(&f, map[string]string{name: "x"})
		if !f.Has("headers." + name) {
			t.Errorf("%s is accepted", name)
		}
	}
	var f apperr.Faults
	accepted := map[string]string{
		"User-Agent": "x", "Accept": "x", "Content-Type": "x", "Authorization": "x",
		"Proxy-Authorization": "x", "Cookie": "x", "X-Crontab": "x", "Range": "x", "X-Empty": "", "X_Crontab": "x", "_": "x",
	}
	checkHeaders(&f, accepted)
	if err := f.Err(); err != nil {
		t.Error(err)
	}
}

func TestBodyIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{ "a":1.0, "a": 1e400,"b":"<\u00e9>" }`, `12345678901234567890.10`, `"text"`, `[]`} {
		in := validInput()
		in.Body = body("\n " + text + " \t")
		j, err := in.check(Defaults(), nil, anyCategory, noon)
		if err != nil || string(j.Request.Body) != text {
			t.Errorf("%s became %s, %v", text, j.Request.Body, err)
		}
	}
}

func TestCheckOfAFaultyForm(t *testing.T) {
	t.Parallel()
	masked := Input{Headers: headers("Authorization", Mask), URL: new("x")}
	if got := fields(masked.Check(true)); !slices.Equal(got, []string{"url", "headers.Authorization"}) {
		t.Errorf("on creation: %v", got)
	}
	if got := fields(masked.Check(false)); !slices.Equal(got, []string{"url"}) {
		t.Errorf("on change: %v", got)
	}
	if err := (Input{}).Check(true); err != nil {
		t.Errorf("nothing given: %v", err)
	}
}

func TestCategoryCheck(t *testing.T) {
	t.Parallel()
	text := func(s string) Nullable[string] { return Nullable[string]{Given: true, Value: &s} }
	tests := []struct {
		name string
		set  func(*CategoryInput)
		want []string
	}{
		{"name of 100 code points", func(in *CategoryInput) { in.Name = new(strings.Repeat("é", 100)) }, nil},
		{"name of 101 code points", func(in *CategoryInput) { in.Name = new(strings.Repeat("é", 101)) }, []string{"name"}},
		{"name that grows too long when composed", func(in *CategoryInput) { in.Name = new(strings.Repeat("\U0001D160", 100)) }, []string{"name"}},
		{"name of spaces", func(in *CategoryInput) { in.Name = new(" \u00a0 ") }, []string{"name"}},
		{"name with a line end", func(in *CategoryInput) { in.Name = new("a\nb") }, []string{"name"}},
		{"name with markup", func(in *CategoryInput) { in.Name = new("<b>'; DROP TABLE jobs; --") }, nil},
		{"description of 1000", func(in *CategoryInput) { in.Description = text(strings.Repeat("🚀", 1000)) }, nil},
		{"description of 1001", func(in *CategoryInput) { in.Description = text(strings.Repeat("a", 1001)) }, []string{"description"}},
		{"description with NUL", func(in *CategoryInput) { in.Description = text("\x00") }, []string{"description"}},
		{"empty description", func(in *CategoryInput) { in.Description = text("") }, nil},
		{"colour in small letters", func(in *CategoryInput) { in.Color = new("#abcdef") }, nil},
		{"colour of three", func(in *CategoryInput) { in.Color = new("#abc") }, []string{"color"}},
		{"colour of seven", func(in *CategoryInput) { in.Color = new("#1234567") }, []string{"color"}},
		{"colour with a line end", func(in *CategoryInput) { in.Color = new("#123456\n") }, []string{"color"}},
		{"colour by name", func(in *CategoryInput) { in.Color = new("red") }, []string{"color"}},
		{"inactive", func(in *CategoryInput) { in.Status = new("inactive") }, nil},
		{"failed", func(in *CategoryInput) { in.Status = new("failed") }, []string{"status"}},
		{"nothing", func(in *CategoryInput) { *in = CategoryInput{} }, []string{"name", "color"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := CategoryInput{Name: new("Reports"), Color: new("#10B981")}
			test.set(&in)
			_, err := in.check(Category{Status: CategoryActive})
			if diff := cmp.Diff(test.want, fields(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCategoryNameKey(t *testing.T) {
	t.Parallel()
	same := [][2]string{{"Reports", "REPORTS"}, {"Café", "CAFE\u0301"}, {"ΣΑΣ", "σας"}, {"ſtraße", "STRAßE"}}
	for _, pair := range same {
		if CategoryNameKey(pair[0]) != CategoryNameKey(pair[1]) {
			t.Errorf("%q and %q differ", pair[0], pair[1])
		}
	}
	if CategoryNameKey("cafe") == CategoryNameKey("café") || CategoryNameKey("😀") == CategoryNameKey("😁") {
		t.Error("accents or emoji are lost")
	}
}
