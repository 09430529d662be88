package mysql_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

func TestRepliesAreKeptForADay(t *testing.T) {
	t.Parallel()
	store := mysql.NewReplies(mysqltest.New(t))
	ctx, now := t.Context(), windowEnd
	request := account.Request{UserID: 1, Key: "k", Hash: [32]byte{1}}
	var claim account.Claim
	fresh := func(after time.Duration) bool {
		t.Helper()
		begun, reply, err := store.Begin(ctx, request, now.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		claim = begun
		return reply == nil
	}
	if !fresh(0) {
		t.Fatal("a new key has a reply")
	}
	if _, _, err := store.Begin(ctx, request, now.Add(time.Second)); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("while it is served: %v", err)
	}
	if err := store.Renew(ctx, claim, now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Begin(ctx, request, now.Add(account.ServingTime)); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("while it is served for long: %v", err)
	}
	lost := claim
	if !fresh(account.ServingTime + time.Second) {
		t.Error("a request that was lost holds its key")
	}
	want := account.Reply{Status: 201, Location: "/jobs/1", ETag: `"1"`, Body: []byte("{\"a\":\"\x00ä\"}")}
	if err := store.Finish(ctx, claim, want); err != nil {
		t.Fatal(err)
	}
	// Late: there is a reply.
	for _, late := range []error{store.Abandon(ctx, claim, now), store.Abandon(ctx, lost, now), store.Renew(ctx, lost, now), store.Finish(ctx, lost, account.Reply{Status: 202})} {
		if late != nil {
			t.Fatal(late)
		}
	}
	_, got, err := store.Begin(ctx, request, now.Add(23*time.Hour))
	if diff := cmp.Diff(&want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	other := request
	other.Hash[0]++
	if _, _, err := store.Begin(ctx, other, now.Add(23*time.Hour)); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("another request with the key: %v", err)
	}
	request = other
	if !fresh(account.ReplyLifetime + account.ServingTime) {
		t.Error("a reply outlives its day")
	}
	if err := store.Abandon(ctx, claim, now); err != nil {
		t.Fatal(err)
	}
	if !fresh(account.ReplyLifetime + account.ServingTime) {
		t.Error("an abandoned key is not free")
	}
}

// attempt begins a request anew, as after whoever served it was lost, and does
// something under its claim.
func (w *world) attempt(r account.Request, do func(ctx context.Context) error) (account.Claim, error) {
	w.t.Helper()
	w.pass(account.ServingTime)
	claim, reply, err := mysql.NewReplies(w.db).Begin(w.t.Context(), r, w.Now())
	if err != nil || reply != nil {
		w.t.Fatalf("begin: %v, reply %v", err, reply)
	}
	return claim, do(account.Claiming(w.t.Context(), claim))
}

// TestEffectsAreNotedWithTheChange loses whoever serves a request between its
// change and its reply, for each change that a key may come with.
func TestEffectsAreNotedWithTheChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.minutely("A", nil), w.minutely("B", nil)
	for name, c := range map[string]struct {
		do   func(ctx context.Context) error
		rows string // what there is one more of
		want string // of the effect, beside a number
	}{
		"create":  {func(ctx context.Context) error { _, err := w.jobs.Create(ctx, w.input("C", w.work.ID), 1); return err }, "jobs", "#"},
		"execute": {func(ctx context.Context) error { _, err := w.dispatcher.RunNow(ctx, a.ID, 1); return err }, "executions", `{"ID":#,"JobID":#,"JobName":"A","Trigger":"manual",`},
		"import": {func(ctx context.Context) error {
			_, err := w.jobs.Import(ctx, []job.ImportItem{{Input: w.input("D", w.work.ID)}}, job.ImportOptions{By: 1})
			return err
		}, "jobs", `[{"ID":#,"Name":"D","Action":"created",`},
		"bulk": {func(ctx context.Context) error {
			for _, id := range []int64{b.ID, 1 << 50, a.ID} { // as in several transactions
				if _, err := w.jobs.ChangeMany(ctx, job.Bulk{Action: job.BulkPause, IDs: []int64{id}}); err != nil {
					return err
				}
			}
			return nil
		}, "", fmt.Sprintf("[%d,%d]", b.ID, a.ID)},
	} {
		count := func() string {
			return w.text("SELECT CONCAT((SELECT COUNT(*) FROM jobs), ' ', (SELECT COUNT(*) FROM executions))")
		}
		request := account.Request{UserID: 1, Key: name, Hash: [32]byte{1}}
		lost, err := w.attempt(request, c.do)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := count()
		again, _ := w.attempt(request, func(context.Context) error { return nil })
		got := string(again.Effect)
		if !strings.HasPrefix(c.want, "[") || c.rows != "" {
			got = regexp.MustCompile(`[0-9]+`).ReplaceAllString(got, "#")
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: the effect is %s, want %s", name, again.Effect, c.want)
		}
		// Whoever was taken for lost, and was slow, changes nothing any more.
		ctx := account.Claiming(t.Context(), lost)
		late := map[string]func() error{
			"create":  func() error { _, err := w.jobs.Create(ctx, w.input("E", w.work.ID), 1); return err },
			"execute": func() error { _, err := w.dispatcher.RunNow(ctx, b.ID, 1); return err },
			"import": func() error {
				_, err := w.jobs.Import(ctx, []job.ImportItem{{Input: w.input("E", w.work.ID)}}, job.ImportOptions{By: 1})
				return err
			},
			"bulk": func() error {
				_, err := w.jobs.ChangeMany(ctx, job.Bulk{Action: job.BulkDelete, IDs: []int64{a.ID}})
				return err
			},
		}[name]()
		if !apperr.Is(late, apperr.Conflict) || count() != before {
			t.Errorf("%s: a late attempt: %v; jobs and executions %s, want %s", name, late, count(), before)
		}
		// What failed after it had changed something keeps that in mind.
		if err := mysql.NewReplies(w.db).Abandon(t.Context(), again, w.Now()); err != nil {
			t.Fatal(err)
		}
		third, _, err := mysql.NewReplies(w.db).Begin(t.Context(), request, w.Now())
		if err != nil || string(third.Effect) != string(again.Effect) {
			t.Errorf("%s: after it was abandoned: %v, effect %s", name, err, third.Effect)
		}
	}
}

// TestRefusedChangesHaveNoEffect lets go of the key altogether.
func TestRefusedChangesHaveNoEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request := account.Request{UserID: 1, Key: "k", Hash: [32]byte{1}}
	_, err := w.attempt(request, func(ctx context.Context) error { _, err := w.dispatcher.RunNow(ctx, 1<<50, 1); return err })
	if !apperr.Is(err, apperr.NotFound) {
		t.Fatal(err)
	}
	again, _ := w.attempt(request, func(context.Context) error { return nil })
	if again.Effect != nil {
		t.Errorf("effect %s", again.Effect)
	}
	if err := mysql.NewReplies(w.db).Abandon(t.Context(), again, w.Now()); err != nil {
		t.Fatal(err)
	}
	if n := w.text("SELECT COUNT(*) FROM idempotency_keys"); n != "0" {
		t.Errorf("%s keys", n)
	}
}
