package executor

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
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
	// Done takes messages out of the queue, at most as many as were received at
	// once. One that stays there comes again, and finds nothing to do.
	Done(ctx context.Context, receipts []string) error
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
			for _, t := range taken {
				open++
				go func() {
					r.handle(inbox, t)
					ended <- struct{}{}
				}()
			}
			if len(taken) == 0 {
				break
			}
		}
	}
}

// taken is a parcel of messages that were received.
type taken struct {
	*parcel
	*coming
	receipts []string
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
	bodies, strange := make([]string, len(received)), make([]string, len(received))
	for i, d := range received {
		bodies[i], strange[i] = d.Body, d.Receipt
	}
	var all []taken
	for _, p := range r.pack(bodies, func(i int) string { return received[i].Trace }) {
		t := taken{parcel: p, coming: r.load.expect(len(p.chunk.Executions))}
		for _, i := range p.messages {
			t.receipts = append(t.receipts, received[i].Receipt)
			strange[i] = ""
		}
		all = append(all, t)
	}
	r.done(inbox, slices.DeleteFunc(strange, func(receipt string) bool { return receipt == "" }))
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
	var done []string
	for i, err := range of.carry(t.parcel, t.coming) {
		if err == nil {
			done = append(done, t.receipts[i])
			continue
		}
		// As the mapping's: it comes again by itself.
		r.log.ErrorContext(r.calls, "a message is left to the queue", "err", err)
	}
	r.done(inbox, done)
}

func (r *run) done(inbox Inbox, receipts []string) {
	if len(receipts) == 0 {
		return
	}
	if err := inbox.Done(r.records, receipts); err != nil {
		r.log.WarnContext(r.records, "messages that are done with stay in the queue", "messages", len(receipts), "err", err)
	}
}

// fits reports whether a call has its whole timeout before the invocation ends.
func (r *run) fits(w Work, at time.Time) bool {
	deadline, ok := r.calls.Deadline()
	return !ok || !latest(r.clock.Now(), at).Add(w.Request.Timeout).After(deadline)
}
