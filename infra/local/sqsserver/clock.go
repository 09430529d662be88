package sqsserver

import (
	"container/heap"
	"sync"
	"time"
)

// Clock is the time a Server lives in.
type Clock interface {
	// Now returns the current instant.
	Now() time.Time
	// AfterFunc calls f once d has passed, and returns what cancels it. f must
	// not be called from within AfterFunc.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// ManualClock is a Clock that moves only when it is told to.
type ManualClock struct {
	mu     sync.Mutex
	now    time.Time
	alarms alarmHeap
	count  int
}

// NewManualClock returns a clock that stands at start.
func NewManualClock(start time.Time) *ManualClock { return &ManualClock{now: start} }

// Now returns the instant at which the clock stands.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc calls f from the Advance that reaches now+d.
func (c *ManualClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	ring := &alarm{at: c.now.Add(d), order: c.count, f: f}
	heap.Push(&c.alarms, ring)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		active := ring.f != nil
		ring.f = nil
		return active
	}
}

// Advance moves the clock by d and runs, in order of time, what falls due on
// the way, each with the clock standing at its instant.
func (c *ManualClock) Advance(d time.Duration) {
	c.mu.Lock()
	target := c.now.Add(d)
	for len(c.alarms) > 0 && !c.alarms[0].at.After(target) {
		ring := heap.Pop(&c.alarms).(*alarm)
		f := ring.f
		ring.f = nil
		if f == nil {
			continue
		}
		if ring.at.After(c.now) {
			c.now = ring.at
		}
		c.mu.Unlock()
		f()
		c.mu.Lock()
	}
	c.now = target
	c.mu.Unlock()
}

type alarm struct {
	at    time.Time
	order int // equal instants ring in the order in which they were set
	f     func()
}

type alarmHeap []*alarm

func (h alarmHeap) Len() int { return len(h) }

func (h alarmHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}

func (h alarmHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *alarmHeap) Push(x any) { *h = append(*h, x.(*alarm)) }

func (h *alarmHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
