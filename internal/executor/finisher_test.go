package executor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

func TestTargetsFailureIsAResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 3)
		works[1].Request.Retry.Attempts = 0
		works[2].Attempt = 4
		l := newLab(works...)
		l.caller.answer = failing(execution.ErrTimeout)
		none(t, l.run(t.Context(), message(t, works...)))
		for id, want := range map[int64]execution.Status{1: execution.Pending, 2: execution.Failed, 3: execution.Failed} {
			if got := l.store.status(id); got != want {
				t.Errorf("row %d is %s, want %s", id, got, want)
			}
		}
		if len(l.dispatch.sent) != 1 || l.dispatch.sent[0].ID != 1 || l.dispatch.sent[0].Attempt != 2 {
			t.Errorf("sent: %+v", l.dispatch.sent)
		}
	})
}

func TestRetryIsSentForItsInstant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy execution.RetryPolicy
		asked  time.Duration
		least  time.Duration
		most   time.Duration
	}{
		"at once":     {execution.RetryPolicy{Attempts: 1}, 0, 0, 100 * time.Millisecond},
		"fixed":       {execution.RetryPolicy{Attempts: 1, Delay: 1234 * time.Millisecond}, 0, 1234 * time.Millisecond, 1334 * time.Millisecond},
		"exponential": {execution.RetryPolicy{Attempts: 1, Delay: time.Minute, Backoff: execution.Exponential}, 0, 48 * time.Second, 73 * time.Second},
		"asked for":   {execution.RetryPolicy{Attempts: 1, Delay: time.Second}, 90 * time.Second, 90 * time.Second, 91 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				works := due(time.Now().UTC(), 1, func(w *executor.Work) { w.Request.Retry = tc.policy; w.Lane = execution.Slow })
				l := newLab(works...)
				var ended time.Time
				l.caller.answer = func(context.Context, executor.Work) (*execution.Failure, time.Duration) {
					time.Sleep(777 * time.Millisecond)
					ended = time.Now()
					return &execution.Failure{Kind: execution.ErrReset}, tc.asked
				}
				none(t, l.run(t.Context(), message(t, works...)))
				if len(l.dispatch.sent) != 1 {
					t.Fatalf("sent: %+v", l.dispatch.sent)
				}
				next := l.dispatch.sent[0]
				if delay := next.NotBefore.Sub(ended); delay < tc.least || delay > tc.most {
					t.Errorf("the retry waits %s", delay)
				}
				if next.Attempt != 2 || next.Lane != execution.Slow || next.Host != "target.test" {
					t.Errorf("sent: %+v", next)
				}
				if got := l.store.rows[1].work.NotBefore; !got.Equal(next.NotBefore) {
					t.Errorf("the row waits for %s, the message for %s", got, next.NotBefore)
				}
			})
		})
	}
}

// TestRetryRunsThroughAllAttempts delivers each message that is sent.
func TestRetryRunsThroughAllAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		works := due(begun.UTC(), 1)
		l := newLab(works...)
		l.caller.answer = failing(execution.ErrConnect)
		wake := message(t, works...)
		for range 10 {
			none(t, l.run(t.Context(), wake))
			if len(l.dispatch.sent) == 0 {
				break
			}
			next := l.store.rows[1].work
			if got := l.dispatch.sent[0]; got.Attempt != next.Attempt {
				t.Fatalf("attempt %d was sent, the row waits for %d", got.Attempt, next.Attempt)
			}
			l.dispatch.sent = nil
			wake = message(t, next)
		}
		r := l.store.rows[1]
		if r.status != execution.Failed || len(r.attempts) != 4 {
			t.Errorf("the row is %s after %d attempts", r.status, len(r.attempts))
		}
		for i, a := range r.attempts {
			if a.Attempt != i+1 || a.Fence != i+1 || a.ExecutionID != 1 {
				t.Errorf("attempt %d is recorded as %d, fence %d, execution %d", i+1, a.Attempt, a.Fence, a.ExecutionID)
			}
		}
		if !r.final.FirstStartedAt.Equal(begun) {
			t.Errorf("the first attempt began at %s, want %s", r.final.FirstStartedAt, begun)
		}
	})
}

func TestOutcomesAreGrouped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind execution.ErrorKind // "": success
		sent int                 // messages' worth of Dispatch calls
	}{"successes": {"", 0}, "retries": {execution.ErrConnect, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				works := due(time.Now().UTC(), 50)
				l := newLab(works...)
				l.caller.answer = func(_ context.Context, w executor.Work) (*execution.Failure, time.Duration) {
					time.Sleep(time.Duration(w.ID) * 50 * time.Microsecond)
					if tc.kind == "" {
						return nil, 0
					}
					return &execution.Failure{Kind: tc.kind}, 0
				}
				none(t, l.run(t.Context(), message(t, works...)))
				if n := l.store.loads + l.store.starts + l.store.finishes; n > 3 {
					t.Errorf("%d round trips for 50 executions", n)
				}
				if l.dispatch.calls != tc.sent || len(l.dispatch.sent) != 50*tc.sent {
					t.Errorf("%d were sent by %d calls", len(l.dispatch.sent), l.dispatch.calls)
				}
				instants := map[time.Time]bool{}
				for _, w := range l.dispatch.sent {
					instants[w.NotBefore] = true
				}
				if len(instants) > 1 {
					t.Errorf("they wait for %d instants", len(instants))
				}
			})
		})
	}
}

