// Package executor makes the calls: a message wakes it for executions of one
// instant, it waits for that instant, starts the rows, makes their calls side
// by side, and records how each ended.
//
// A target's failure is a recorded result. Only our own failures, of the
// database, are reported to the queue, which then delivers the message again.
package executor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// The times that the executor turns on.
const (
	// earlyLimit is how early a message may be and still be waited for; one
	// that is earlier goes back to the queue.
	earlyLimit = 5 * time.Second
	// startAhead is how long before their instant rows become running. A pause
	// or an edit inside this time comes too late for that instant.
	startAhead = 250 * time.Millisecond
	// prepareAhead is how long before their instant connections are made.
	prepareAhead = time.Second
	// stopBefore is how long before the invocation's deadline calls that still
	// run are cancelled and recorded.
	stopBefore = 15 * time.Second
	// How long a database that is away is waited for before rows start: about
	// two minutes.
	awayTries     = 65
	awayPause     = 100 * time.Millisecond
	awayPauseMost = 2 * time.Second
	// recordBefore is how long before the deadline recording itself gives up,
	// so that the invocation can still answer.
	recordBefore = time.Second
)

// Work is an execution as the executor needs it: the row as it was read, and
// the request of its revision.
type Work struct {
	ID           int64
	JobID        int64
	JobName      string
	CategoryID   int64
	Trigger      execution.Trigger
	ScheduledFor time.Time
	NotBefore    time.Time
	Attempt      int
	Revision     int
	Lane         execution.Lane // slow where the execution's or its job's is
	StartedAt    *time.Time     // start of the first attempt, nil before it
	Request      job.Request
	// Vault holds the workspace's secrets that the request names, by name; one
	// that does not exist is not in it.
	Vault map[string]VaultSecret
	// SealedKeys are the signing keys as they are stored; nil: there are none.
	SealedKeys []byte
	// SigningKeys sign the request, those that still do; nil: it is not signed.
	SigningKeys []job.SigningKey
	// Broken is why the stored request cannot be read; nil normally. Such an
	// execution fails without a call.
	Broken error
}

// Ticket is one worker's claim to some works. It is the same in every try to
// start them, so that what an earlier try has started, and could not tell, is
// known for its own.
type Ticket struct {
	// Token is random. A running row that bears it was started with this ticket,
	// and nobody has called it but who holds the ticket.
	Token [16]byte
	// Again: an earlier try ended in an error. It may have started some.
	Again bool
}

// newTicket makes a ticket that nobody else has.
func newTicket() (t Ticket) {
	_, _ = rand.Read(t.Token[:]) // crypto/rand never fails
	return t
}

// Started is what became of one Work in Start.
type Started struct {
	// Fence is the number of this start; 0 where the row did not start: it is
	// a duplicate, was cancelled, or was skipped.
	Fence int
	// Skipped says that the row ended as skipped, and why.
	Skipped string
}

// Store is the database as this package needs it. Every method is one
// transaction.
type Store interface {
	// Load reads the named executions that still wait for that attempt.
	Load(ctx context.Context, refs []execution.Ref) ([]Work, error)
	// Start makes waiting rows running, each only if it is as it was read and
	// its instant has come. The answer holds a Started for each work; beside
	// an error it may be empty, or tell of some. What became of the others is not
	// known then: the same ticket, Again, brings what has started after all.
	Start(ctx context.Context, now time.Time, ticket Ticket, works []Work) ([]Started, error)
	// Finish applies transitions; see execution.Finish.
	Finish(ctx context.Context, now time.Time, batch []execution.Finish) ([]execution.Finished, error)
	// MarkSlow sends jobs' later executions the slow way.
	MarkSlow(ctx context.Context, jobIDs []int64) error
}

// Dispatcher brings waiting executions to a worker at their time.
type Dispatcher interface {
	Dispatch(ctx context.Context, waiting []execution.Waiting) error
}

// Clock is the time and a way to wait for it.
type Clock interface {
	Now() time.Time
	// SleepUntil returns at the instant or just after, never before; or with
	// the context's error, even where the instant has passed already.
	SleepUntil(ctx context.Context, at time.Time) error
}

// Preparer is a Caller that can do something ahead of its calls. Prepare
// returns when its context ends, at the latest.
type Preparer interface {
	Prepare(ctx context.Context, works []Work)
}

// Executor runs messages. It is safe for concurrent use.
type Executor struct {
	store    Store
	dispatch Dispatcher
	caller   Caller
	clock    Clock
	log      *slog.Logger
}

// Caller makes one call and never fails: what goes wrong is in the attempt.
type Caller interface {
	Call(ctx context.Context, call Call) (execution.Attempt, time.Duration)
}

// New makes an executor over its collaborators.
func New(store Store, dispatch Dispatcher, caller Caller, clock Clock, log *slog.Logger) *Executor {
	return &Executor{store: store, dispatch: dispatch, caller: caller, clock: clock, log: log}
}

