package sqsserver

import (
	"container/heap"
	"container/list"
	"time"
)

// message is what was sent. Copies and redrives share it; it never changes.
type message struct {
	id               string
	body             string
	bodyMD5          string
	attributes       map[string]attributeValue
	systemAttributes map[string]attributeValue
	sentAt           time.Time
}

type state int

const (
	delayed state = iota
	visible
	inFlight
	states
)

// entry is one delivery of a message in one queue.
type entry struct {
	*message
	number    uint64
	state     state
	visibleAt time.Time

	position int           // in queue.waiting, while delayed or in flight
	element  *list.Element // in queue.ready, while visible

	receipt         uint64 // the only receipt that deletes it: that of the last receive
	receives        int
	firstReceivedAt time.Time
	receivedAt      time.Time
	sourceARN       string // the queue that it was redriven from
	carried         int    // the receives that it brought along from there
}

// delivery is a copy of what a receive hands out, made while the lock is held.
type delivery struct {
	*message
	entry           *entry
	receipt         uint64
	receives        int
	firstReceivedAt time.Time
	sourceARN       string
}

// poll is a receive that waits for messages.
type poll struct {
	limit      int
	visibility time.Duration
	deliveries chan []delivery // of capacity 1, so that serving never blocks
	element    *list.Element   // nil once served
}

// queue holds entries: those that wait for an instant in a heap, those that
// can be received in a list by the order in which they became visible. The
// server's mutex guards it.
type queue struct {
	server *Server
	name   string
	settings
	createdAt, modifiedAt, purgedAt time.Time

	entries map[uint64]*entry
	waiting entryHeap
	ready   *list.List
	polls   *list.List
	counts  [states]int

	stopAlarm func() bool
	alarmAt   time.Time
}

func newQueue(server *Server, name string, settings settings, now time.Time) *queue {
	return &queue{
		server: server, name: name, settings: settings, createdAt: now, modifiedAt: now,
		entries: make(map[uint64]*entry), ready: list.New(), polls: list.New(),
	}
}

// send adds a message that becomes visible after delay.
func (q *queue) send(m *message, delay time.Duration, now time.Time) {
	e := &entry{message: m, number: q.server.nextSequence()}
	q.entries[e.number] = e
	if delay > 0 {
		q.hide(e, delayed, now.Add(delay))
	} else {
		q.show(e)
	}
}

// show puts an entry that is in neither container at the end of the ready list.
func (q *queue) show(e *entry) {
	e.state = visible
	e.element = q.ready.PushBack(e)
	q.counts[visible]++
}

// hide puts an entry that is in neither container among the waiting ones.
func (q *queue) hide(e *entry, as state, until time.Time) {
	e.state, e.visibleAt = as, until
	heap.Push(&q.waiting, e)
	q.counts[as]++
}

// take removes an entry from its container; it stays in entries.
func (q *queue) take(e *entry) {
	q.counts[e.state]--
	if e.state == visible {
		q.ready.Remove(e.element)
		e.element = nil
		return
	}
	heap.Remove(&q.waiting, e.position)
}

// remove forgets an entry.
func (q *queue) remove(e *entry) {
	q.take(e)
	delete(q.entries, e.number)
}

// settle shows every entry whose instant has come.
func (q *queue) settle(now time.Time) {
	for len(q.waiting) > 0 && !q.waiting[0].visibleAt.After(now) {
		e := q.waiting[0]
		q.take(e)
		q.show(e)
	}
}

// receive hands out up to limit visible messages and hides them. What has been
// received too often moves to the dead-letter queue instead, and what is too
// old is dropped.
func (q *queue) receive(limit int, visibility time.Duration, now time.Time) []delivery {
	var deliveries []delivery
	for len(deliveries) < limit && q.ready.Len() > 0 && q.counts[inFlight] < maxInFlight {
		e := q.ready.Front().Value.(*entry)
		if now.Sub(e.sentAt) > q.retention {
			q.remove(e)
			continue
		}
		if q.redrive(e, now) {
			continue
		}
		q.take(e)
		e.receipt = q.server.nextSequence()
		e.receives++
		e.receivedAt = now
		if e.receives == 1 {
			e.firstReceivedAt = now
		}
		q.hide(e, inFlight, now.Add(visibility))
		deliveries = append(deliveries, delivery{
			message: e.message, entry: e, receipt: e.receipt, receives: e.receives,
			firstReceivedAt: e.firstReceivedAt, sourceARN: e.sourceARN,
		})
	}
	return deliveries
}