// TestSlowCallsDoNotHoldQuickOnes looks when each outcome is recorded.
func TestSlowCallsDoNotHoldQuickOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		works := due(begun.UTC(), 2)
		l := newLab(works...)
		recorded := map[int64]time.Duration{}
		l.store.onFinish = func(_ context.Context, _ int, batch []execution.Finish) error {
			for _, f := range batch {
				recorded[f.ID] = time.Since(begun)
			}
			return nil
		}
		l.caller.answer = func(_ context.Context, w executor.Work) (*execution.Failure, time.Duration) {
			time.Sleep(time.Duration(w.ID-1) * 20 * time.Second)
			return nil, 0
		}
		none(t, l.run(t.Context(), message(t, works...)))
		if recorded[1] > 50*time.Millisecond || recorded[2] < 20*time.Second {
			t.Errorf("recorded after %v", recorded)
		}
	})
}

func TestDatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	away := apperr.New(apperr.Unavailable, "The database is away.")
	for name, tc := range map[string]struct {
		fails int // how many times
		err   error
		tries int
		fixed bool // whether the outcome is recorded in the end
	}{
		"for a moment":          {1, away, 2, true},
		"for a failover":        {60, away, 61, true},
		"for too long":          {1000, away, 75, false},
		"with a fault of ours":  {1000, errors.New("a column is missing"), 1, false},
		"with a wrapped answer": {2, errors.Join(away), 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				works := due(begun.UTC(), 1)
				l := newLab(works...)
				l.store.onFinish = func(_ context.Context, call int, _ []execution.Finish) error {
					if call <= tc.fails {
						return tc.err
					}
					return nil
				}
				errs := l.run(t.Context(), message(t, works...))
				if (errs[0] == nil) != tc.fixed || !tc.fixed && !errors.Is(errs[0], tc.err) {
					t.Errorf("the message ended with %v", errs[0])
				}
				if (l.store.status(1) == execution.Success) != tc.fixed {
					t.Errorf("the row is %s", l.store.status(1))
				}
				if l.store.finishes != tc.tries || time.Since(begun) > 150*time.Second {
					t.Errorf("%d tries in %s", l.store.finishes, time.Since(begun))
				}
			})
		})
	}
}

// TestDatabaseThatHangs must not keep the invocation beyond its deadline.
func TestDatabaseThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		works := due(begun.UTC(), 3)
		l := newLab(works...)
		l.store.onFinish = func(ctx context.Context, _ int, _ []execution.Finish) error {
			<-ctx.Done()
			return apperr.Wrap(apperr.Unavailable, ctx.Err(), "The database is away.")
		}
		errs := l.run(ctx, message(t, works...))
		if errs[0] == nil || time.Since(begun) != 59*time.Second {
			t.Errorf("it ended after %s with %v", time.Since(begun), errs[0])
		}
	})
}

// TestOutcomeThatCannotBeStored is alone in its failure.
func TestOutcomeThatCannotBeStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		poison := errors.New("a value is out of range")
		works := due(time.Now().UTC(), 20)
		l := newLab(works...)
		l.store.onFinish = func(_ context.Context, _ int, batch []execution.Finish) error {
			for _, f := range batch {
				if f.ID == 13 {
					return poison
				}
			}
			return nil
		}
		errs := l.run(t.Context(), message(t, works...))
		if !errors.Is(errs[0], poison) {
			t.Errorf("the message ended with %v", errs[0])
		}
		for id, r := range l.store.rows {
			want := execution.Success
			if id == 13 {
				want = execution.Running
			}
			if r.status != want {
				t.Errorf("row %d is %s", id, r.status)
			}
		}
	})
}

func TestRetryThatCannotBeSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 1)
		l := newLab(works...)
		l.dispatch.err = errors.New("the queue is away")
		l.caller.answer = failing(execution.ErrConnect)
		// The row waits, and a tick sends it: nothing is lost.
		none(t, l.run(t.Context(), message(t, works...)))
		if l.store.status(1) != execution.Pending || !strings.Contains(l.log.String(), "retries wait for the next tick") {
			t.Errorf("the row is %s, the log %s", l.store.status(1), l.log)
		}
		// One that comes early must go back, or it would be lost until then.
		early := due(time.Now().Add(time.Minute).UTC(), 1)
		l.store.rows[1] = &row{work: early[0], status: execution.Queued}
		if errs := l.run(t.Context(), message(t, early...)); errs[0] == nil {
			t.Error("an early message that was not sent back counts as done")
		}
	})
}

// TestLateOutcome has the row given to another worker during the call.
func TestLateOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 1)
		l := newLab(works...)
		l.caller.answer = func(context.Context, executor.Work) (*execution.Failure, time.Duration) {
			l.store.mu.Lock()
			defer l.store.mu.Unlock()
			l.store.rows[1].fence++
			return &execution.Failure{Kind: execution.ErrReset}, 0
		}
		none(t, l.run(t.Context(), message(t, works...)))
		if len(l.dispatch.sent) > 0 || l.store.status(1) != execution.Running || !strings.Contains(l.log.String(), `"status":"late"`) {
			t.Errorf("sent: %v, the row is %s, the log %s", l.dispatch.sent, l.store.status(1), l.log)
		}
	})
}