// Run handles the message bodies of one invocation, side by side, and answers
// an error for each: nil where the message is done with. Nothing that it
// started is under way any more when it returns: a goroutine that outlived the
// invocation would be frozen with it, and go on minutes later.
func (e *Executor) Run(ctx context.Context, bodies []string) []error {
	return e.RunFrom(ctx, nil, bodies)
}

// RunFrom is Run for messages of an inbox, of which it receives more where it is
// held by slow calls.
func (e *Executor) RunFrom(ctx context.Context, inbox Inbox, bodies []string) []error {
	callCtx, cancelCalls := beforeDeadline(ctx, ctx, stopBefore)
	defer cancelCalls()
	// What was started is recorded even while the worker is being stopped.
	recordCtx, cancelRecords := beforeDeadline(context.WithoutCancel(ctx), ctx, recordBefore)
	defer cancelRecords()

	workers := len(bodies)
	if inbox != nil {
		workers = maxFinishers
	}
	r := &run{
		Executor: e, calls: callCtx, records: recordCtx,
		finisher: newFinisher(recordCtx, e, workers), slots: newSlots(maxCalls), laggards: watchLaggards(recordCtx, e),
		load: &load{},
	}
	errs := make([]error, len(bodies))
	traces, _ := ctx.Value(tracesKey{}).([]string)
	var all sync.WaitGroup
	for _, p := range r.pack(bodies, func(i int) string {
		if i < len(traces) {
			return traces[i]
		}
		return ""
	}) {
		coming := r.load.expect(len(p.chunk.Executions))
		all.Go(func() {
			for i, err := range r.carry(p, coming) {
				errs[p.messages[i]] = err
			}
		})
	}
	if inbox != nil {
		own := make(chan struct{})
		go func() { all.Wait(); close(own) }()
		r.takeOver(inbox, own)
	}
	all.Wait()
	r.laggards.close()
	r.finisher.close()
	return errs
}

type tracesKey struct{}

// WithTraces returns a context for Run by which what is done for each message
// bears the trace header that came with it; "" where none did.
func WithTraces(ctx context.Context, headers []string) context.Context {
	return context.WithValue(ctx, tracesKey{}, headers)
}

// beforeDeadline ends parent some time before the deadline of ctx, if it has
// one.
func beforeDeadline(parent, ctx context.Context, early time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(parent)
	}
	return context.WithDeadlineCause(parent, deadline.Add(-early), errStopping)
}

// run is one invocation.
type run struct {
	*Executor
	calls    context.Context // ends when calls must
	records  context.Context // outlasts it, for what was started must be recorded
	finisher *finisher
	slots    *slots
	laggards *laggards
	load     *load
	coming   *coming // of one parcel
	parcel   *parcel
	// takenOver: it was received when the invocation was under way already.
	takenOver bool
}

