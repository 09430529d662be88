package executor

import (
	"context"
	"errors"
	"time"
)

// maxCalls is how many calls may be under way at once in one invocation, which
// on Lambda has the process to itself: each holds a socket, and a function has
// about a thousand file descriptors.
const maxCalls = 800

// slotWait is how long rows wait for slots. Behind calls that hang they could
// wait for minutes, and another worker has room.
const slotWait = time.Second

var errFull = errors.New("executor: too many calls are under way")

// slots bound the calls under way. They are taken before rows start, so that a
// row that has to wait for one is not running meanwhile.
type slots struct {
	turn chan struct{} // held by who is taking several
	free chan struct{}
}

func newSlots(n int) *slots {
	s := &slots{turn: make(chan struct{}, 1), free: make(chan struct{}, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// take takes n slots, at most as many as there are, or none and an error where
// the context ends first.
func (s *slots) take(ctx context.Context, n int) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	for taken := range n {
		select {
		case <-s.free:
		case <-ctx.Done():
			s.give(taken)
			return context.Cause(ctx)
		}
	}
	return nil
}

// takeWithin is take, and gives up with errFull.
func (s *slots) takeWithin(ctx context.Context, n int, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errFull)
	defer cancel()
	return s.take(ctx, n)
}

func (s *slots) give(n int) {
	for range n {
		s.free <- struct{}{}
	}
}
