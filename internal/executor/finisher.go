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
	groupWait     = 5 * time.Millisecond
	groupWaitMost = 30 * time.Millisecond
	groupMost     = 200
	// maxFinishers is how many groups are under way at once.
	maxFinishers = 4
	// groupBytes bounds the answers of a group, which travel in one statement:
	// servers refuse one of more than 16 MB, and every byte may need an escape.
	groupBytes = 2 << 20
)

// How long a database that is away is waited for with outcomes in hand: they
// are worth more than the slot they hold, for a call that is not recorded is
// made again. The pauses double up to the longest; together they outlast a
// failover. The invocation's own end comes first where it is nearer.
const (
	finishTries     = 75
	finishPause     = 100 * time.Millisecond
	finishPauseMost = 2 * time.Second
)

// finisher records the outcomes of one invocation in groups, and sends those
// that wait for another attempt.
type finisher struct {
	*Executor
	ctx  context.Context
	in   chan finishing
	done sync.WaitGroup
}

type finishing struct {
	finish execution.Finish
	answer chan<- finishAnswer
}

type finishAnswer struct {
	done execution.Finished
	err  error
}

// newFinisher starts a finisher; close ends it. workers is how many groups may
// be under way at once.
func newFinisher(ctx context.Context, e *Executor, workers int) *finisher {
	f := &finisher{Executor: e, ctx: ctx, in: make(chan finishing)}
	for range min(max(workers, 1), maxFinishers) {
		f.done.Go(f.work)
	}
	return f
}

// finish records one outcome and returns when it is recorded.
func (f *finisher) finish(finish execution.Finish) (execution.Finished, error) {
	answer := make(chan finishAnswer, 1)
	f.in <- finishing{finish: finish, answer: answer}
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

// gather collects what arrives until nothing does for groupWait, or since the
// first for groupWaitMost.
func (f *finisher) gather(first finishing) []finishing {
	group := []finishing{first}
	quiet, most := time.NewTimer(groupWait), time.NewTimer(groupWaitMost)
	defer quiet.Stop()
	defer most.Stop()
	size := answerSize(first)
	for len(group) < groupMost && size < groupBytes {
		select {
		case next, ok := <-f.in:
			if !ok {
				return group
			}
			group = append(group, next)
			size += answerSize(next)
			quiet.Reset(groupWait)
		case <-quiet.C:
			return group
		case <-most.C:
			return group
		}
	}
	return group
}

// answerSize is about how many bytes of an answer are stored.
func answerSize(f finishing) int {
	response := f.finish.Attempt.Response
	if response == nil {
		return 0
	}
	size := len(response.Body)
	for name, values := range response.Headers {
		size += len(name)
		for _, value := range values {
			size += len(value)
		}
	}
	return size
}

// record stores a group. Where the database takes it as a whole amiss, each is
// stored by itself, so that one that cannot be stored costs no other its place.
func (f *finisher) record(group []finishing) {
	finished, err := f.storeGroup(group)
	if err != nil && len(group) > 1 && f.ctx.Err() == nil && !apperr.Is(err, apperr.Unavailable) {
		for i := range group {
			f.record(group[i : i+1])
		}
		return
	}
	var again []execution.Waiting
	for i, one := range group {
		answer := finishAnswer{err: err}
		if err == nil {
			answer.done = finished[i]
			if answer.done.Applied && answer.done.Status == execution.Pending {
				again = append(again, nextAttempt(one.finish))
			}
		}
		one.answer <- answer
	}
	f.sendAgain(again)
}

// storeGroup makes one transaction of the group, and waits for a database that is
// away.
func (f *finisher) storeGroup(group []finishing) ([]execution.Finished, error) {
	batch := make([]execution.Finish, len(group))
	for i, one := range group {
		batch[i] = one.finish
	}
	pause := finishPause
	for try := 1; ; try++ {
		finished, err := f.store.Finish(f.ctx, f.now(), batch)
		if err == nil || try == finishTries || !apperr.Is(err, apperr.Unavailable) {
			return finished, err
		}
		if f.clock.SleepUntil(f.ctx, f.clock.Now().Add(pause)) != nil {
			return nil, err
		}
		pause = min(2*pause, finishPauseMost)
	}
}

// sendAgain sends executions that wait for another attempt. Should it fail, the
// rows are safe: a tick sends them.
func (f *finisher) sendAgain(waiting []execution.Waiting) {
	if len(waiting) == 0 {
		return
	}
	if err := f.dispatch.Dispatch(f.ctx, waiting); err != nil {
		f.log.WarnContext(f.ctx, "retries wait for the next tick", "retries", len(waiting), "err", err)
	}
}
