package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
)

func TestCreatingTwiceWithOneKey(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	body := jobJSON("Nightly", category)
	first := d.want(201, "POST", "/jobs", body, "Idempotency-Key", "a key, of \"ours\"")
	if first.Header.Get("Idempotent-Replayed") != "" {
		t.Error("the first answer is marked as replayed")
	}
	again := d.want(201, "POST", "/jobs", body, "Idempotency-Key", "a key, of \"ours\"")
	if again.raw != first.raw || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %v\n%s\n%s", again.Header, again.raw, first.raw)
	}
	for _, header := range []string{"Location", "ETag", "Content-Type"} {
		if got, want := again.Header.Get(header), first.Header.Get(header); got != want || want == "" {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	d.want(409, "POST", "/jobs", jobJSON("Another", category), "Idempotency-Key", "a key, of \"ours\"")
	d.want(409, "POST", "/jobs", body, "Idempotency-Key", "a key, of \"OURS\"") // another key: the name is taken
	d.want(409, "POST", "/jobs/"+first.id()+"/execute", "", "Idempotency-Key", "a key, of \"ours\"")
	if items := d.want(200, "GET", "/jobs", "").items(); len(items) != 1 {
		t.Errorf("there are %d jobs", len(items))
	}
	// The key is the user's own.
	other := send(t, d.h, "POST", "/jobs", jobJSON("Third", category), "Authorization", as(admin), "Idempotency-Key", "a key, of \"ours\"")
	if other.StatusCode != 201 {
		t.Errorf("another user's request: %d %s", other.StatusCode, other.raw)
	}
}

// API Gateway joins headers that are sent several times, and so are they without
// it: two keys are one, and neither of them.
func TestTwoKeysAreOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	ask := func(keys ...string) reply {
		t.Helper()
		req := httptest.NewRequest("POST", "/jobs", strings.NewReader(jobJSON("Nightly", category)))
		req.Header = http.Header{"Authorization": {as(operator)}, "Content-Type": {"application/json"}, "Idempotency-Key": keys}
		rec := httptest.NewRecorder()
		d.h.ServeHTTP(rec, req)
		return reply{Response: rec.Result(), raw: rec.Body.String()}
	}
	for _, step := range []struct {
		keys     []string
		status   int
		replayed string
	}{
		{[]string{"a", "b"}, 201, ""},
		{[]string{"a", "b"}, 201, "true"},
		{[]string{"a,b"}, 201, "true"},
		{[]string{"a"}, 409, ""}, // the name is taken
		{[]string{"b"}, 409, ""},
	} {
		if got := ask(step.keys...); got.StatusCode != step.status || got.Header.Get("Idempotent-Replayed") != step.replayed {
			t.Errorf("%q: %d %v %s", step.keys, got.StatusCode, got.Header, got.raw)
		}
	}
}

func TestWhatFailedMayBeSentAgainWithItsKey(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	key := []string{"Idempotency-Key", strings.Repeat("k", 128)}
	d.want(400, "POST", "/jobs", `{}`, key...)
	taken := d.want(201, "POST", "/jobs", jobJSON("Nightly", category)).id()
	d.want(409, "POST", "/jobs", jobJSON("Nightly", category), key...)
	d.want(200, "DELETE", "/jobs/"+taken, "")
	d.want(201, "POST", "/jobs", jobJSON("Nightly", category), key...)
	for _, bad := range []string{strings.Repeat("k", 129), "ключ", "a\tb"} {
		got := d.want(400, "POST", "/jobs", jobJSON("Other", category), "Idempotency-Key", bad)
		if !cmp.Equal(got.fields(), []string{"Idempotency-Key"}) {
			t.Errorf("%q: fields %v", bad, got.fields())
		}
	}
}

func TestRunningTwiceWithOneKey(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.runs.outcome = execution.Execution{Status: execution.Success, Trigger: execution.Manual, ScheduledFor: noon}
	key := []string{"Idempotency-Key", "run-1"}
	d.runs.refuse = apperr.New(apperr.Conflict, "A run is in progress.")
	d.want(409, "POST", "/jobs/5/execute", "", key...)
	d.runs.refuse = nil
	d.want(200, "POST", "/jobs/5/execute", "", key...)
	d.want(200, "POST", "/jobs/5/execute", "", key...)
	d.want(409, "POST", "/jobs/6/execute", "", key...)
	if d.runs.asked != 2 {
		t.Errorf("%d runs were asked for, want the refused one and one", d.runs.asked)
	}
	d.want(200, "POST", "/jobs/5/execute", "")
	if d.runs.asked != 3 {
		t.Error("a request without a key is not served")
	}
}

