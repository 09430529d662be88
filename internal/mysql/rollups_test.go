package mysql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// requireSummaries counts the whole history anew, and wants the summaries to
// say the same of every hour.
func (w *world) requireSummaries() {
	w.t.Helper()
	found, err := mysql.NewRollups(w.db).Repair(context.WithoutCancel(w.t.Context()), true)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, fault := range found.Faults {
		w.t.Error(fault)
	}
}

func (w *world) fold() int {
	w.t.Helper()
	folded, err := mysql.NewRollups(w.db).Fold(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return folded
}

// answers is a target that succeeds, fails, wants to be tried again, is slow,
// and at times never answers.
func answers(random *rand.Rand) func(executor.Work) execution.Attempt {
	var mu sync.Mutex
	return func(executor.Work) execution.Attempt {
		mu.Lock()
		defer mu.Unlock()
		status := []int{200, 200, 200, 500, 500, 404}[random.IntN(6)]
		attempt := execution.Attempt{
			EndedAt:  time.Time{}.Add(time.Duration(random.IntN(4000)) * time.Millisecond),
			Response: &execution.Response{Status: status},
		}
		if status != 200 {
			attempt.Failure = &execution.Failure{Kind: execution.ErrHTTPStatus, Message: "no"}
		}
		return attempt
	}
}

// A busy hour and a half in which everything happens to jobs, folded at odd times
// by more than one.
func TestSummariesAreWhatTheHistoryAddsUpTo(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			random := rand.New(rand.NewPCG(seed, 1))
			w.answer = answers(random)
			other := w.category("Other")
			var ids []int64
			for i := range 8 {
				ids = append(ids, w.minutely(fmt.Sprintf("Busy %d", i), func(in *job.Input) {
					in.RetryAttempts, in.RetryDelay = new(int64(i%3)), new(int64(20_000))
					in.OverlapPolicy = new([]string{"allow", "skip"}[i%2])
					in.MisfirePolicy = new([]string{"fire_once", "skip", "fire_all"}[i%3])
					in.CronPattern = new([]string{"* * * * *", "*/20 * * * * *", "*/2 * * * *"}[i%3])
				}).ID)
			}
			for round := range 90 {
				w.disturb(random, ids, other.ID)
				switch random.IntN(8) {
				case 0:
					w.pass(time.Duration(random.IntN(400)) * time.Second) // a standstill
				case 1:
					w.lose()
				case 2, 3:
					// The same millisecond sees a pause, a resume, and again.
				default:
					if round%15 == 10 { // all run, and then nobody is there
						for _, id := range ids[:len(ids)/2] {
							_, _ = w.jobs.Resume(t.Context(), id, nil)
						}
						w.tick()
						w.lose()
						w.pass(10 * time.Minute)
						w.tick()
					}
					w.run(time.Duration(random.IntN(90)) * time.Second)
				}
				if random.IntN(3) > 0 {
					w.tick()
				}
				switch random.IntN(6) {
				case 0:
					var both sync.WaitGroup
					for range 2 {
						both.Go(func() {
							if _, err := mysql.NewRollups(w.db).Fold(t.Context()); err != nil {
								t.Errorf("fold: %v", err)
							}
						})
					}
					both.Wait()
				case 1:
					w.requireSummaries()
				}
			}
			// Whatever the calls' order has made of the days before, some end so too.
			status := "active"
			if _, err := w.categories.Patch(t.Context(), other.ID, job.CategoryInput{Status: &status}, nil); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids[:len(ids)/2] {
				_, _ = w.jobs.Resume(t.Context(), id, nil)
			}
			w.pass(time.Minute)
			w.tick()
			w.lose()
			w.requireSummaries()
			seen := w.text("SELECT GROUP_CONCAT(DISTINCT CONCAT(status) ORDER BY CONCAT(status) SEPARATOR ' ') FROM executions")
			for w.fold() > 0 {
			}
			w.requireSummaries()
			if left := w.text("SELECT COUNT(*) FROM rollup_deltas"); left != "0" {
				t.Errorf("%s rows are left to fold", left)
			}
			if below := w.text("SELECT COUNT(*) FROM rollups WHERE cancelled < 0"); below != "0" {
				t.Errorf("%s hours of a job and a category hold less than no cancelled executions", below)
			}
			for _, span := range []string{"hour", "day", "category_hour", "category_day"} {
				const sums = "CONCAT_WS(' ', SUM(success), SUM(failed), SUM(skipped), SUM(missed), SUM(cancelled), SUM(abandoned), SUM(duration_sum), MAX(duration_max), SUM(lateness_sum), MAX(lateness_max))"
				if rows, totals := w.text("SELECT "+sums+" FROM rollups"), w.text("SELECT "+sums+" FROM rollup_totals WHERE span = ?", span); rows != totals {
					t.Errorf("%s: the totals are %s, the jobs' %s", span, totals, rows)
				}
			}
			for _, status := range []string{"success", "failed", "skipped", "missed", "cancelled", "abandoned"} {
				if !strings.Contains(seen, status) {
					t.Errorf("none is %s: %s", status, seen)
				}
			}
		})
	}
}

// disturb lets one thing happen to one job.
func (w *world) disturb(random *rand.Rand, ids []int64, other int64) {
	w.t.Helper()
	ctx, id := w.t.Context(), ids[random.IntN(len(ids))]
	switch random.IntN(9) {
	case 0, 1:
		_, _ = w.jobs.Pause(ctx, id, nil)
	case 2, 3:
		_, _ = w.jobs.Resume(ctx, id, nil)
	case 4:
		_, _ = w.jobs.Patch(ctx, id, job.Input{URL: new(fmt.Sprintf("https://example.com/%d", random.IntN(1000)))}, nil)
	case 5:
		_, _ = w.dispatcher.RunNow(ctx, id, 1)
	case 6:
		_, _ = w.jobs.Patch(ctx, id, job.Input{CategoryID: &[]int64{w.work.ID, other}[random.IntN(2)]}, nil)
	case 7:
		status := []string{"active", "inactive"}[random.IntN(2)]
		if _, err := w.categories.Patch(ctx, other, job.CategoryInput{Status: &status}, nil); err != nil {
			w.t.Error(err)
		}
	case 8:
		_ = w.jobs.Delete(ctx, ids[len(ids)-1-random.IntN(2)], nil)
	}
}

// lose starts what is due and lets its workers vanish: their leases end.
func (w *world) lose() {
	w.t.Helper()
	waiting, err := w.store.WaitingAfter(w.t.Context(), 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	var refs []execution.Ref
	for _, one := range waiting {
		refs = append(refs, execution.Ref{ID: one.ID, Attempt: one.Attempt})
	}
	if len(refs) == 0 {
		return
	}
	works, err := w.store.Load(w.t.Context(), refs)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.store.Start(w.t.Context(), w.Now(), executor.Ticket{Token: [16]byte{1}}, works); err != nil {
		w.t.Fatal(err)
	}
	w.pass(90 * time.Second)
	lost, err := w.store.LostLeases(w.t.Context(), w.Now(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var ends []execution.Finish
	for i, one := range lost {
		f := one.Finish
		f.Attempt.EndedAt = w.Now()
		f.Status, f.NotBefore = execution.Abandoned, w.Now()
		if i%2 == 1 { // where one alone is lost, it is abandoned
			f.Status = execution.Pending
		}
		ends = append(ends, f)
	}
	if _, err := w.store.Finish(w.t.Context(), w.Now(), ends); err != nil && len(ends) > 0 {
		w.t.Fatal(err)
	}
}
