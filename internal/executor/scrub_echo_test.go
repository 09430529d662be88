package executor_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// vault gives a work a secret of the workspace, T.
func vault(value string) func(*executor.Work) {
	return func(w *executor.Work) {
		w.Vault = map[string]executor.VaultSecret{"T": {Value: value, AllowedHosts: []string{"127.0.0.1"}}}
	}
}

func secretBody(text string) func(*executor.Work) {
	return func(w *executor.Work) {
		w.Request.Method, w.Request.Body, w.Request.BodySecret = "POST", []byte(text), true
	}
}

// again is JSON as a target writes that has read it.
func again(_ *http.Request, body []byte) string {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	_ = decoder.Decode(&value)
	out, _ := json.MarshalIndent(value, "", "  ")
	return string(out)
}

// TestEchoesOfParts calls targets that read what they are sent and give back a part.
func TestEchoesOfParts(t *testing.T) {
	t.Parallel()
	key := func(r *http.Request) string { return r.Header.Get("X-Api-Key") }
	for name, tc := range map[string]struct {
		change []func(*executor.Work)
		answer func(r *http.Request, body []byte) string
		never  string
	}{
		"a cookie": {
			[]func(*executor.Work){headers("Cookie", "session=hunter2hunter2; theme=dark")},
			func(r *http.Request, _ []byte) string {
				return `{"session":"` + must(r.Cookie("session")).Value + `"}`
			}, "hunter2hunter2",
		},
		"a number":     {[]func(*executor.Work){secretBody(`{"pin":83749261,"user":"someone"}`)}, again, "83749261"},
		"JSON in text": {[]func(*executor.Work){secretBody(`"{\"password\": \"hunter2hunter2\"}"`)}, again, "hunter2hunter2"},
		"a form": {
			[]func(*executor.Work){secretBody(`"user=ada&password=hunter2hunter2"`)},
			func(_ *http.Request, body []byte) string {
				out, _ := json.Marshal(must(url.ParseQuery(string(body))))
				return string(out)
			}, "hunter2hunter2",
		},
		"a parameter": {
			[]func(*executor.Work){headers("Authorization", `Token token="hunter2hunter2", nonce="x"`)},
			func(*http.Request, []byte) string { return `{"token":"hunter2hunter2"}` }, "hunter2hunter2",
		},
		"space around it": {
			[]func(*executor.Work){headers("X-Api-Key", "{{secret.T}}"), vault(" hunter2hunter2 ")},
			func(r *http.Request, _ []byte) string { return `"` + key(r) + `"` }, "hunter2hunter2",
		},
		"part of a secret of the workspace": {
			[]func(*executor.Work){headers("X-Api-Key", "{{secret.T}}"), vault("user=ada;password=hunter2hunter2")},
			func(*http.Request, []byte) string { return "hunter2hunter2" }, "hunter2hunter2",
		},
		"short, in base64": {
			[]func(*executor.Work){headers("X-Api-Key", "s3cr3t!")},
			func(r *http.Request, _ []byte) string { return base64.StdEncoding.EncodeToString([]byte(key(r))) }, "czNjcjN0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				text := tc.answer(r, body)
				w.Header().Set("X-Echo", text[:min(len(text), 40)])
				_, _ = io.WriteString(w, text)
			}))
			t.Cleanup(server.Close)
			attempt := call(t, newClient(t), work(server.URL+"/", tc.change...))
			expect(t, attempt, "", 200, false)
			kept := string(attempt.Response.Body) + fmt.Sprint(attempt.Response.Headers)
			if strings.Contains(kept, tc.never) || !strings.Contains(string(attempt.Response.Body), job.Mask) {
				t.Errorf("kept: %s", kept)
			}
		})
	}
}

// TestNamesOfHeadersStay hides values alone.
func TestNamesOfHeadersStay(t *testing.T) {
	t.Parallel()
	target := listen(t, answering(ok, "X-Hunter2hunter2: hunter2hunter2\r\nContent-Length: 0\r\n\r\n"))
	attempt := call(t, newClient(t), work("http://"+target.addr+"/", headers("X-Token", "hunter2hunter2")))
	if got := attempt.Response.Headers["X-Hunter2hunter2"]; !slices.Equal(got, []string{job.Mask}) {
		t.Errorf("the header is %q", attempt.Response.Headers)
	}
}

func zipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.String()
}

// TestCompressedAnswersAreLookedInto calls targets that compress though they were
// asked not to.
func TestCompressedAnswersAreLookedInto(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	var deflated, bare bytes.Buffer
	z := zlib.NewWriter(&deflated)
	_, _ = z.Write([]byte("a " + secret))
	_ = z.Close()
	f, _ := flate.NewWriter(&bare, 9)
	_, _ = f.Write([]byte("a " + secret))
	_ = f.Close()
	random := make([]byte, 0, execution.MaxResponseBody*2) // does not become smaller
	for i := range cap(random) {
		random = append(random, byte(i*i>>3^i*7919>>5))
	}
	for name, tc := range map[string]struct {
		coding, body string
		kept         bool
	}{
		"gzip":                 {"gzip", zipped("a " + secret), false},
		"gzip without it":      {"gzip", zipped("nothing"), true},
		"by its old name":      {"x-gzip", zipped("a " + secret), false},
		"of any case":          {"GZIP", zipped("a " + secret), false},
		"identity beside it":   {"identity, gzip", zipped("a " + secret), false},
		"unnamed":              {"", zipped("a " + secret), false},
		"unnamed, without it":  {"", zipped("nothing"), true},
		"named identity":       {"identity", zipped("a " + secret), false},
		"deflate":              {"deflate", deflated.String(), false},
		"deflate, bare":        {"deflate", bare.String(), false},
		"twice":                {"gzip, gzip", zipped(zipped("a " + secret)), false},
		"twice, named once":    {"gzip", zipped(zipped("a " + secret)), false},
		"another coding":       {"br", "\x0b\x02\x80nothing\x03", false},
		"not what it says":     {"gzip", "nothing", false},
		"a bomb":               {"gzip", zipped(strings.Repeat("x", 2<<20)), false},
		"escaped in it":        {"gzip", zipped(url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(secret)))), false},
		"cut off before it":    {"gzip", zipped("")[:10], true},
		"cut off, with it":     {"gzip", zipped(secret + string(random)), false},
		"cut off, without it":  {"gzip", zipped("a" + string(random)), true},
		"cut off, half of it":  {"gzip", zipped(string(random[:100]) + secret)[:100], true},
		"no body":              {"gzip", "", true},
		"as it is, named gzip": {"gzip", secret, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := listen(t, func(c *conn) {
				c.request()
				coding := ""
				if tc.coding != "" {
					coding = "Content-Encoding: " + tc.coding + "\r\n"
				}
				c.say(ok, coding, "Connection: close\r\n")
				if strings.HasPrefix(name, "cut off before") || strings.HasPrefix(name, "cut off, half") {
					c.say("Content-Length: 1000\r\n")
				}
				c.say("\r\n", tc.body)
			})
			attempt := call(t, newClient(t), work("http://"+server.addr+"/", headers("X-Token", secret)))
			if attempt.Response == nil {
				t.Fatal(attempt.Failure)
			}
			got := string(attempt.Response.Body)
			if want := tc.body[:min(len(tc.body), execution.MaxResponseBody)]; tc.kept && got != want {
				t.Errorf("%d bytes became %d: %.200q", len(want), len(got), got)
			}
			if !tc.kept && !strings.HasPrefix(got, job.Mask+" The whole answer is hidden: it is compressed") {
				t.Errorf("%.200q is kept", got)
			}
		})
	}
}