func TestRunThatCannotBeLookedAtIsAccepted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.runs.failLooks = 1000
	key := []string{"Idempotency-Key", "run-1"}
	got := d.want(202, "POST", "/jobs/5/execute?wait=0", "", key...)
	if got.Header.Get("Location") != "/history/77" || got.data()["id"] != 77.0 || got.data()["jobId"] != 5.0 {
		t.Errorf("%v %s", got.Header, got.raw)
	}
	again := d.want(202, "POST", "/jobs/5/execute?wait=0", "", key...)
	if again.raw != got.raw || d.runs.asked != 1 {
		t.Errorf("%d runs; %s", d.runs.asked, again.raw)
	}
}

func TestOneOfManyAtOnceIsServed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	body := jobJSON("Nightly", d.category("Reports"))
	var mu sync.Mutex
	var wg sync.WaitGroup
	created := map[string]int{}
	for range 12 {
		wg.Go(func() {
			got := d.call("POST", "/jobs", body, "Idempotency-Key", "k")
			mu.Lock()
			defer mu.Unlock()
			switch got.StatusCode {
			case 201:
				created[fmt.Sprint(got.data()["id"])]++
			case 409: // the first was under way
			default:
				t.Errorf("%d %s", got.StatusCode, got.raw)
			}
		})
	}
	wg.Wait()
	if len(created) != 1 {
		t.Errorf("jobs were created: %v", created)
	}
}

// forgetful loses every reply, as one does who is killed before it is kept, and
// lets time pass until the next attempt.
type forgetful struct {
	Replies
	later time.Duration
}

func (f *forgetful) Begin(ctx context.Context, r account.Request, now time.Time) (account.Claim, *account.Reply, error) {
	f.later += account.ServingTime
	return f.Replies.Begin(ctx, r, now.Add(f.later))
}

func (f *forgetful) Finish(context.Context, account.Claim, account.Reply) error { return nil }

func (f *forgetful) Abandon(context.Context, account.Claim, time.Time) error { return nil }

// TestLostRepliesAreMadeAgain sends each request that bears a key once more
// after its change was made and its reply was lost.
func TestLostRepliesAreMadeAgain(t *testing.T) {
	t.Parallel()
	d := newDeskWith(t, func(deps *Deps) { deps.Replies = &forgetful{Replies: deps.Replies} })
	category := d.category("Reports")
	first := d.want(201, "POST", "/jobs", jobJSON("Made once", category), "Idempotency-Key", "k")
	other := d.want(201, "POST", "/jobs", jobJSON("Other", category)).id()
	total := d.total()
	same := func(status int, first reply, method, target, body string, headers ...string) {
		t.Helper()
		again := d.want(status, method, target, body, headers...)
		if again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: replayed %q, then %q", target, first.Header.Get("Idempotent-Replayed"), again.Header.Get("Idempotent-Replayed"))
		}
		for _, header := range []string{"Location", "ETag"} {
			if got, want := again.Header.Get(header), first.Header.Get(header); got != want {
				t.Errorf("%s: %s %q, want %q", target, header, got, want)
			}
		}
		if diff := cmp.Diff(first.body, again.body); diff != "" {
			t.Errorf("%s (-first +again):\n%s", target, diff)
		}
		if d.total() != total {
			t.Errorf("%s: %v jobs, want %v", target, d.total(), total)
		}
	}
	same(201, first, "POST", "/jobs", jobJSON("Made once", category), "Idempotency-Key", "k")
	d.want(409, "POST", "/jobs", jobJSON("Another", category), "Idempotency-Key", "k")

	total += 2
	file := jobsOf(named("One", "Reports"), strings.Replace(named("Two", "Reports"), "0 2 * * *", "30 2 29 2 *", 1))
	first = d.want(201, "POST", "/jobs/import?onConflict=fail", file, "Idempotency-Key", "i")
	same(201, first, "POST", "/jobs/import?onConflict=fail", file, "Idempotency-Key", "i")

	total--
	bulk := `{"action":"delete","ids":[` + other + `,9007199254740991]}`
	first = d.want(200, "POST", "/jobs/bulk", bulk, "Idempotency-Key", "b")
	if first.data()["succeeded"] != 1.0 {
		t.Errorf("%s", first.raw)
	}
	same(200, first, "POST", "/jobs/bulk", bulk, "Idempotency-Key", "b")
}
