package sqspoller

import (
	"context"
	"math"
	"sync"
	"time"
)

const (
	// rampStart and rampStep are those of a standard mapping: five invocations
	// at first, 300 more a minute.
	rampStart    = 5
	rampStep     = 5
	rampInterval = time.Second
	// rampIdle is how long no invocation may run until the ramp starts anew.
	rampIdle = 10 * time.Second
)

// slots limits how many receivers and invocations there are together. A
// receiver takes a slot and, when it receives something, passes it on to the
// invocation.
type slots struct {
	mu      sync.Mutex
	limit   int // at the moment
	ceiling int // at any time
	taken   int
	running int       // how many of those taken are invocations
	idleAt  time.Time // when running last fell to zero
	ramps   bool
	full    chan struct{} // of capacity 1: invocations have filled the limit
	freed   chan struct{} // closed and replaced when a slot may be free
}

func newSlots(ceiling int, ramp bool) *slots {
	if ceiling == 0 {
		ceiling = math.MaxInt
	}
	s := &slots{limit: ceiling, ceiling: ceiling, ramps: ramp, full: make(chan struct{}, 1), freed: make(chan struct{})}
	if ramp {
		s.limit = min(rampStart, ceiling)
	}
	return s
}

// acquire takes a slot, waiting for one; false means that ctx ended first.
func (s *slots) acquire(ctx context.Context) bool {
	for {
		s.mu.Lock()
		if ctx.Err() != nil {
			s.mu.Unlock()
			return false
		}
		if s.taken < s.limit {
			s.taken++
			s.mu.Unlock()
			return true
		}
		freed := s.freed
		s.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
		}
	}
}

// release gives back the slot of a receiver that received nothing.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.wake()
}

// begin makes a receiver's slot an invocation's.
func (s *slots) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ramps && s.running == 0 && time.Since(s.idleAt) >= rampIdle {
		// No more than rampStart slots are taken now, for only receivers hold
		// any, and there are no more of those.
		s.limit = min(rampStart, s.ceiling)
	}
	s.running++
	if s.running >= s.limit {
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// end gives back the slot of an invocation.
func (s *slots) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.taken--
	if s.running == 0 {
		s.idleAt = time.Now()
	}
	s.wake()
}

// wake lets those that wait look again. The caller holds s.mu.
func (s *slots) wake() {
	close(s.freed)
	s.freed = make(chan struct{})
}

// ramp raises the limit until ctx ends: by a step, one interval after
// invocations have filled it, and again while they do.
func (s *slots) ramp(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.full:
		}
		if !pause(ctx, rampInterval) {
			return
		}
		s.raise()
	}
}

func (s *slots) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = min(s.limit+rampStep, s.ceiling)
	select {
	case <-s.full: // the limit that was full is no longer the limit
	default:
	}
	s.wake()
}
