package executor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// lookEvery is how often an invocation looks for calls that hang, and markTime
// how long it may take to note them: meanwhile outcomes wait for the same few
// connections.
const (
	lookEvery = time.Second
	markTime  = time.Second
)

// laggards watches an invocation's calls of the fast lane and makes the jobs of
// those that hang slow while they still do: their next executions would take
// the same workers from the others, and the call may hang for minutes.
type laggards struct {
	*Executor
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	calls map[int64]laggard // by execution
	// under are the calls under way, of both lanes.
	under map[int64]time.Time
}

type laggard struct {
	job   int64
	since time.Time
}

// watchLaggards starts watching; close ends it.
func watchLaggards(ctx context.Context, e *Executor) *laggards {
	l := &laggards{Executor: e, calls: map[int64]laggard{}, under: map[int64]time.Time{}}
	l.ctx, l.stop = context.WithCancel(ctx)
	l.done.Go(l.watch)
	return l
}

// begin notes that a call begins, and end that it has ended.
func (l *laggards) begin(work Work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.under[work.ID] = l.clock.Now()
	if work.Lane == execution.Slow {
		return
	}
	l.calls[work.ID] = laggard{job: work.JobID, since: l.clock.Now()}
}

func (l *laggards) end(work Work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, work.ID)
	delete(l.under, work.ID)
}

// hold reports whether a call has been under way for so long that it holds the
// invocation.
func (l *laggards) hold() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, since := range l.under {
		if l.clock.Now().Sub(since) > heldAfter {
			return true
		}
	}
	return false
}

func (l *laggards) close() {
	l.stop()
	l.done.Wait()
}

func (l *laggards) watch() {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-look.C:
			l.mark(l.take())
		}
	}
}

func (l *laggards) mark(jobs []int64) {
	if len(jobs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, markTime)
	defer cancel()
	if err := l.store.MarkSlow(ctx, jobs); err != nil && l.ctx.Err() == nil {
		// The end of the call marks them too.
		l.log.WarnContext(l.ctx, "jobs whose calls hang could not be marked as slow", "jobs", len(jobs), "err", err)
	}
}

// take picks the jobs of calls that hang, each call once.
func (l *laggards) take() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var jobs []int64
	for id, call := range l.calls {
		if l.clock.Now().Sub(call.since) > execution.VerySlowCall {
			jobs = append(jobs, call.job)
			delete(l.calls, id)
		}
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}
