package executor_test

import (
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
