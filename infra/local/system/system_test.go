package system_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/system"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// These tests drive the whole system over HTTP, in real seconds: schedules,
// queue, executor and target are the real ones.

const (
	email    = "First.Admin@example.com"
	password = "correct horse battery"
)

// target notes the calls that it receives.
type target struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

type call struct {
	at     time.Time
	path   string
	header http.Header
	body   string
}

func newTarget(t *testing.T, status int) *target {
	t.Helper()
	tg := &target{}
	tg.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		body, _ := io.ReadAll(r.Body)
		tg.mu.Lock()
		tg.calls = append(tg.calls, call{now, r.URL.Path, r.Header.Clone(), string(body)})
		tg.mu.Unlock()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(tg.Close)
	return tg
}

func (tg *target) received() []call {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return append([]call(nil), tg.calls...)
}

// client speaks to one system.
type client struct {
	t     *testing.T
	url   string
	token string
}

func start(t *testing.T, db mysql.Options, dir string) *system.System {
	t.Helper()
	cfg, err := config.Parse(config.Local, []string{
		"LOCAL_DATA_DIR=" + dir, "ADMIN_EMAIL=" + email, "ADMIN_PASSWORD=" + password,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.DB = config.Database{Host: db.Host, Port: db.Port, Username: db.User, Password: config.Secret(db.Password), Name: db.Database, TLSCA: config.TLSOff}
	cfg.EgressAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s, err := system.Start(t.Context(), system.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", TickEvery: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *system.System) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func signIn(t *testing.T, s *system.System) *client {
	t.Helper()
	c := &client{t: t, url: s.URL}
	var signedIn struct{ AccessToken string }
	c.do("POST", "/auth/login", map[string]any{"email": email, "password": password}, 200, &signedIn)
	c.token = signedIn.AccessToken
	return c
}

// do makes a request and reads the envelope's data into out.
func (c *client) do(method, path string, in any, want int, out any) {
	c.t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			c.t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if response.StatusCode != want {
		c.t.Fatalf("%s %s answered %d, want %d: %s", method, path, response.StatusCode, want, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, &struct{ Data any }{out}); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
}

type execution struct {
	ID           int64
	Status       string
	ScheduledFor time.Time
	StartedAt    *time.Time
	Attempt      int
	ResponseBody string
	Attempts     []struct{ Attempt int }
}

func (c *client) createJob(name, pattern, url string, more map[string]any) int64 {
	c.t.Helper()
	var categories []struct{ ID int64 }
	c.do("GET", "/categories", nil, 200, &categories)
	in := map[string]any{
		"name": name, "description": "A job of the end-to-end tests", "cronPattern": pattern, "categoryId": categories[0].ID, "url": url,
	}
	for key, value := range more {
		in[key] = value
	}
	var created struct{ ID int64 }
	c.do("POST", "/jobs", in, 201, &created)
	return created.ID
}

// eventually waits for a condition; the limit is far beyond what it takes.
func eventually(t *testing.T, what string, limit time.Duration, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		if condition() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestFromSignInToHistory(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, 200)
	s := start(t, mysqltest.Options(t), t.TempDir())
	defer stop(t, s)
	c := signIn(t, s)
	if !s.AdminCreated {
		t.Error("the first start made no admin")
	}
	id := c.createJob("Every second", "* * * * * *", tg.URL+"/hook", map[string]any{"method": "POST", "body": map[string]int{"n": 1}})
	eventually(t, "three calls", 20*time.Second, func() bool { return len(tg.received()) >= 3 })
	c.do("POST", fmt.Sprintf("/jobs/%d/pause", id), nil, 200, nil)
	calls := tg.received()

	var history []execution
	eventually(t, "every call in the history as a success", 10*time.Second, func() bool {
		c.do("GET", fmt.Sprintf("/jobs/%d/history?status=success&limit=100", id), nil, 200, &history)
		calls = tg.received()
		return len(history) == len(calls)
	})
	seen := map[string]bool{}
	for _, got := range calls {
		due, err := time.Parse(time.RFC3339, got.header.Get("X-Cron-Scheduled-For"))
		if err != nil {
			t.Fatal(err)
		}
		if got.at.Before(due) {
			t.Errorf("the call for %s came %s early", due, due.Sub(got.at))
		}
		if key := got.header.Get("Idempotency-Key"); seen[key] {
			t.Errorf("execution %s was called twice", key)
		} else {
			seen[key] = true
		}
		if got.body != `{"n":1}` || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("the target received %q as %q", got.body, got.header.Get("Content-Type"))
		}
	}
	for _, e := range history {
		if !seen[fmt.Sprint(e.ID)] {
			t.Errorf("execution %d is a success that the target never saw", e.ID)
		}
	}
	var detail execution
	c.do("GET", fmt.Sprintf("/history/%d", history[0].ID), nil, 200, &detail)
	if detail.ResponseBody != "hello" || len(detail.Attempts) != 1 {
		t.Errorf("detail: %+v", detail)
	}
}

func TestExecuteWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, 500)
	s := start(t, mysqltest.Options(t), t.TempDir())
	defer stop(t, s)
	c := signIn(t, s)
	id := c.createJob("By hand", "@yearly", tg.URL, map[string]any{"retryAttempts": 1, "retryDelay": 100, "status": "inactive"})
	var e execution
	c.do("POST", fmt.Sprintf("/jobs/%d/execute", id), nil, 200, &e)
	if e.Status != "failed" || e.Attempt != 2 || len(tg.received()) != 2 {
		t.Errorf("executed as %+v with %d calls", e, len(tg.received()))
	}
}

func TestAReplayIsTheSameRequestAfterTheJobWasEdited(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, 200)
	s := start(t, mysqltest.Options(t), t.TempDir())
	defer stop(t, s)
	c := signIn(t, s)
	at := fmt.Sprintf("/jobs/%d", c.createJob("Replayed", "@yearly", tg.URL+"/first", map[string]any{
		"method": "POST", "body": map[string]int{"n": 1}, "headers": map[string]string{"X-Which": "first"}, "status": "inactive",
	}))
	var first, again execution
	c.do("POST", at+"/execute", nil, 200, &first)
	c.do("PATCH", at, map[string]any{"url": tg.URL + "/second", "body": map[string]int{"n": 2}, "headers": map[string]string{"X-Which": "second"}}, 200, nil)
	c.do("POST", fmt.Sprintf("/history/%d/replay", first.ID), nil, 200, &again)
	calls := tg.received()
	if again.Status != "success" || again.ID == first.ID || len(calls) != 2 {
		t.Fatalf("replayed as %+v with %d calls", again, len(calls))
	}
	for i, got := range calls {
		if got.path != "/first" || got.body != `{"n":1}` || got.header.Get("X-Which") != "first" {
			t.Errorf("call %d: %+v", i+1, got)
		}
	}
	if calls[0].header.Get("Idempotency-Key") == calls[1].header.Get("Idempotency-Key") {
		t.Error("the target takes the replay for the first call")
	}
	c.do("DELETE", at, nil, 200, nil)
	c.do("POST", fmt.Sprintf("/history/%d/replay", first.ID), nil, 409, nil)
	c.do("POST", "/history/9007199254740991/replay", nil, 404, nil)
}

