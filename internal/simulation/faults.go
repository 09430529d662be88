package simulation

import (
	"time"
)

func (v verdict) String() string {
	what := "fails"
	if v.crash {
		what = "crashes"
	}
	when := "before the effect"
	if v.after {
		when = "after the effect"
	}
	switch {
	case v.err == nil && v.statement != 0:
		return "some of it fails"
	case v.statement != 0:
		return what + " later in the transaction, " + when
	default:
		return what + " " + when
	}
}

// mood is what kind of bad day a seed has.
type mood struct {
	faults  float64       // how often a step meets a fault
	frozen  float64       // how often an actor stands still at a step
	doubled float64       // how often a message is doubled
	held    float64       // how often all others go first for a while
	people  time.Duration // from one change to the next
	failing bool          // most calls fail
}

func (s *simulation) chooseMood() mood {
	m := mood{
		faults:  *pick(s, []float64{0, 0.005, 0.02, 0.06}),
		frozen:  *pick(s, []float64{0, 0, 0.005, 0.03}),
		doubled: *pick(s, []float64{0.02, 0.02, 0.3, 0.6}),
		held:    *pick(s, []float64{0, 0.03, 0.15}),
		people:  *pick(s, []time.Duration{3 * time.Second, 8 * time.Second, 15 * time.Second}),
		failing: s.rng.IntN(3) == 0,
	}
	if s.opts.Crowd {
		m.held, m.people, m.failing = 0.15, 700*time.Millisecond, true
	}
	s.note("faults %g, frozen %g, doubled %g, held %g, a change every %s, failing %t", m.faults, m.frozen, m.doubled, m.held, m.people, m.failing)
	return m
}

// judge decides how a step goes.
func (s *simulation) judge(w *parked) verdict {
	v := verdict{chosen: s.rng.Uint64()}
	roll, cold := s.rng.Float64(), s.rng.Float64()
	kind := s.rng.IntN(7)
	which := s.rng.IntN(6)
	frozen := time.Duration(1+s.rng.IntN(*pick(s, []int{3, 20, 150}))) * time.Second
	if s.healed {
		return v
	}
	if cold < s.mood.frozen {
		// It goes on with this step and then stands still for a while.
		w.frozen = time.Now().Add(frozen)
		w.faulty = true
		s.faults++
		s.note("%s stands still for %s", w.actor, frozen)
		return v
	}
	if roll >= s.mood.faults {
		return v
	}
	v.after = kind%2 == 1
	v.crash = kind >= 4
	switch w.seam {
	case atStatement:
		if !s.fine {
			v.statement = which
		}
	case atSend:
		if kind < 2 {
			v.statement = 1 // some of the messages
			return v
		}
	case atCall, atAnswer, atWake:
		v.crash = true
	case atCommit, atLock:
	}
	v.err = connectionError()
	if v.crash {
		v.err = errCrashed
	}
	return v
}
