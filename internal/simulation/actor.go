package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// actor is a process, or one invocation of it: a tick, an executor with its
// messages, a person's request.
type actor struct {
	number int
	name   string
	began  int       // the driver's step
	limit  time.Time // its time is over then
	// crashed: from now on nothing that it does has an effect.
	crashed bool
	// faulty: something befell it, so that its work may be taken over.
	faulty bool
	// still: it stood still for so long that its leases may be over.
	still bool
	// frozen actors do not move before this instant.
	frozen time.Time
	// held actors let all others go first until this step.
	held int
	// backlog: it was told that the queue is behind.
	backlog bool
	// stalled is how long it could have moved and did not.
	stalled time.Duration
	// skew is how far its clock is ahead.
	skew time.Duration
	done bool
}

func (a *actor) String() string { return fmt.Sprintf("%s#%d", a.name, a.number) }

// well reports whether it has had the time to do all that it began. What fails in
// its hands because a connection breaks, it can do again.
func (a *actor) well() bool { return !a.crashed && !a.still && time.Until(a.limit) > lastMoments }

// lastMoments are the end of an executor's time, in which it calls no more.
const lastMoments = 20 * time.Second

func (a *actor) now() time.Time { return time.Now().Add(a.skew) }

type actorKey struct{}

func actorOf(ctx context.Context) *actor {
	a, _ := ctx.Value(actorKey{}).(*actor)
	return a
}

var (
	errCrashed = errors.New("simulated: the process is gone")
	errHealed  = errors.New("simulated: the engine has detected a deadlock")
)

// seam is where an actor stops.
type seam int

const (
	atStatement seam = iota // outside of a transaction, or its first, or any
	atCommit
	atSend
	atCall
	atAnswer
	atWake
	atLock // a statement that met a lock
)

// point is one stop of an actor.
type point struct {
	seam  seam
	label string
	query string // of a statement
	// key orders points of one actor, so that the order of goroutines does not
	// matter.
	key string
	// holds is where the statement's transaction has run others, whose locks it
	// holds.
	holds bool
}

// verdict is what the driver lets come of a step.
type verdict struct {
	err error // nil: all goes well
	// after: the error comes after the effect, which the actor cannot know.
	after bool
	crash bool
	// statement is the statement of the transaction, counted from 1, that meets
	// the fault; 0 is the very step. Beyond the last it is the commit.
	statement int
	// chosen decides what is left to the seam.
	chosen uint64
}

// parked is a goroutine of an actor that waits to go on.
type parked struct {
	*actor
	point
	resume chan verdict
	// ended is how many transactions had ended when it met a lock.
	ended int
}

// pass stops at a seam until the driver says how it goes on.
func (s *simulation) pass(ctx context.Context, p point) verdict {
	a := actorOf(ctx)
	if a == nil {
		return verdict{}
	}
	s.mu.Lock()
	if err := ctx.Err(); err != nil {
		a.faulty = true // its time is over
		s.mu.Unlock()
		return verdict{err: err}
	}
	if a.crashed {
		s.mu.Unlock()
		return verdict{err: errCrashed, crash: true}
	}
	w := &parked{actor: a, point: p, resume: make(chan verdict, 1), ended: s.ended}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case v := <-w.resume:
		return v
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting = slices.DeleteFunc(s.waiting, func(other *parked) bool { return other == w })
		a.faulty = true
		return verdict{err: ctx.Err()}
	}
}

// start lets an actor begin.
func (s *simulation) start(ctx context.Context, name string, limit time.Duration, act func(context.Context, *actor), end func(*actor)) *actor {
	s.mu.Lock()
	s.number++
	a := &actor{number: s.number, name: name, began: s.step, limit: time.Now().Add(limit)}
	s.actors = append(s.actors, a)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, actorKey{}, a), limit)
	go func() {
		defer cancel()
		act(ctx, a)
		s.mu.Lock()
		defer s.mu.Unlock()
		a.done = true
		if a.crashed {
			s.note("%s is gone", a)
		}
		if end != nil {
			end(a)
		}
	}()
	return a
}

// crash ends an actor's effects.
func (s *simulation) crash(a *actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.crashed, a.faulty = true, true
}

// movable lists who could go on, in an order that a seed repeats.
func (s *simulation) movable() []*parked {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var all, held []*parked
	for _, w := range s.waiting {
		switch {
		case w.frozen.After(now) || w.seam == atLock && w.ended == s.ended:
		case w.held > s.step:
			held = append(held, w)
		default:
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		all = held
	}
	slices.SortStableFunc(all, func(a, b *parked) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.seam, b.seam), cmp.Compare(a.key, b.key))
	})
	return all
}

// release lets one go on.
func (s *simulation) release(w *parked, v verdict) {
	s.mu.Lock()
	s.waiting = slices.DeleteFunc(s.waiting, func(other *parked) bool { return other == w })
	if v.err != nil {
		w.faulty = true
	}
	s.mu.Unlock()
	w.resume <- v
}

// alive is how many actors are under way.
func (s *simulation) alive() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actors = slices.DeleteFunc(s.actors, func(a *actor) bool { return a.done })
	return len(s.actors)
}

// checkHanging looks for actors that neither end nor come to a seam.
func (s *simulation) checkHanging() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.actors {
		stopped := slices.ContainsFunc(s.waiting, func(w *parked) bool { return w.actor == a })
		if late := time.Since(a.limit); !a.done && !stopped && late > 2*time.Minute {
			s.find("hangs", "%s is under way %s after its time was over", a, late)
		}
	}
}