// chunk does what a message asks for.
func (r *run) chunk(chunk execution.Chunk, coming *coming) error {
	defer coming.none()
	r.coming = coming
	var works []Work
	err := r.whileAway(func() (err error) {
		works, err = r.store.Load(r.calls, chunk.Executions)
		return err
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if chunk.At.Sub(r.clock.Now()) > earlyLimit {
		return r.sendOn(works)
	}
	// A message may have been sent long before its job was found to be slow. Its
	// calls would hold workers that quick ones need.
	works, astray := divide(works, func(w Work) bool { return chunk.Lane == execution.Slow || w.Lane != execution.Slow })
	if r.takenOver {
		var late []Work
		if works, late = divide(works, func(w Work) bool { return r.fits(w, chunk.At) }); len(late) > 0 {
			// For a worker that has more time.
			r.load.ending.Store(true)
			astray = append(astray, late...)
		}
	}
	coming.less(len(chunk.Executions) - len(works))
	var all sync.WaitGroup
	var astrayErr, freeErr, exclusiveErr error
	// Beside the others, which a queue that is slow to answer must not make late.
	all.Go(func() { astrayErr = r.sendOn(astray) })
	if len(works) > 0 {
		r.prepare(chunk.At, works)
	}
	exclusive, free := divide(works, func(w Work) bool { return w.Request.OverlapPolicy == job.OverlapSkip })
	// Rows are taken just ahead, so that at the instant itself nothing is left
	// to do but to call. Those that must not overlap are taken at the instant:
	// the run before may end until then.
	all.Go(func() { freeErr = r.startAndCall(free, chunk.At.Add(-startAhead), chunk.At) })
	all.Go(func() { exclusiveErr = r.startAndCall(exclusive, chunk.At, chunk.At) })
	all.Wait()
	return errors.Join(astrayErr, freeErr, exclusiveErr)
}

// whileAway tries again while the database is away: a message that is given back
// to the queue is hidden there for much longer.
func (r *run) whileAway(do func() error) error {
	for try, pause := 1, awayPause; ; try++ {
		err := do()
		if err == nil || try == awayTries || !apperr.Is(err, apperr.Unavailable) {
			return err
		}
		if r.clock.SleepUntil(r.calls, r.clock.Now().Add(pause)) != nil {
			return err
		}
		pause = min(2*pause, awayPauseMost)
	}
}

// divide tells works that are of a kind from the others.
func divide(works []Work, is func(Work) bool) (those, others []Work) {
	for _, w := range works {
		if is(w) {
			those = append(those, w)
		} else {
			others = append(others, w)
		}
	}
	return those, others
}

// startAndCall starts works at one time and calls them at their instant.
func (r *run) startAndCall(works []Work, startAt, at time.Time) error {
	if len(works) == 0 {
		return nil
	}
	// With no time left for calls nothing starts: another worker has it.
	if err := r.clock.SleepUntil(r.calls, startAt); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	err := r.slots.takeWithin(r.calls, len(works), slotWait)
	r.coming.less(len(works))
	if errors.Is(err, errFull) {
		return r.sendOn(works) // for a worker that has room
	}
	if err != nil {
		return fmt.Errorf("wait for other calls: %w", err)
	}
	var calls sync.WaitGroup
	ticket, open := newTicket(), works
	err = r.whileAway(func() error {
		started, err := r.store.Start(r.records, latest(r.now(), at), ticket, open)
		ticket.Again = true
		var running []beginning
		running, open = r.sortStarted(open, started, err)
		// What has started is called at its instant, even where others could not
		// start. Where calls must end before it comes, they are made, fail as
		// cancelled, and are recorded so.
		calls.Go(func() {
			_ = r.clock.SleepUntil(r.calls, at)
			r.callAll(running)
		})
		return err
	})
	r.slots.give(len(open))
	calls.Wait()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// beginning is a work that has started, under a fence.
type beginning struct {
	Work
	fence int
}

// sortStarted tells works that have started from those of which nothing is known
// for an error. Slots of the others are free again at once: calls that hang must
// not hold them too.
func (r *run) sortStarted(works []Work, started []Started, err error) (running []beginning, open []Work) {
	idle := 0
	for i, w := range works {
		var one Started
		if i < len(started) {
			one = started[i]
		}
		switch {
		case one.Fence != 0:
			running = append(running, beginning{w, one.Fence})
			continue
		case one.Skipped != "":
			r.reportSkipped(r.tracing(w), w, one.Skipped)
		case err != nil:
			open = append(open, w)
			continue
		}
		idle++
	}
	r.slots.give(idle)
	return running, open
}

// prepare lets the caller make its connections before the instant, where there
// is time for it, and no longer than that: one target that hangs must not make
// the others of its message late.
func (r *run) prepare(at time.Time, works []Work) {
	preparer, ok := r.caller.(Preparer)
	if !ok || r.clock.SleepUntil(r.calls, at.Add(-prepareAhead)) != nil {
		return
	}
	left := at.Add(-startAhead).Sub(r.clock.Now())
	if left <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(r.calls, left)
	defer cancel()
	preparer.Prepare(ctx, works)
}

// sendOn sends executions to their lane with the right delay, for another
// worker.
func (r *run) sendOn(works []Work) error {
	if len(works) == 0 {
		return nil
	}
	waiting := make([]execution.Waiting, len(works))
	for i, w := range works {
		waiting[i] = execution.Waiting{ID: w.ID, Attempt: w.Attempt, NotBefore: w.NotBefore, Lane: w.Lane, Host: hostOf(w.Request.URL)}
	}
	if err := r.dispatch.Dispatch(r.calls, waiting); err != nil {
		return fmt.Errorf("send on: %w", err)
	}
	return nil
}

// callAll makes the calls of started works, side by side, and records them.
func (r *run) callAll(running []beginning) {
	var all sync.WaitGroup
	for _, one := range running {
		all.Go(func() {
			if err := r.callOne(one.Work, one.fence); err != nil {
				r.parcel.cannotRecord(one.ID, err)
			}
		})
	}
	all.Wait()
}

// call makes the call, or says why it cannot be made.
func (r *run) call(work Work) (execution.Attempt, time.Duration) {
	if work.Broken == nil {
		r.laggards.begin(work)
		defer r.laggards.end(work)
		return r.caller.Call(r.tracing(work), Call{Work: work})
	}
	r.log.ErrorContext(r.tracing(work), "a stored request cannot be read", "executionId", work.ID, "jobId", work.JobID, "err", work.Broken)
	now := r.now()
	return execution.Attempt{StartedAt: now, EndedAt: now, Failure: brokenFailure(work.Broken)}, 0
}

func (r *run) callOne(work Work, fence int) error {
	attempt, retryAfter := r.call(work)
	r.slots.give(1)
	attempt.ExecutionID, attempt.Attempt, attempt.Fence = work.ID, work.Attempt, fence
	finish := decide(work, fence, attempt, retryAfter)
	done, err := r.finisher.finish(finish)
	if err != nil {
		// The row stays running until its lease ends, and is recovered then.
		return fmt.Errorf("finish: %w", err)
	}
	r.report(r.tracing(work), work, finish, done)
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// now is the present, as it can be stored.
func (e *Executor) now() time.Time { return e.clock.Now().UTC().Truncate(time.Millisecond) }