func TestWhatFellDueDuringADowntimeRunsOnce(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, 200)
	db, dir := mysqltest.Options(t), t.TempDir()
	s := start(t, db, dir)
	c := signIn(t, s)
	// Due once, some seconds ahead: the system is stopped before and started
	// after. Its message is lost with the queue in memory.
	due := time.Now().UTC().Add(15 * time.Second)
	c.createJob("During the downtime", fmt.Sprintf("%d %d %d * * *", due.Second(), due.Minute(), due.Hour()), tg.URL, nil)
	stop(t, s)
	if early := tg.received(); len(early) != 0 {
		t.Fatalf("called before it was due: %v", early)
	}
	time.Sleep(time.Until(due.Add(time.Second)))

	s = start(t, db, dir)
	defer stop(t, s)
	if s.AdminCreated {
		t.Error("the second start made an admin again")
	}
	c = signIn(t, s)
	var history []execution
	eventually(t, "the run that was due meanwhile", 15*time.Second, func() bool {
		c.do("GET", "/history?status=success", nil, 200, &history)
		return len(history) == 1
	})
	if calls := tg.received(); len(calls) != 1 {
		t.Errorf("%d calls, want 1", len(calls))
	}
}

func TestTwoSystemsOnOneDatabaseDoubleNothing(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, 200)
	db := mysqltest.Options(t)
	first := start(t, db, t.TempDir())
	defer stop(t, first)
	second := start(t, db, t.TempDir())
	c := signIn(t, first)
	for i := range 5 {
		c.createJob(fmt.Sprint("Shared ", i), "* * * * * *", tg.URL, nil)
	}
	eventually(t, "thirty calls", 30*time.Second, func() bool { return len(tg.received()) >= 30 })
	stop(t, second)
	before := len(tg.received())
	eventually(t, "more calls after one system has gone", 30*time.Second, func() bool { return len(tg.received()) >= before+15 })
	seen := map[string]int{}
	for _, got := range tg.received() {
		seen[got.header.Get("X-Cron-Job-Id")+" "+got.header.Get("X-Cron-Scheduled-For")]++
	}
	for occurrence, n := range seen {
		if n != 1 {
			t.Errorf("occurrence %s was called %d times", occurrence, n)
		}
	}
}

func TestASecondSystemOnOneDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir, db := t.TempDir(), mysqltest.Options(t)
	s := start(t, db, dir)
	defer stop(t, s)
	cfg, err := config.Parse(config.Local, []string{"LOCAL_DATA_DIR=" + dir})
	if err != nil {
		t.Fatal(err)
	}
	cfg.DB = config.Database{Host: db.Host, Port: db.Port, Username: db.User, Password: config.Secret(db.Password), Name: db.Database, TLSCA: config.TLSOff}
	for name, tc := range map[string]struct{ dir, addr, says string }{
		"data directory": {dir, "127.0.0.1:0", "in use"},
		"port":           {t.TempDir(), strings.TrimPrefix(s.URL, "http://localhost"), "PORT"},
	} {
		other := cfg
		other.LocalDataDir = tc.dir
		got, err := system.Start(t.Context(), system.Options{Config: other, Addr: tc.addr})
		if err == nil {
			stop(t, got)
			t.Errorf("%s: a second system started", name)
		} else if !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: the error does not say what to do: %v", name, err)
		}
	}
}
