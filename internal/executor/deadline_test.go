package executor_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// hung is a target that never answers.
type hung struct{}

func (hung) RoundTrip(request *http.Request) (*http.Response, error) {
	<-request.Context().Done()
	return nil, request.Context().Err()
}

// TestRunEndsBeforeItsDeadline has targets that hang for longer than the
// invocation may last.
func TestRunEndsBeforeItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		works := due(begun.UTC(), 2, timeout(5*time.Minute))
		works[1].Request.Timeout = 10 * time.Second
		works[1].Request.Retry.Attempts = 0
		l := newLab(works...)
		client := executor.NewClient(hung{}, executor.WallClock{})
		l.caller.answer = func(ctx context.Context, w executor.Work) (*execution.Failure, time.Duration) {
			attempt, retryAfter := client.Call(ctx, executor.Call{Work: w})
			return attempt.Failure, retryAfter
		}
		none(t, l.run(ctx, message(t, works...)))
		if took := time.Since(begun).Round(time.Second); took != 45*time.Second {
			t.Errorf("it took %s", took)
		}
		cancelled, late := l.store.rows[1], l.store.rows[2]
		if cancelled.status != execution.Pending || cancelled.attempts[0].Failure.Kind != execution.ErrCancelled {
			t.Errorf("the first is %s, %+v", cancelled.status, cancelled.attempts[0].Failure)
		}
		if late.status != execution.Failed || late.attempts[0].Failure.Kind != execution.ErrTimeout {
			t.Errorf("the second is %s, %+v", late.status, late.attempts[0].Failure)
		}
		if l.caller.active != 0 {
			t.Errorf("%d calls are under way", l.caller.active)
		}
	})
}

// TestRunStartsNothingWithoutTime leaves a message to another worker.
func TestRunStartsNothingWithoutTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ due, left time.Duration }{
		"due":      {0, 15 * time.Second},
		"soon due": {3 * time.Second, 17 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.left)
				defer cancel()
				works := due(time.Now().Add(tc.due).UTC(), 1)
				l := newLab(works...)
				if errs := l.run(ctx, message(t, works...)); errs[0] == nil {
					t.Error("the message counts as done")
				}
				if l.store.status(1) != execution.Queued || l.store.starts > 0 {
					t.Errorf("the row is %s after %d starts", l.store.status(1), l.store.starts)
				}
			})
		})
	}
}

// TestRunIsStopped cancels the worker in mid-call.
func TestRunIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		works := due(time.Now().UTC(), 2)
		l := newLab(works...)
		l.store.onFinish = func(ctx context.Context, _ int, _ []execution.Finish) error { return ctx.Err() }
		l.caller.answer = func(ctx context.Context, _ executor.Work) (*execution.Failure, time.Duration) {
			cancel()
			<-ctx.Done()
			return &execution.Failure{Kind: execution.ErrCancelled}, 0
		}
		none(t, l.run(ctx, message(t, works...)))
		for id := range int64(2) {
			if got := l.store.status(id + 1); got != execution.Pending {
				t.Errorf("row %d is %s", id+1, got)
			}
		}
		// What is stopped starts nothing more.
		if errs := l.run(ctx, message(t, works...)); errs[0] == nil && l.store.starts > 1 {
			t.Error("a stopped worker has started a message")
		}
	})
}
