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

// Mood is what kind of bad day it is. Shares are of all steps, or messages.
type Mood struct {
	Faults  float64       // how often a step meets a fault
	Frozen  float64       // how often an actor stands still at a step
	Doubled float64       // how often a message is doubled
	Held    float64       // how often all others go first for a while
	People  time.Duration // from one change to the next
	Failing bool          // most calls fail
	Skewed  bool          // every tick's clock is wrong
	Backlog bool          // the queue says at times that it is behind
	Away    float64       // how often a connection that breaks is the database's, which is away for seconds
	// Poisoned: at times the zone or the pattern of a job cannot be read any more.
	Poisoned bool
	// Limit makes most calls slow, and lets so many runs of a job in the slow lane
	// be under way; 0: few are slow, and the limit is the product's own.
	Limit int
	// Crowd lets people stop, run and delete one job above all.
	Crowd bool
}

// Crowd is a day of many people at one job that fails.
var Crowd = Mood{Faults: 0.01, Frozen: 0.005, Doubled: 0.1, Held: 0.15, People: 700 * time.Millisecond, Failing: true, Crowd: true}

func (s *simulation) chooseMood() Mood {
	m := Mood{
		Faults:  *pick(s, []float64{0, 0.005, 0.02, 0.06}),
		Frozen:  *pick(s, []float64{0, 0, 0.005, 0.03}),
		Doubled: *pick(s, []float64{0.02, 0.02, 0.3, 0.6}),
		Held:    *pick(s, []float64{0, 0.03, 0.15}),
		People:  *pick(s, []time.Duration{3 * time.Second, 8 * time.Second, 15 * time.Second}),
		Failing: s.rng.IntN(3) == 0,
	}
	if s.opts.Seed%3 == 0 {
		m.Away = 0.5
	}
	m.Poisoned = s.apart.IntN(4) == 0
	if s.apart.IntN(4) == 0 {
		m.Limit = 1 + s.apart.IntN(2)
	}
	if s.opts.Mood != nil {
		m = *s.opts.Mood
	}
	s.note("the day: %+v", m)
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
	if cold < s.mood.Frozen {
		// It goes on with this step and then stands still for a while.
		w.frozen = time.Now().Add(frozen)
		w.faulty, w.still = true, true
		s.faults++
		s.note("%s stands still for %s", w.actor, frozen)
		return v
	}
	if (w.seam == atStatement || w.seam == atCommit) && time.Now().Before(s.awayUntil) {
		v.err = connectionError()
		return v
	}
	if roll >= s.mood.Faults {
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
	} else if w.seam == atStatement || w.seam == atCommit {
		s.goAway(v.chosen)
	}
	return v
}

// An outage is longer than anybody waits by the way, and shorter than the slack of
// a lease; the next one is not soon.
const (
	outageLeast   = 3500 * time.Millisecond
	outageMost    = 8 * time.Second
	betweenOutage = time.Minute
)

// goAway may take the database away from everybody.
func (s *simulation) goAway(chosen uint64) {
	if float64(chosen%1000)/1000 >= s.mood.Away || time.Since(s.awayUntil) < betweenOutage {
		return
	}
	d := outageLeast + time.Duration(chosen/1000%uint64(outageMost-outageLeast))
	s.awayUntil = time.Now().Add(d)
	s.note("the database is away for %s", d)
}
