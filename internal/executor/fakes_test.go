package executor_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// row is an execution in the store of these tests.
type row struct {
	work     executor.Work
	status   execution.Status
	fence    int
	token    [16]byte // of who started it last
	attempts []execution.Attempt
	final    execution.Finish // the last transition that took effect
}

// store is an honest database in memory, that can be told to fail.
type store struct {
	mu       sync.Mutex
	rows     map[int64]*row
	loads    int
	starts   int
	finishes int
	slow     []int64 // jobs, in the order in which they were marked

	// Hooks, each nil or asked before the step; what they return fails it.
	onLoad   func(refs []execution.Ref) error
	onStart  func(works []executor.Work) error
	onFinish func(ctx context.Context, call int, batch []execution.Finish) error
	// lose fails a start after its effect: the answer to its commit is lost.
	lose func() error
	// skip names rows that end as skipped at their start.
	skip map[int64]string
}

func newStore(works ...executor.Work) *store {
	s := &store{rows: map[int64]*row{}}
	for _, w := range works {
		s.rows[w.ID] = &row{work: w, status: execution.Queued}
	}
	return s
}

func (s *store) Load(_ context.Context, refs []execution.Ref) ([]executor.Work, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.onLoad != nil {
		if err := s.onLoad(refs); err != nil {
			return nil, err
		}
	}
	var works []executor.Work
	for _, ref := range refs {
		if r := s.rows[ref.ID]; r != nil && r.status.Waiting() && r.work.Attempt == ref.Attempt {
			works = append(works, r.work)
		}
	}
	return works, nil
}

func (s *store) Start(_ context.Context, now time.Time, ticket executor.Ticket, works []executor.Work) ([]executor.Started, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts++
	if s.onStart != nil {
		if err := s.onStart(works); err != nil {
			return nil, err
		}
	}
	started := make([]executor.Started, len(works))
	for i, w := range works {
		r := s.rows[w.ID]
		switch {
		case ticket.Again && r.status == execution.Running && r.token == ticket.Token:
			r.fence++
			started[i].Fence = r.fence
		case !r.status.Waiting() || r.work.Attempt != w.Attempt || r.work.NotBefore.After(now):
		case s.skip[w.ID] != "":
			r.status = execution.Skipped
			started[i].Skipped = s.skip[w.ID]
		default:
			r.status, r.token = execution.Running, ticket.Token
			r.fence++
			started[i].Fence = r.fence
		}
	}
	if s.lose != nil {
		if err := s.lose(); err != nil {
			return nil, err
		}
	}
	return started, nil
}

func (s *store) MarkSlow(_ context.Context, jobIDs []int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = append(s.slow, jobIDs...)
	return nil
}

func (s *store) Finish(ctx context.Context, _ time.Time, batch []execution.Finish) ([]execution.Finished, error) {
	s.mu.Lock()
	s.finishes++
	hook, call := s.onFinish, s.finishes
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, call, batch); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	finished := make([]execution.Finished, len(batch))
	for i, f := range batch {
		r := s.rows[f.ID]
		r.attempts = append(r.attempts, f.Attempt)
		if r.status != execution.Running || r.fence != f.Fence {
			continue
		}
		r.status, r.final = f.Status, f
		if f.Status == execution.Pending {
			r.work.Attempt, r.work.NotBefore = f.Attempt.Attempt+1, f.NotBefore
			started := f.FirstStartedAt
			r.work.StartedAt = &started
		}
		finished[i] = execution.Finished{Applied: true, Status: f.Status}
	}
	return finished, nil
}

// status is where a row stands.
func (s *store) status(id int64) execution.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[id].status
}

// set changes a row as another process would.
func (s *store) set(id int64, status execution.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[id].status = status
}

// dispatcher notes what is sent.
type dispatcher struct {
	mu    sync.Mutex
	sent  []execution.Waiting
	calls int
	err   error
}

func (d *dispatcher) Dispatch(_ context.Context, waiting []execution.Waiting) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	d.sent = append(d.sent, waiting...)
	return d.err
}

// caller makes calls by a function, and notes when.
type caller struct {
	answer func(ctx context.Context, w executor.Work) (*execution.Failure, time.Duration)
	mu     sync.Mutex
	calls  []made
	active int
}

// made is a call that was made.
type made struct {
	id      int64
	attempt int
	at      time.Time
}

func (c *caller) Call(ctx context.Context, call executor.Call) (execution.Attempt, time.Duration) {
	attempt := execution.Attempt{StartedAt: time.Now().UTC()}
	c.mu.Lock()
	c.calls = append(c.calls, made{call.Work.ID, call.Work.Attempt, attempt.StartedAt})
	c.active++
	c.mu.Unlock()
	var retryAfter time.Duration
	if c.answer != nil {
		attempt.Failure, retryAfter = c.answer(ctx, call.Work)
	}
	c.mu.Lock()
	c.active--
	c.mu.Unlock()
	attempt.EndedAt = time.Now().UTC()
	return attempt, retryAfter
}

// called lists the executions that were called, in the order of their ids.
func (c *caller) called() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := make([]int64, len(c.calls))
	for i, m := range c.calls {
		ids[i] = m.id
	}
	slices.Sort(ids)
	return ids
}

// lab is an executor with all that it talks to.
type lab struct {
	store    *store
	dispatch *dispatcher
	caller   *caller
	log      *bytes.Buffer
}

func newLab(works ...executor.Work) *lab {
	return &lab{store: newStore(works...), dispatch: &dispatcher{}, caller: &caller{}, log: &bytes.Buffer{}}
}

func (l *lab) run(ctx context.Context, messages ...string) []error {
	log := slog.New(slog.NewJSONHandler(l.log, nil))
	return executor.New(l.store, l.dispatch, l.caller, executor.WallClock{}, log).Run(ctx, messages)
}

// due is a number of executions that are due at an instant, in milliseconds as
// they are stored.
func due(at time.Time, n int, change ...func(*executor.Work)) []executor.Work {
	at = at.Truncate(time.Millisecond)
	works := make([]executor.Work, n)
	for i := range works {
		works[i] = work("https://target.test/path?key=hidden", change...)
		works[i].ID, works[i].JobID = int64(i+1), int64(i+1)
		works[i].ScheduledFor, works[i].NotBefore = at, at
	}
	return works
}

// message wakes a worker for the works, at the instant of the first.
func message(t *testing.T, works ...executor.Work) string {
	t.Helper()
	chunk := execution.Chunk{At: works[0].NotBefore, Lane: works[0].Lane}
	for _, w := range works {
		chunk.Executions = append(chunk.Executions, execution.Ref{ID: w.ID, Attempt: w.Attempt})
	}
	text, err := chunk.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func none(t *testing.T, errs []error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

func failing(kind execution.ErrorKind) func(context.Context, executor.Work) (*execution.Failure, time.Duration) {
	return func(context.Context, executor.Work) (*execution.Failure, time.Duration) {
		return &execution.Failure{Kind: kind, Message: "It failed."}, 0
	}
}
