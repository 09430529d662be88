package executor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// Jobs that were made one by one have a message for each run; those of an instant
// cost the database as much as one.
func TestMessagesOfOneInstantAreHandledTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UTC()
		works := due(began, 210, func(w *executor.Work) { w.Lane = execution.Fast })
		var bodies []string
		for i := range 8 {
			if i == 7 {
				works[i] = at(works[i], began.Add(time.Second)) // by itself
			}
			bodies = append(bodies, message(t, works[i]))
		}
		bodies = append(bodies, message(t, works[2]))         // doubled
		bodies = append(bodies, message(t, works[10:110]...)) // full
		bodies = append(bodies, message(t, works[110:160]...), "this is not ours")
		l := newLab(works...)
		none(t, l.run(t.Context(), bodies...))
		if l.store.loads != 4 || l.store.starts != 4 {
			t.Errorf("%d loads and %d starts, want 4 of each", l.store.loads, l.store.starts)
		}
		if n := len(l.caller.calls); n != 158 {
			t.Errorf("%d calls, want 158", n)
		}
	})
}
