package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

type callKey struct {
	execution int64
	attempt   int
}

// call is a request that reached the target.
type call struct {
	callKey
	job      int64
	actor    *actor
	at       time.Time
	skip     bool // its job's runs must not overlap
	answered bool
	success  bool
}

// target is what is called.
type target struct{ s *simulation }

// answer is how the target takes a call; it depends on the seed and the call
// alone.
type answer struct {
	takes      time.Duration
	status     int // 0: none came
	kind       execution.ErrorKind
	retryAfter time.Duration
}

func (s *simulation) answer(w executor.Work) answer {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d %d", s.opts.Seed, w.JobName, w.ScheduledFor.UnixMilli(), w.Attempt)
	n := h.Sum64()
	n ^= n >> 29
	n *= 0xbf58476d1ce4e5b9
	n ^= n >> 32
	a := answer{takes: 20*time.Millisecond + time.Duration(n>>8%900)*time.Millisecond}
	if s.mood.Limit > 0 && n>>24%3 != 0 {
		a.takes = w.Request.Timeout - 50*time.Millisecond
	}
	kind := n % 16
	if s.mood.Failing && n>>16%2 == 0 {
		kind %= 4
	}
	switch kind {
	case 0, 1:
		a.status = 500
	case 2:
		a.kind, a.takes = execution.ErrTimeout, w.Request.Timeout
	case 3:
		a.kind = execution.ErrReset
	case 4:
		a.status = 404
	case 5:
		a.status, a.retryAfter = 429, 3*time.Second
	case 6:
		// Slow, and so met by the next instant.
		a.status, a.takes = 200, w.Request.Timeout-50*time.Millisecond
	case 7:
		if a.status = 200; n>>40%4 == 0 {
			a.status = 410 // for good: the job stops
		}
	default:
		a.status = 200
	}
	return a
}

func (t target) Call(ctx context.Context, made executor.Call) (execution.Attempt, time.Duration) {
	s, w, a := t.s, made.Work, actorOf(ctx)
	named := fmt.Sprintf("%s %s attempt %d", w.JobName, w.ScheduledFor.Format("15:04:05"), w.Attempt)
	attempt := execution.Attempt{StartedAt: a.now().UTC().Truncate(time.Millisecond)}
	broken := func() (execution.Attempt, time.Duration) {
		attempt.EndedAt = a.now().UTC().Truncate(time.Millisecond)
		attempt.Failure = &execution.Failure{Kind: execution.ErrCancelled, Message: "The worker had to stop."}
		return attempt, 0
	}
	v := s.pass(ctx, point{seam: atCall, label: "calls " + named, key: named})
	if v.err != nil && !v.after {
		if v.crash {
			s.crash(a)
		}
		return broken()
	}
	c := s.called(a, w)
	if v.err != nil {
		s.crash(a)
		return broken()
	}
	answer := s.answer(w)
	timer := time.NewTimer(answer.takes)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		c.answered = true
		return broken()
	case <-timer.C:
	}
	attempt.EndedAt = a.now().UTC().Truncate(time.Millisecond)
	if answer.status != 0 {
		attempt.Response = &execution.Response{Status: answer.status}
	}
	c.answered, c.success = true, answer.status == 200
	switch {
	case answer.kind != "":
		attempt.Failure = &execution.Failure{Kind: answer.kind, Message: "It failed."}
	case answer.status != 200:
		attempt.Failure = &execution.Failure{Kind: execution.ErrHTTPStatus, Message: "It failed."}
	}
	if v := s.pass(context.WithoutCancel(ctx), point{seam: atAnswer, label: fmt.Sprintf("is answered %d%s for %s", answer.status, answer.kind, named), key: named}); v.crash {
		s.crash(a)
	}
	return attempt, answer.retryAfter
}

// called notes a call and checks that it may be made.
func (s *simulation) called(a *actor, w executor.Work) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{
		callKey: callKey{w.ID, w.Attempt}, job: w.JobID, actor: a, at: time.Now(),
		skip: w.Request.OverlapPolicy == job.OverlapSkip,
	}
	if before := s.made[c.callKey]; before != nil {
		s.find("I3", "execution %d attempt %d is called by %s and was called by %s at %s", w.ID, w.Attempt, a, before.actor, clockTime(before.at))
	}
	if early := max(w.NotBefore.Sub(c.at), w.ScheduledFor.Sub(c.at)); early > 0 {
		s.find("I7", "execution %d attempt %d is called %s early", w.ID, w.Attempt, early)
	}
	if row := s.rows[w.ID]; row != nil {
		if row.revision != w.Revision {
			s.find("revision", "execution %d is called with revision %d, its row names %d", w.ID, w.Revision, row.revision)
		}
		if !a.faulty && (row.status != execution.Running || row.attempt != w.Attempt) {
			s.find("I9", "execution %d attempt %d is called while its row is %s at attempt %d", w.ID, w.Attempt, row.status, row.attempt)
		}
	}
	if before := s.made[callKey{w.ID, w.Attempt - 1}]; w.Attempt > 1 && before != nil && !before.actor.faulty {
		switch {
		case !before.answered:
			s.find("I3", "execution %d attempt %d is called while attempt %d is under way with %s", w.ID, w.Attempt, before.attempt, before.actor)
		case before.success:
			s.find("I3", "execution %d attempt %d is called although attempt %d succeeded", w.ID, w.Attempt, before.attempt)
		}
	}
	for _, other := range s.calls {
		if c.skip && other.skip && other.job == c.job && !other.answered && !a.faulty && !other.actor.faulty && other.execution != c.execution {
			s.find("I6", "execution %d is called while execution %d of the same job is", c.execution, other.execution)
		}
	}
	s.calls = append(s.calls, c)
	s.made[c.callKey] = c
	return c
}

func clockTime(t time.Time) string { return t.UTC().Format("15:04:05.000") }
