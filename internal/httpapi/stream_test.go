package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
)

// sse is an answer of the stream, taken apart as an EventSource does.
type sse struct {
	ids    []int64 // of the executions, in the order of the events
	events []string
	last   string // the id to go on with
	retry  string
}

func readStream(t *testing.T, text string) (out sse) {
	t.Helper()
	for block := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		id, data := "", ""
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "id":
				id, out.last = value, value
			case "data":
				data = value
			case "retry":
				out.retry = value
			default:
				t.Errorf("a line that is none of ours: %q", line)
			}
		}
		if data == "" {
			continue
		}
		var item struct {
			ID int64 `json:"id"`
		}
		if err := json.Unmarshal([]byte(data), &item); err != nil {
			t.Fatalf("data %q: %v", data, err)
		}
		out.ids, out.events = append(out.ids, item.ID), append(out.events, id)
	}
	return out
}

func (s *system) stream(t *testing.T, target, token string, headers ...string) sse {
	t.Helper()
	got := s.send(t, "GET", target, token, "", headers...)
	if got.status != 200 || got.header.Get("Content-Type") != "text/event-stream; charset=utf-8" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s: %d %v %s", target, got.status, got.header, got.raw)
	}
	return readStream(t, got.raw)
}

func TestStreamGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Viewer)
	changed := func(status string, scheduled time.Time) int64 {
		return p.run(t, s, 0, "schedule", status, scheduled, "")
	}
	changed("success", s.at.Add(-time.Hour))
	s.at = s.at.Add(time.Minute)

	first := s.stream(t, "/history/stream", token)
	if diff := cmp.Diff(sse{last: fmt.Sprintf("%d-0", s.at.UnixMilli()), retry: "3000"}, first, cmp.AllowUnexported(sse{})); diff != "" {
		t.Errorf("it does not begin now (-want +got):\n%s", diff)
	}
	s.at = s.at.Add(5 * time.Second)
	a := changed("running", s.at.Add(-time.Second))
	b := changed("failed", s.at)
	changed("pending", s.at.Add(time.Minute)) // not due
	second := s.stream(t, "/history/stream", token, "Last-Event-ID", first.last)
	at := s.at.UnixMilli()
	if diff := cmp.Diff(sse{
		ids: []int64{a, b}, events: []string{fmt.Sprintf("%d-%d", at, a), fmt.Sprintf("%d-%d", at, b)}, last: fmt.Sprintf("%d-0", at), retry: "3000",
	}, second, cmp.AllowUnexported(sse{})); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
	// What was stored late, under an earlier time, is told within two seconds,
	// and what is known already again.
	s.at = s.at.Add(-1500 * time.Millisecond)
	late := changed("success", s.at)
	s.at = s.at.Add(2500 * time.Millisecond)
	for _, from := range []string{second.last, second.events[1]} {
		if got := s.stream(t, "/history/stream", token, "Last-Event-ID", from); len(got.ids) == 0 || got.ids[0] != late {
			t.Errorf("from %s: %v, want %d first", from, got.ids, late)
		}
	}
	s.at = s.at.Add(10 * time.Second)
	quiet := s.stream(t, "/history/stream", token)
	if got := s.stream(t, "/history/stream", token, "Last-Event-ID", quiet.last); len(got.ids) != 0 {
		t.Errorf("nothing has changed, and it tells of %v", got.ids)
	}
	for query, want := range map[string][]int64{
		"?status=failed":  {b},
		"?trigger=manual": nil,
		fmt.Sprintf("?jobId=%d&status=running", p.job):  {a},
		fmt.Sprintf("?jobId=%d", p.job+1):               nil,
		fmt.Sprintf("?categoryId=%d", p.category):       {late, a, b},
		fmt.Sprintf("?categoryId=%d", p.category+1):     nil,
		fmt.Sprintf("?categoryId=%d&status=failed", 99): nil,
	} {
		if diff := cmp.Diff(want, s.stream(t, "/history/stream"+query, token, "Last-Event-ID", first.last).ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestStreamIsGivenOutInParts(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Viewer)
	begin := s.stream(t, "/history/stream", token)
	var values []string
	var args []any
	for i := range 2500 { // all at one moment, as a batch of outcomes is
		values = append(values, "(?, 'schedule', 'success', ?, 1, ?, ?, ?)")
		at := s.at.Add(-time.Duration(i) * time.Second)
		args = append(args, p.job, at, at, s.at, s.at)
	}
	insert(t, s.db, "INSERT INTO executions (job_id, trigger_type, status, scheduled_for, revision, not_before, created_at, updated_at) VALUES "+
		strings.Join(values, ", "), args...)
	seen := map[int64]bool{}
	last, answers := begin.last, 0
	for len(seen) < 2500 && answers < 10 {
		got := s.stream(t, "/history/stream", token, "Last-Event-ID", last)
		for _, id := range got.ids {
			seen[id] = true
		}
		if more := len(got.ids) == 1000; more != (got.retry == "100") {
			t.Errorf("%d events and retry %s", len(got.ids), got.retry)
		}
		last = got.last
		answers++
	}
	if len(seen) != 2500 || answers != 3 {
		t.Errorf("%d of 2500 executions in %d answers", len(seen), answers)
	}
}

func TestStreamAnswersAsSoonAsThereIsNews(t *testing.T) {
	t.Parallel()
	s := newStreamingSystem(t, account.Config{}, time.Minute)
	p := newPast(t, s)
	token := s.tokenOf(t, account.Viewer)
	from := fmt.Sprintf("%d-0", s.at.UnixMilli())
	ids := make(chan int64, 1)
	go func() { ids <- p.run(t, s, 0, "manual", "running", s.at, "") }()
	began := time.Now()
	got := s.stream(t, "/history/stream", token, "Last-Event-ID", from)
	if want := <-ids; len(got.ids) != 1 || got.ids[0] != want {
		t.Errorf("told of %v, want %d", got.ids, want)
	}
	if spent := time.Since(began); spent > 30*time.Second {
		t.Errorf("it took %s", spent)
	}
	if got := s.send(t, "HEAD", "/history/stream", token, ""); got.status != 200 || got.raw != "" {
		t.Errorf("HEAD: %d %q", got.status, got.raw)
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	token := s.tokenOf(t, account.Viewer)
	issued := s.send(t, "POST", "/history/stream/ticket", token, "").must(200)
	ticket := issued.text("data", "ticket")
	if issued.at("data", "expiresIn") != 900.0 || issued.text("data", "url") != "/history/stream?ticket="+url.QueryEscape(ticket) {
		t.Errorf("issued %s", issued.raw)
	}
	address := issued.text("data", "url")
	s.stream(t, address, "")
	s.stream(t, address+"&status=failed", "")
	s.stream(t, strings.Replace(address, "stream?", "stream/?", 1), "")
	s.send(t, "POST", "/history/stream/ticket", "", "").must(401)
	s.send(t, "POST", "/history/stream/ticket", ticket, "").must(401)

	changed := []byte(ticket)
	changed[len(changed)-3] ^= 1
	for name, bad := range map[string]string{
		"changed": string(changed), "cut": ticket[:len(ticket)-1], "empty": "", "an access token": token, "nonsense": "a.b.c", "long": strings.Repeat("a", 5000),
	} {
		if got := s.send(t, "GET", "/history/stream?ticket="+url.QueryEscape(bad), "", ""); got.status != 401 {
			t.Errorf("%s: %d", name, got.status)
		} else if bad != "" && strings.Contains(got.raw, bad) {
			t.Errorf("%s: the answer repeats the ticket: %s", name, got.raw)
		}
	}
	for _, path := range []string{"/history", "/jobs", "/auth/me", "/history/1", "/history/stream/ticket"} {
		if got := s.send(t, "GET", path+"?ticket="+url.QueryEscape(ticket), "", ""); got.status != 401 && got.status != 405 {
			t.Errorf("the ticket opens %s: %d", path, got.status)
		}
		if got := s.send(t, "GET", path, ticket, ""); got.status != 401 && got.status != 405 {
			t.Errorf("as a bearer token it opens %s: %d", path, got.status)
		}
	}
	other := s.send(t, "POST", "/history/stream/ticket", s.tokenOf(t, account.Operator), "").must(200).text("data", "url")
	s.send(t, "POST", "/auth/logout", token, "").must(200)
	s.send(t, "GET", address, "", "").must(401)
	s.stream(t, other, "")
	if _, err := s.db.Exec("UPDATE users SET is_active = 0 WHERE role = 'operator'"); err != nil {
		t.Fatal(err)
	}
	s.send(t, "GET", other, "", "").must(401)

	// One that has expired ends an EventSource.
	late := s.send(t, "POST", "/history/stream/ticket", s.login(t, adminEmail, adminPassword).text("data", "accessToken"), "").must(200).text("data", "url")
	s.at = s.at.Add(16 * time.Minute)
	r := httptest.NewRequest("GET", late, nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("expired: %d %s", w.Code, w.Body)
	}
}

func TestStreamRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	token := s.tokenOf(t, account.Viewer)
	for _, id := range []string{"x", "1", "-1-2", "1-", "1-2-3", "9999999999999999999-1", "1 - 2", "1-2\x00", "' OR 1=1"} {
		got := s.send(t, "GET", "/history/stream", token, "", "Last-Event-ID", id).must(400)
		if diff := cmp.Diff([]string{"Last-Event-ID"}, got.fields()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", id, diff)
		}
	}
	for _, id := range []string{"0-0", "999999999999999-9999999999999999", ""} {
		s.stream(t, "/history/stream", token, "Last-Event-ID", id)
	}
	for query, field := range map[string]string{"status=done": "status", "jobId=0": "jobId", "page=2": "page", "from=2026-01-01T00:00:00Z": "from", "trigger=x": "trigger"} {
		if diff := cmp.Diff([]string{field}, s.send(t, "GET", "/history/stream?"+query, token, "").must(400).fields()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	s.send(t, "GET", "/history/stream", "", "").must(401)
}
