package executor

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// An invocation ends with its longest call, and until then has one of the few
// places at a time that the queue's mapping gives out. One that a slow call holds
// therefore receives more messages by itself: however many targets hang, a held
// place is not lost to its lane.
const (
	// heldAfter is how long a call may take before it counts as holding its
	// invocation, and heldLook how often that is looked at.
	heldAfter = time.Second
	heldLook  = 100 * time.Millisecond
	// takeMost is the most messages received at a time.
	takeMost = 10
	// takePause follows an inbox that fails.
	takePause = time.Second
)

// Delivery is a message as an Inbox hands it over.
type Delivery struct {
	Body    string
	Trace   string // its trace header; "" where it has none
	Receipt string // by which Done knows it
}

// Inbox is the queue that an invocation's messages came from.
type Inbox interface {
	// Receive waits a moment for messages, and answers at most so many.
	Receive(ctx context.Context, most int) ([]Delivery, error)
	// Done takes a message out of the queue. One that stays there comes again,
	// and finds nothing to do.
	Done(ctx context.Context, receipt string) error
}

// load is what an invocation has in hand beside the calls under way.
type load struct {
	coming atomic.Int64 // executions whose calls have not begun
	ending atomic.Bool  // there is not enough time left for calls to come
}

// coming is a message's part of its invocation's load.
type coming struct {
	load *load
	left atomic.Int64
}

func (l *load) expect(executions int) *coming {
	c := &coming{load: l}
	c.left.Store(int64(executions))
	l.coming.Add(int64(executions))
	return c
}

// less says that so many executions have their places for calls, or need none.
func (c *coming) less(executions int) {
	c.left.Add(-int64(executions))
	c.load.coming.Add(-int64(executions))
}

func (c *coming) none() { c.less(int(c.left.Load())) }

// takeOver receives messages while a call holds the invocation. It returns when
// what the invocation came with, which closes own at its end, and what was
// received here have ended.
func (r *run) takeOver(inbox Inbox, own <-chan struct{}) {
	ended := make(chan struct{})
	look := time.NewTicker(heldLook)
	defer look.Stop()
	for open := 0; own != nil || open > 0; {
		select {
		case <-own:
			own = nil
			continue
		case <-ended:
			open--
			continue
		case <-look.C:
		}
		for {
			taken := r.receive(inbox)
			for _, d := range taken {
				open++
				go func() {
					r.handle(inbox, d)
					ended <- struct{}{}
				}()
			}
			if len(taken) == 0 {
				break
			}
		}
	}
}

// taken is a message that was received.
type taken struct {
	Delivery
	chunk execution.Chunk
	*coming
}

// receive answers what there is, where the invocation is held and has room.
func (r *run) receive(inbox Inbox) []taken {
	most := r.room()
	if most == 0 || !r.laggards.hold() {
		return nil
	}
	received, err := inbox.Receive(r.calls, most)
	if err != nil {
		if r.calls.Err() == nil {
			r.log.WarnContext(r.calls, "a held invocation could not receive messages", "err", err)
			_ = r.clock.SleepUntil(r.calls, r.clock.Now().Add(takePause))
		}
		return nil
	}
	all := make([]taken, 0, len(received))
	for _, d := range received {
		chunk, err := execution.ParseChunk(d.Body)
		if err != nil {
			r.log.ErrorContext(r.calls, "a message is not ours; it is dropped", "err", err)
			r.done(inbox, d)
			continue
		}
		all = append(all, taken{d, chunk, r.load.expect(len(chunk.Executions))})
	}
	return all
}

// room is how many messages of any size there is room for.
func (r *run) room() int {
	if r.load.ending.Load() || r.calls.Err() != nil {
		return 0
	}
	free := len(r.slots.free) - int(r.load.coming.Load())
	return min(max(free, 0)/execution.MaxChunk, takeMost)
}

func (r *run) handle(inbox Inbox, t taken) {
	of := *r
	of.takenOver = true
	if t.Trace != "" {
		of.calls = telemetry.WithTrace(r.calls, t.Trace)
	}
	if err := of.chunk(t.chunk, t.coming); err != nil {
		// As for the mapping: it comes again by itself.
		r.log.ErrorContext(of.calls, "a message is left to the queue", "err", err)
		return
	}
	r.done(inbox, t.Delivery)
}

func (r *run) done(inbox Inbox, d Delivery) {
	if err := inbox.Done(r.records, d.Receipt); err != nil {
		r.log.WarnContext(r.records, "a message that is done with stays in the queue", "err", err)
	}
}

// fits reports whether a call has its whole timeout before the invocation ends.
func (r *run) fits(w Work, at time.Time) bool {
	deadline, ok := r.calls.Deadline()
	return !ok || !latest(r.clock.Now(), at).Add(w.Request.Timeout).After(deadline)
}
