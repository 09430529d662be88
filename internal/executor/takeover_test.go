package executor_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// inbox hands out messages from their instants on.
type inbox struct {
	mu       sync.Mutex
	messages []timedMessage
	receives int
	most     int // that was asked for at once
	done     []string
	err      error // of every other receive
}

type timedMessage struct {
	executor.Delivery
	from time.Time
}

func (i *inbox) put(from time.Time, receipt, body string) {
	i.messages = append(i.messages, timedMessage{executor.Delivery{Body: body, Receipt: receipt}, from})
}

func (i *inbox) Receive(ctx context.Context, most int) ([]executor.Delivery, error) {
	for range 10 {
		i.mu.Lock()
		i.receives++
		if i.err != nil && i.receives%2 == 1 {
			i.mu.Unlock()
			return nil, i.err
		}
		i.most = max(i.most, most)
		var out []executor.Delivery
		i.messages = slices.DeleteFunc(i.messages, func(m timedMessage) bool {
			if len(out) == most || m.from.After(time.Now()) {
				return false
			}
			out = append(out, m.Delivery)
			return true
		})
		i.mu.Unlock()
		if len(out) > 0 || ctx.Err() != nil {
			return out, ctx.Err()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, nil
}

func (i *inbox) Done(_ context.Context, receipts []string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done = append(i.done, receipts...)
	return nil
}

func (l *lab) runFrom(ctx context.Context, from executor.Inbox, messages ...string) []error {
	log := slog.New(slog.NewJSONHandler(l.log, nil))
	return executor.New(l.store, l.dispatch, l.caller, executor.WallClock{}, log).RunFrom(ctx, from, messages)
}

// hangs makes the named executions' calls take that long.
func (l *lab) hangs(takes time.Duration, ids ...int64) {
	l.caller.answer = func(ctx context.Context, w executor.Work) (*execution.Failure, time.Duration) {
		if slices.Contains(ids, w.ID) {
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				return &execution.Failure{Kind: execution.ErrCancelled, Message: "The worker had to stop."}, 0
			}
		}
		return nil, 0
	}
}

// at moves a work to another instant.
func at(w executor.Work, instant time.Time) executor.Work {
	w.ScheduledFor, w.NotBefore = instant, instant
	return w
}

// A call that hangs holds its invocation, and the queue's mapping gives out few at
// a time: the invocation goes on with other messages.
func TestAHeldInvocationTakesMoreMessages(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]error{"well": nil, "the queue fails at times": errors.New("away")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now().UTC()
				works := due(began, 4)
				for i := 1; i < 4; i++ {
					works[i] = at(works[i], began.Add(time.Duration(10*i)*time.Second))
				}
				l := newLab(works...)
				l.hangs(25*time.Second, 1, 3) // the third began at 20 s
				from := &inbox{err: failing}
				for i := 1; i < 4; i++ {
					from.put(works[i].NotBefore.Add(-time.Second), string(rune('0'+i)), message(t, works[i]))
				}
				from.put(began.Add(5*time.Second), "strange", "not ours")
				none(t, l.runFrom(t.Context(), from, message(t, works[0])))
				if diff := cmp.Diff([]int64{1, 2, 3, 4}, l.caller.called()); diff != "" {
					t.Errorf("called (-want +got):\n%s", diff)
				}
				for _, m := range l.caller.calls {
					if !m.at.Equal(works[m.id-1].NotBefore) {
						t.Errorf("execution %d was called %s late", m.id, m.at.Sub(works[m.id-1].NotBefore))
					}
				}
				slices.Sort(from.done)
				if diff := cmp.Diff([]string{"1", "2", "3", "strange"}, from.done); diff != "" {
					t.Errorf("taken out of the queue (-want +got):\n%s", diff)
				}
				// It ends with what it took, and hardly later.
				if took := time.Since(began); took < 45*time.Second || took > 47*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestAnInvocationThatIsNotHeldTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 2)
		l := newLab(works...)
		l.hangs(900*time.Millisecond, 1)
		from := &inbox{}
		from.put(time.Now(), "other", message(t, works[1]))
		began := time.Now()
		none(t, l.runFrom(t.Context(), from, message(t, works[0])))
		if from.receives > 0 || time.Since(began) > time.Second {
			t.Errorf("it received %d times and took %s", from.receives, time.Since(began))
		}
	})
}

