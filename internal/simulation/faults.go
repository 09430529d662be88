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

// judge decides how a step goes.
func (s *simulation) judge(w *parked) verdict {
	v := verdict{chosen: s.rng.Uint64()}
	roll := s.rng.Float64()
	kind := s.rng.IntN(8)
	which := s.rng.IntN(6)
	frozen := time.Duration(5+s.rng.IntN(150)) * time.Second
	if s.healed || roll >= s.rate {
		return v
	}
	if kind == 7 {
		// It goes on with this step and then stands still for a while.
		w.frozen = time.Now().Add(frozen)
		w.faulty = true
		s.faults++
		s.note("%s stands still for %s", w.actor, frozen)
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
