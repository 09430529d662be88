package executor_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// invocation is a context that ends when an executor's function does.
func invocation(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 330*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestWhatALostStartBeganIsCalled loses the answer to a start's commit, and then
// the database for longer and longer.
func TestWhatALostStartBeganIsCalled(t *testing.T) {
	t.Parallel()
	away := apperr.New(apperr.Unavailable, "The database cannot be reached.")
	for name, outage := range map[string]time.Duration{"at once": 0, "after 5 s": 5 * time.Second, "after 100 s": 100 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				works := due(begun.UTC(), 3, func(w *executor.Work) { w.Request.Retry.Attempts = 0 })
				l := newLab(works...)
				lost := false
				l.store.onStart = func([]executor.Work) error {
					if lost && time.Since(begun) < outage {
						return away
					}
					return nil
				}
				l.store.lose = func() error {
					if lost {
						return nil
					}
					lost = true
					return away
				}
				none(t, l.run(invocation(t), message(t, works...)))
				if diff := cmp.Diff([]int64{1, 2, 3}, l.caller.called()); diff != "" {
					t.Errorf("called (-want +got):\n%s", diff)
				}
				for id := range int64(3) {
					if got := l.store.status(id + 1); got != execution.Success {
						t.Errorf("row %d is %s", id+1, got)
					}
				}
				for _, m := range l.caller.calls {
					// Two seconds are the longest pause between two looks.
					if late := m.at.Sub(begun); late < outage || late > outage+2*time.Second {
						t.Errorf("execution %d was called after %s", m.id, late)
					}
				}
			})
		})
	}
}

// TestALostStartIsNobodyElses has another worker take over, while this one waits
// for the database, what this one had started.
func TestALostStartIsNobodyElses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 2)
		l := newLab(works...)
		l.store.lose = func() error {
			l.store.lose = nil
			l.store.rows[1].token = [16]byte{1}
			return apperr.New(apperr.Unavailable, "The database cannot be reached.")
		}
		none(t, l.run(t.Context(), message(t, works...)))
		if diff := cmp.Diff([]int64{2}, l.caller.called()); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
	})
}

// partly is a store that starts some works at once, and of the others says, for
// some seconds, that the database is away.
type partly struct {
	*store
	until time.Time
}

func (p *partly) Start(ctx context.Context, now time.Time, ticket executor.Ticket, works []executor.Work) ([]executor.Started, error) {
	if time.Now().After(p.until) {
		return p.store.Start(ctx, now, ticket, works)
	}
	started, err := p.store.Start(ctx, now, ticket, works[:len(works)-1])
	return append(started, executor.Started{}), errors.Join(err, apperr.New(apperr.Unavailable, "The database cannot be reached."))
}

// TestRunCallsWhatStartedAndWaitsForTheRest lets no run wait for another, nor be
// left to a tick.
func TestRunCallsWhatStartedAndWaitsForTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		works := due(begun.UTC(), 3, func(w *executor.Work) { w.Request.OverlapPolicy = job.OverlapSkip })
		l := newLab(works...)
		l.store.skip = map[int64]string{2: "busy"}
		store := &partly{l.store, begun.Add(10 * time.Second)}
		none(t, executor.New(store, l.dispatch, l.caller, executor.WallClock{}, slog.New(slog.DiscardHandler)).Run(invocation(t), []string{message(t, works...)}))
		at := map[int64]time.Duration{}
		for _, m := range l.caller.calls {
			at[m.id] = m.at.Sub(begun)
		}
		if len(at) != 2 || at[1] != 0 || at[3] < 10*time.Second || at[3] > 12*time.Second {
			t.Errorf("called after: %v", at)
		}
	})
}

// hangs is a target that answers after as long as its calls may take.
func hangs(ctx context.Context, w executor.Work) (*execution.Failure, time.Duration) {
	select {
	case <-time.After(w.Request.Timeout):
		return &execution.Failure{Kind: execution.ErrTimeout}, 0
	case <-ctx.Done():
		return &execution.Failure{Kind: execution.ErrCancelled}, 0
	}
}

// crowd is executions of one instant in as many messages.
func crowd(t *testing.T, at time.Time, messages, each int, change ...func(*executor.Work)) (works []executor.Work, bodies []string) {
	t.Helper()
	works = due(at, messages*each, change...)
	for i := range messages {
		bodies = append(bodies, message(t, works[i*each:(i+1)*each]...))
	}
	return works, bodies
}

// TestSlotsOfWhatDoesNotStartAreFreeAtOnce has one call of each message hang, and
// nothing else of it run.
func TestSlotsOfWhatDoesNotStartAreFreeAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		works, bodies := crowd(t, begun.UTC(), 10, 100, timeout(300*time.Second))
		l := newLab(works...)
		l.caller.answer = hangs
		l.store.skip = map[int64]string{}
		taken := map[int64]bool{} // by other workers, just before
		for _, w := range works {
			switch {
			case w.ID%100 == 0: // the one that hangs
			case w.ID%2 == 0:
				l.store.skip[w.ID] = "busy"
			default:
				taken[w.ID] = true
			}
		}
		l.store.onStart = func(works []executor.Work) error {
			for _, w := range works {
				if taken[w.ID] {
					l.store.rows[w.ID].status = execution.Running
				}
			}
			return nil
		}
		none(t, l.run(invocation(t), bodies...))
		if n := len(l.caller.calls); n != 10 {
			t.Fatalf("%d calls, want 10", n)
		}
		for _, m := range l.caller.calls {
			if late := m.at.Sub(begun); late != 0 {
				t.Errorf("execution %d was called after %s", m.id, late)
			}
		}
	})
}

// TestACallThatIsCutShortIsNoFailureOfItsTarget ends without another attempt.
func TestACallThatIsCutShortIsNoFailureOfItsTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 1, func(w *executor.Work) { w.Request.Retry.Attempts = 0 })
		l := newLab(works...)
		l.caller.answer = failing(execution.ErrCancelled)
		none(t, l.run(t.Context(), message(t, works...)))
		final := l.store.rows[1].final
		if final.Status != execution.Abandoned || final.Reason != execution.OutcomeUnknown || final.OfTarget() {
			t.Errorf("it ended as %s, %q", final.Status, final.Reason)
		}
	})
}