// redrive moves an entry that was received maxReceiveCount times to the
// dead-letter queue and reports whether it did.
func (q *queue) redrive(e *entry, now time.Time) bool {
	if q.deadLetterQueue == "" || e.receives-e.carried < q.maxReceiveCount {
		return false
	}
	dead, ok := q.server.queues[q.deadLetterQueue]
	if !ok {
		return false
	}
	q.remove(e)
	moved := &entry{
		message: e.message, number: q.server.nextSequence(), receives: e.receives, carried: e.receives,
		firstReceivedAt: e.firstReceivedAt, sourceARN: q.server.QueueARN(q.name),
	}
	dead.entries[moved.number] = moved
	dead.show(moved)
	dead.serve(now)
	return true
}

// giveBack undoes a receive whose receiver is gone.
func (q *queue) giveBack(deliveries []delivery, now time.Time) {
	for _, d := range deliveries {
		e := d.entry
		if q.entries[e.number] != e || e.receipt != d.receipt || e.state != inFlight {
			continue
		}
		q.take(e)
		e.receives--
		q.show(e)
	}
	q.serve(now)
}

// serve gives visible messages to the polls that wait, oldest poll first, and
// sets the alarm for the next entry to become visible.
func (q *queue) serve(now time.Time) {
	q.settle(now)
	for q.polls.Len() > 0 && q.ready.Len() > 0 {
		p := q.polls.Front().Value.(*poll)
		deliveries := q.receive(p.limit, p.visibility, now)
		if len(deliveries) == 0 {
			break
		}
		q.leave(p)
		p.deliveries <- deliveries
	}
	q.setAlarm(now)
}

// join adds a poll that waits.
func (q *queue) join(p *poll, now time.Time) {
	p.element = q.polls.PushBack(p)
	q.setAlarm(now)
}

// leave removes a poll, served or not.
func (q *queue) leave(p *poll) {
	q.polls.Remove(p.element)
	p.element = nil
}

// setAlarm arranges that serve runs the moment the next entry becomes visible.
// Nobody waiting, nobody needs to be woken: the next receive settles.
func (q *queue) setAlarm(now time.Time) {
	wanted := q.polls.Len() > 0 && len(q.waiting) > 0
	if q.stopAlarm != nil {
		if wanted && q.alarmAt.Equal(q.waiting[0].visibleAt) {
			return
		}
		q.stopAlarm()
		q.stopAlarm = nil
	}
	if !wanted {
		return
	}
	at := q.waiting[0].visibleAt
	q.alarmAt = at
	q.stopAlarm = q.server.clock.AfterFunc(at.Sub(now), func() {
		q.server.mu.Lock()
		defer q.server.mu.Unlock()
		// An alarm that could not be stopped in time may run late; serving
		// once too often does no harm.
		if q.alarmAt.Equal(at) {
			q.stopAlarm = nil
		}
		q.serve(q.server.clock.Now())
	})
}

// purge forgets every message.
func (q *queue) purge(now time.Time) {
	clear(q.entries)
	q.waiting = nil
	q.ready.Init()
	q.counts = [states]int{}
	q.purgedAt = now
	q.setAlarm(now)
}

// entryHeap orders entries by the instant at which they become visible, and
// by the order of sending within one instant.
type entryHeap []*entry

func (h entryHeap) Len() int { return len(h) }

func (h entryHeap) Less(i, j int) bool {
	if h[i].visibleAt.Equal(h[j].visibleAt) {
		return h[i].number < h[j].number
	}
	return h[i].visibleAt.Before(h[j].visibleAt)
}

func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].position, h[j].position = i, j
}

func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.position = len(*h)
	*h = append(*h, e)
}

func (h *entryHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