// What could not have its whole timeout goes to another worker, and nothing more
// is taken.
func TestAHeldInvocationTakesNothingThatItCannotEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UTC()
		works := due(began, 4, func(w *executor.Work) { w.Request.Timeout = 40 * time.Second })
		for i := 1; i < 4; i++ {
			works[i] = at(works[i], began.Add(time.Duration(15*i)*time.Second))
		}
		l := newLab(works...)
		l.hangs(40*time.Second, 1, 2, 3, 4)
		from := &inbox{}
		for i := 1; i < 4; i++ {
			from.put(works[i].NotBefore.Add(-time.Second), string(rune('0'+i)), message(t, works[i]))
		}
		// Calls end 15 s before that: those that begin at 30 s have too little.
		ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
		defer cancel()
		none(t, l.runFrom(ctx, from, message(t, works[0])))
		if diff := cmp.Diff([]int64{1, 2}, l.caller.called()); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
		var sent []int64
		for _, w := range l.dispatch.sent {
			sent = append(sent, w.ID)
		}
		if diff := cmp.Diff([]int64{3}, sent); diff != "" {
			t.Errorf("sent on (-want +got):\n%s", diff)
		}
		for id := int64(1); id <= 2; id++ {
			if got := l.store.status(id); got != execution.Success {
				t.Errorf("execution %d is %s", id, got)
			}
		}
		if len(from.messages) != 1 {
			t.Errorf("%d messages are left, want the last", len(from.messages))
		}
	})
}

// Messages are taken by the rows that they may hold, which the calls under way
// leave room for.
func TestAHeldInvocationTakesWhatItHasRoomFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UTC()
		works := due(began, 1100)
		var hanging []int64
		for i := range works[:700] {
			hanging = append(hanging, works[i].ID)
		}
		for i := 700; i < len(works); i++ {
			works[i] = at(works[i], began.Add(10*time.Second))
		}
		l := newLab(works...)
		l.hangs(time.Minute, hanging...)
		var own []string
		for chunk := range slices.Chunk(works[:700], execution.MaxChunk) {
			own = append(own, message(t, chunk...))
		}
		from := &inbox{}
		for chunk := range slices.Chunk(works[700:], execution.MaxChunk) {
			from.put(began.Add(7*time.Second), "", message(t, chunk...))
		}
		none(t, l.runFrom(t.Context(), from, own...))
		if len(l.caller.calls) != 1100 || len(l.dispatch.sent) != 0 {
			t.Errorf("%d calls, %d sent on", len(l.caller.calls), len(l.dispatch.sent))
		}
		if from.most != 1 {
			t.Errorf("%d messages were asked for at once beside 700 calls", from.most)
		}
	})
}

// Rows for which calls that hang leave no room are not kept waiting.
func TestRowsWithoutRoomGoToAnotherWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UTC()
		works := due(began, 1000)
		l := newLab(works...)
		var ids []int64
		for _, w := range works {
			ids = append(ids, w.ID)
		}
		l.hangs(time.Minute, ids...)
		var own []string
		for chunk := range slices.Chunk(works, execution.MaxChunk) {
			own = append(own, message(t, chunk...))
		}
		none(t, l.run(t.Context(), own...))
		if len(l.caller.calls) != 800 || len(l.dispatch.sent) != 200 {
			t.Errorf("%d calls, %d sent on, want 800 and 200", len(l.caller.calls), len(l.dispatch.sent))
		}
		if took := time.Since(began); took > 61*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
