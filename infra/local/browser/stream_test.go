// Package browser_test looks at the product through a real browser.
package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/infra/local/system"
	"github.com/cronjobs/cronjobs/internal/config"
)

// patience is how long a browser is waited for.
const patience = 90 * time.Second

// page signs in at the API, which is of another origin, and follows the history
// by EventSource. It reports what it sees to the server that it came from.
const page = `<!doctype html><script type="module">
const report = (what) => fetch('/report', {method: 'POST', body: JSON.stringify(what)});
const api = %q;
const post = async (path, body, token) => {
  const answer = await fetch(api + path, {method: 'POST', headers: {'Content-Type': 'application/json', ...(token ? {Authorization: 'Bearer ' + token} : {})}, body: body && JSON.stringify(body)});
  return (await answer.json()).data;
};
try {
  const signedIn = await post('/auth/login', {email: %q, password: %q});
  const ticket = await post('/history/stream/ticket', undefined, signedIn.accessToken);
  const source = new EventSource(api + ticket.url);
  source.onopen = () => report({kind: 'open'});
  source.onmessage = (e) => { const item = JSON.parse(e.data); report({kind: 'event', event: e.lastEventId, id: item.id, status: item.status}); };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) report({kind: 'closed'}); };
  const forged = new EventSource(api + ticket.url + 'x');
  forged.onopen = () => report({kind: 'forged open'});
  forged.onerror = () => { if (forged.readyState === EventSource.CLOSED) report({kind: 'forged closed'}); };
} catch (e) { report({kind: 'failed', event: String(e)}); }
</script>`

// reports is what the page has told.
type reports struct {
	mu     sync.Mutex
	kinds  map[string]int
	states map[int64]string // the last state of each execution, as a client keeps it
	failed string
}

func (r *reports) take(in io.Reader) {
	var one struct {
		Kind, Event, Status string
		ID                  int64
	}
	if json.NewDecoder(in).Decode(&one) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kinds[one.Kind]++
	switch one.Kind {
	case "event":
		r.states[one.ID] = one.Status
	case "failed":
		r.failed = one.Event
	}
}

func (r *reports) await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(patience); ; {
		r.mu.Lock()
		done := happened()
		failed, kinds, states := r.failed, fmt.Sprint(r.kinds), fmt.Sprint(r.states)
		r.mu.Unlock()
		if failed != "" {
			t.Fatalf("the page failed: %s", failed)
		}
		if done {
			return
		}
		select {
		case <-over:
			t.Fatalf("%s: it did not come to that; seen: %s %s", what, kinds, states)
		case <-tick.C:
		}
	}
}

func TestAnEventSourceFollowsTheHistory(t *testing.T) {
	browser := findBrowser(t)
	seen := &reports{kinds: map[string]int{}, states: map[int64]string{}}
	var text string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/report":
			seen.take(r.Body)
		case "/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, text)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(front.Close)
	s := startSystem(t, front.URL)
	text = fmt.Sprintf(page, s.URL, s.AdminEmail, s.AdminPassword)
	openPage(t, browser, front.URL)

	c := signIn(t, s)
	var made struct{ ID int64 }
	c.post(t, "/jobs", map[string]any{
		"name": "Seen in a browser", "description": "Calls this system's own echo endpoint", "cronPattern": "0 0 1 1 *", "categoryId": 1, "url": s.URL + "/local/echo",
	}, &made)
	seen.await(t, "the stream is open", func() bool { return seen.kinds["open"] > 0 })
	seen.await(t, "a forged ticket is refused for good", func() bool { return seen.kinds["forged closed"] > 0 })

	// Runs go on while the stream ends and is opened again, several times.
	want := map[int64]string{}
	for began := time.Now(); len(want) < 5 || opened(seen) < 4; {
		var run struct {
			ID     int64
			Status string
		}
		c.post(t, fmt.Sprintf("/jobs/%d/execute", made.ID), nil, &run)
		want[run.ID] = run.Status
		if time.Since(began) > patience {
			t.Fatalf("the stream was opened %d times", opened(seen))
		}
	}
	seen.await(t, "every run is seen as it ended", func() bool {
		for id, status := range want {
			if seen.states[id] != status {
				return false
			}
		}
		return true
	})
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if !maps.Equal(want, seen.states) {
		t.Errorf("seen %v, want %v", seen.states, want)
	}
	if seen.kinds["closed"]+seen.kinds["forged open"] > 0 {
		t.Errorf("reports: %v", seen.kinds)
	}
	t.Logf("%d runs, %v", len(want), seen.kinds)
}

func opened(r *reports) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kinds["open"]
}

// findBrowser skips where there is none, unless one is required.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("BROWSER_TEST") == "required" {
		t.Fatal("no chromium is installed")
	}
	t.Skip("SKIPPED: no chromium is installed; make browser-test installs one")
	return ""
}

func openPage(t *testing.T, browser, url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", url)
	cmd.WaitDelay = 5 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the browser said: %s", out.String())
		}
	})
}

// startSystem starts the local runner's system for a front end of that origin.
func startSystem(t *testing.T, origin string) *system.System {
	t.Helper()
	cfg, err := config.Parse(config.Local, []string{
		"STREAM_WAIT=2s", "CORS_ORIGIN=" + origin, "LOCAL_DATA_DIR=" + t.TempDir(), "RATE_LIMIT_IP=0", "RATE_LIMIT_USER=0",
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := database.Start(t.Context(), database.Options{DataDir: t.TempDir(), Throwaway: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = server.Stop(ctx)
	})
	cfg.DB = config.Database{
		TLSCA: config.TLSOff,
		Host:  server.Host, Port: server.Port, Username: server.User, Password: config.Secret(server.Password),
		Name: "browser",
	}
	s, err := system.Start(t.Context(), system.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

type client struct{ url, token string }

func signIn(t *testing.T, s *system.System) client {
	t.Helper()
	var in struct{ AccessToken string }
	c := client{url: s.URL}
	c.post(t, "/auth/login", map[string]string{"email": s.AdminEmail, "password": s.AdminPassword}, &in)
	c.token = in.AccessToken
	return c
}

func (c client) post(t *testing.T, path string, in, out any) {
	t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text strings.Builder
	if err := json.NewDecoder(io.TeeReader(answer.Body, &text)).Decode(&struct{ Data any }{out}); err != nil || answer.StatusCode > 299 {
		t.Fatalf("POST %s: %d %s (%v)", path, answer.StatusCode, text.String(), err)
	}
}
