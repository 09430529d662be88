package executor

import (
	"context"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// How outcomes are grouped into transactions: calls that end together are
// recorded together, and a lone one waits little.
const (
	groupWait = 5 * time.Millisecond
	groupMost = 200
)

// How long a database that is away is waited for with an outcome in hand: it
// is worth more than the slot it holds.
const (
	finishTries = 8
	finishPause = 250 * time.Millisecond
)

// finisher records the outcomes of one invocation in groups.
type finisher struct {
	store Store
	clock Clock
	in    chan finishing
	done  sync.WaitGroup
}

type finishing struct {
	ctx    context.Context
	finish execution.Finish
	answer chan<- finishAnswer
}

type finishAnswer struct {
	done execution.Finished
	err  error
}

// newFinisher starts a finisher; close ends it. workers is how many groups may
// be under way at once.
func newFinisher(store Store, clock Clock, workers int) *finisher {
	f := &finisher{store: store, clock: clock, in: make(chan finishing)}
	for range min(max(workers, 1), 4) {
		f.done.Go(f.work)
	}
	return f
}

// finish records one outcome and returns when it is recorded.
func (f *finisher) finish(ctx context.Context, finish execution.Finish) (execution.Finished, error) {
	answer := make(chan finishAnswer, 1)
	f.in <- finishing{ctx: ctx, finish: finish, answer: answer}
	a := <-answer
	return a.done, a.err
}

// close waits for the workers; nothing may call finish any more.
func (f *finisher) close() {
	close(f.in)
	f.done.Wait()
}

func (f *finisher) work() {
	for first := range f.in {
		f.record(f.gather(first))
	}
}

// gather collects what arrives within groupWait of the first.
func (f *finisher) gather(first finishing) []finishing {
	group := []finishing{first}
	timer := time.NewTimer(groupWait)
	defer timer.Stop()
	for len(group) < groupMost {
		select {
		case next, ok := <-f.in:
			if !ok {
				return group
			}
			group = append(group, next)
		case <-timer.C:
			return group
		}
	}
	return group
}

func (f *finisher) record(group []finishing) {
	batch := make([]execution.Finish, len(group))
	for i, one := range group {
		batch[i] = one.finish
	}
	finished, err := f.store.Finish(group[0].ctx, f.clock.Now(), batch)
	for try := 1; err != nil && try < finishTries && apperr.Is(err, apperr.Unavailable); try++ {
		time.Sleep(finishPause)
		finished, err = f.store.Finish(group[0].ctx, f.clock.Now(), batch)
	}
	for i, one := range group {
		answer := finishAnswer{err: err}
		if err == nil {
			answer.done = finished[i]
		}
		one.answer <- answer
	}
}
