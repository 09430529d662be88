package chaos_test

import (
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
)

// A short timeout makes a short lease, and so a quick recovery.
const shortTimeout = 2 * time.Second

func TestSystemKilledBetweenStartAndCall(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	settings := s.settings()
	p := s.start(settings)
	s.createJobs(3, shortTimeout)
	s.awaitCalls(6)
	// Rows are taken 250 ms before their instant: the kill comes with the first
	// that is, and again where it came too late.
	uncalled := 0
	for try := 0; try < 10 && uncalled == 0; try++ {
		s.await("a row that is taken ahead of its instant", time.Minute, func() bool {
			return len(s.takenAhead()) > 0
		})
		s.kill(p) // and what is on the wire arrives
		called := map[int64]bool{}
		for _, c := range s.target.Calls() {
			called[c.ExecutionID] = true
		}
		for _, id := range s.running() {
			if !called[id] {
				uncalled++
			}
		}
		p = s.start(settings)
	}
	if uncalled == 0 {
		t.Error("no kill came between start and call")
	}
	s.check("system killed between start and call", chaos.Promise{MayDouble: true})
}

// takenAhead are the executions that run and are not due yet.
func (s *stage) takenAhead() []int64 {
	return s.ids("SELECT id FROM executions WHERE status = 'running' AND scheduled_for > ?", time.Now().UTC().Add(50*time.Millisecond))
}

func (s *stage) running() []int64 { return s.ids("SELECT id FROM executions WHERE status = 'running'") }

func (s *stage) ids(query string, args ...any) []int64 {
	s.t.Helper()
	rows, err := s.direct.QueryContext(s.t.Context(), query, args...)
	if err != nil {
		s.fatal("%v", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			s.fatal("%v", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		s.fatal("%v", err)
	}
	return ids
}

func TestSystemKilledInMidCall(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	settings := s.settings()
	p := s.start(settings)
	s.createJobs(3, shortTimeout)
	s.target.BeforeAnswer(func(n int, _ chaos.Call) {
		if n == 7 {
			p.Kill()
		}
	})
	s.exited(p)
	s.start(settings)
	v := s.check("system killed in mid-call", chaos.Promise{MayDouble: true})
	if v.Doubled == 0 {
		t.Error("no call was made again: the kill came at another time")
	}
}

func TestSystemKilledBetweenCallAndRecord(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	proxy := s.behindProxy()
	settings := s.settings()
	p := s.start(settings)
	s.createJobs(3, shortTimeout)
	killed := make(chan struct{})
	s.target.BeforeAnswer(func(n int, _ chaos.Call) {
		if n != 7 {
			return
		}
		// The answer goes out; that it came cannot be recorded.
		proxy.Set(chaos.LineFaults{Stall: true})
		time.AfterFunc(200*time.Millisecond, func() {
			p.Kill()
			close(killed)
		})
	})
	s.exited(p)
	<-killed
	proxy.Set(chaos.LineFaults{Refuse: true})
	proxy.Set(chaos.LineFaults{})
	s.start(settings)
	v := s.check("system killed between call and record", chaos.Promise{MayDouble: true})
	if v.Doubled == 0 {
		t.Error("no call was made again: the kill came at another time")
	}
}

func TestTickKilledAroundItsSend(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	settings := s.settings()
	p := s.start(settings)
	s.createJobs(3, shortTimeout)
	s.awaitCalls(3)
	for _, faults := range []chaos.QueueFaults{{DieBeforeSend: true}, {DieAfterSend: true}} {
		p.SetQueue(faults)
		s.exited(p)
		p = s.start(settings)
		s.awaitCalls(3)
	}
	s.check("tick killed before and after its send", chaos.Promise{MayDouble: true})
}

func TestOneOfTwoSystemsKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p, _ := s.startHolder()
	s.target.BeforeAnswer(func(n int, _ chaos.Call) {
		if n == 6 {
			p.Kill()
		}
	})
	s.exited(p)
	s.run(2 * time.Second)
	s.start(p.Settings)
	s.check("one of two systems killed, and restarted", chaos.Promise{MayDouble: true})
}

// startHolder starts two systems and makes jobs by way of the one that it
// returns first, whose queue then holds nearly all messages.
func (s *stage) startHolder() (holder, other *chaos.Process) {
	s.t.Helper()
	other = s.start(s.settings())
	holder = s.start(s.settings())
	s.createJobs(4, shortTimeout)
	s.awaitCalls(8)
	return holder, other
}

// TestMessagesDieWithTheirSystem leaves the killed system off: its messages are
// gone, and the other's ticks must miss them by themselves.
func TestMessagesDieWithTheirSystem(t *testing.T) {
	t.Parallel()
	needFull(t)
	s := newStage(t)
	s.patience = 6 * time.Minute
	p, other := s.startHolder()
	p.Kill()
	s.signIn(other)
	s.run(5 * time.Second)
	v := s.check("one of two systems killed for good, messages in hand", chaos.Promise{MayDouble: true})
	if v.LateMost < time.Minute {
		t.Error("nothing was late: the messages were somewhere else")
	}
}

// TestSystemsKilledAgainAndAgain kills two systems in turn, at no particular
// moment.
func TestSystemsKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	needFull(t)
	s := newStage(t)
	s.patience = 6 * time.Minute
	settings := []chaos.Settings{s.settings(), s.settings()}
	systems := []*chaos.Process{s.start(settings[0]), s.start(settings[1])}
	s.createJobs(6, shortTimeout)
	for round := range 16 {
		s.run(time.Duration(2500+137*round) * time.Millisecond)
		systems[round%2].Kill()
		systems[round%2] = s.start(settings[round%2])
	}
	s.check("two systems killed in turn, 16 times", chaos.Promise{MayDouble: true})
}
