package executor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// A message of the fast lane can name executions whose jobs were found to be
// slow since it was sent.
func TestSlowWorkLeavesTheFastLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().Add(time.Second).UTC(), 3)
		works[1].Lane = execution.Slow
		l := newLab(works...)
		none(t, l.run(t.Context(), message(t, works...)))
		if diff := cmp.Diff([]int64{1, 3}, l.caller.called()); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
		want := []execution.Waiting{{ID: 2, Attempt: 1, NotBefore: works[1].NotBefore, Lane: execution.Slow, Host: "target.test"}}
		if diff := cmp.Diff(want, l.dispatch.sent); diff != "" {
			t.Errorf("sent on (-want +got):\n%s", diff)
		}
	})
}

func TestSlowLaneKeepsItsWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 2, func(w *executor.Work) { w.Lane = execution.Slow })
		works[1].Lane = execution.Fast // quick again
		l := newLab(works...)
		none(t, l.run(t.Context(), message(t, works...)))
		if diff := cmp.Diff([]int64{1, 2}, l.caller.called()); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
		if len(l.dispatch.sent) > 0 {
			t.Errorf("sent on: %+v", l.dispatch.sent)
		}
	})
}

// A call that hangs tells at once, not at its end, that its job is slow.
func TestJobsOfHangingCallsBecomeSlow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lane  execution.Lane
		takes time.Duration
		after time.Duration // when it is looked at
		want  []int64
	}{
		"while it hangs":        {execution.Fast, time.Minute, 7 * time.Second, []int64{1}},
		"once a call":           {execution.Fast, time.Minute, 59 * time.Second, []int64{1}},
		"not before":            {execution.Fast, time.Minute, 4 * time.Second, nil},
		"not when it has ended": {execution.Fast, 4 * time.Second, 9 * time.Second, nil},
		"not in the slow lane":  {execution.Slow, time.Minute, 9 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				works := due(time.Now().UTC(), 1, func(w *executor.Work) { w.Lane = tc.lane })
				l := newLab(works...)
				l.caller.answer = func(context.Context, executor.Work) (*execution.Failure, time.Duration) {
					time.Sleep(tc.takes)
					return nil, 0
				}
				ended := make(chan struct{})
				go func() { defer close(ended); none(t, l.run(t.Context(), message(t, works...))) }()
				time.Sleep(tc.after)
				l.store.mu.Lock()
				if diff := cmp.Diff(tc.want, l.store.slow); diff != "" {
					t.Errorf("marked as slow (-want +got):\n%s", diff)
				}
				l.store.mu.Unlock()
				<-ended
			})
		})
	}
}
