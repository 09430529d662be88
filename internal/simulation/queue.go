package simulation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// message is one in the queue.
type message struct {
	body     string
	visible  time.Time
	received int
}

// The queue's rules: how long a message whose worker is gone stays hidden, and
// how often one is received before it is put aside.
const (
	hidden      = 90 * time.Second
	maxReceives = 5
)

// How long the invocations may take.
const (
	tickLimit     = 55 * time.Second
	executorLimit = 5 * time.Minute
	personLimit   = 29 * time.Second
)

// lane is the queue as a dispatcher sees it.
type lane struct{ s *simulation }

func (l lane) Send(ctx context.Context, messages []dispatch.Message) []error {
	s := l.s
	errs := make([]error, len(messages))
	chunk, _ := execution.ParseChunk(messages[0].Body)
	v := s.pass(ctx, point{seam: atSend, label: fmt.Sprintf("sends %d messages", len(messages)), key: chunk.At.Format(time.RFC3339Nano)})
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range messages {
		partly := v.statement == 1 && v.chosen>>(i%64)&1 == 1
		if v.err != nil || partly {
			errs[i] = connectionError()
		}
		if v.err == nil && !partly || v.err != nil && v.after {
			s.queue = append(s.queue, &message{body: m.Body, visible: time.Now().Add(m.Delay)})
		}
	}
	if a := actorOf(ctx); a != nil && (v.crash || v.statement == 1) {
		a.crashed, a.faulty = a.crashed || v.crash, true
	}
	return errs
}

func (l lane) Depth(ctx context.Context) (int, error) {
	if a := actorOf(ctx); a != nil && a.crashed {
		return 0, errCrashed
	}
	if a := actorOf(ctx); a != nil && l.s.mood.Backlog && !l.s.healed {
		// Of every other tick.
		if a.backlog = a.number%2 == 0; a.backlog && !l.s.opts.IgnoreBacklog {
			return deep, nil
		}
	}
	return len(l.s.visible(time.Now())), nil
}

// deep is more messages than a queue that is not behind has.
const deep = 10_000

// visible are the messages that can be received.
func (s *simulation) visible(now time.Time) []*message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*message
	for _, m := range s.queue {
		if !m.visible.After(now) {
			due = append(due, m)
		}
	}
	return due
}

// take removes a message from the queue.
func (s *simulation) take(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(other *message) bool { return other == m })
}

func (s *simulation) put(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, m)
}

// deliver hands messages to an executor: in any order, one or a few, some more
// than once, some never, some with a wrong instant.
func (s *simulation) deliver(ctx context.Context, due []*message) {
	count := 1
	if s.rng.IntN(8) == 0 {
		count = min(3, len(due))
	}
	var held []*message
	for range count {
		i := s.rng.IntN(len(due))
		m := due[i]
		due = slices.Delete(due, i, i+1)
		s.take(m)
		chance, later := s.rng.Float64(), time.Duration(s.rng.IntN(90_000))*time.Millisecond
		switch {
		case s.healed:
		case chance < s.mood.Faults:
			s.faults++
			s.note("a message is lost")
			continue
		case chance < 2*s.mood.Faults:
			s.faults++
			s.note("a message is late by %s", later)
			m.visible = time.Now().Add(later)
			s.put(m)
			continue
		case chance < 3*s.mood.Faults+0.005:
			s.faults++
			s.note("a message names a wrong instant")
			m.body = lie(m.body, -later/10)
		case chance < 3*s.mood.Faults+0.005+s.mood.Doubled:
			s.faults++
			s.note("a message is doubled")
			s.put(&message{body: m.body, visible: time.Now().Add(later / time.Duration(1+s.rng.IntN(50)))})
		}
		m.received++
		held = append(held, m)
	}
	if len(held) > 0 {
		s.execute(ctx, held)
	}
}

// lie moves the instant that a message names; it is only a hint.
func lie(body string, by time.Duration) string {
	chunk, err := execution.ParseChunk(body)
	if err != nil {
		return body
	}
	chunk.At = chunk.At.Add(by)
	if body, err = chunk.Encode(); err != nil {
		return ""
	}
	return body
}

// execute starts an executor with messages.
func (s *simulation) execute(ctx context.Context, held []*message) {
	errs := make([]error, len(held))
	a := s.start(ctx, "executor", executorLimit, func(ctx context.Context, a *actor) {
		bodies := make([]string, len(held))
		for i, m := range held {
			bodies[i] = m.body
		}
		e := executor.New(s.starting(), s.dispatcher(a), target{s}, clock{s, a}, quiet)
		errs = e.Run(ctx, bodies)
	}, func(a *actor) {
		for i, m := range held {
			if errs[i] == nil && !a.crashed {
				continue
			}
			m.visible = time.Now()
			if a.crashed {
				m.visible = m.visible.Add(hidden)
			}
			if m.received < maxReceives {
				s.queue = append(s.queue, m)
			}
		}
	})
	for _, m := range held {
		s.note("%s gets %s", a, m.body)
	}
}

// starting is the store as an executor sees it.
func (s *simulation) starting() executor.Store {
	if s.opts.FreshTickets {
		return forgetful{s.store}
	}
	return s.store
}

// forgetful is a store by which a start that is tried again finds nothing of what
// the try before has started.
type forgetful struct{ *mysql.Executions }

func (f forgetful) Start(ctx context.Context, now time.Time, ticket executor.Ticket, works []executor.Work) ([]executor.Started, error) {
	if ticket.Again {
		ticket = executor.Ticket{}
		_, _ = rand.Read(ticket.Token[:]) // crypto/rand never fails
	}
	return f.Executions.Start(ctx, now, ticket, works)
}

var quiet = slog.New(slog.DiscardHandler)

// dispatcher is an actor's.
func (s *simulation) dispatcher(a *actor) *dispatch.Dispatcher {
	return dispatch.New(s.store, lane{s}, lane{s}, a.now, quiet)
}

// clock is an actor's clock and timer.
type clock struct {
	s *simulation
	a *actor
}

func (c clock) Now() time.Time { return c.a.now() }

func (c clock) SleepUntil(ctx context.Context, at time.Time) error {
	if err := (executor.WallClock{}).SleepUntil(ctx, at.Add(-c.a.skew)); err != nil {
		return err
	}
	v := c.s.pass(ctx, point{seam: atWake, label: "goes on at its time", key: at.Format(time.RFC3339Nano)})
	if v.crash && !errors.Is(v.err, context.Canceled) {
		c.s.crash(c.a)
	}
	return v.err
}
