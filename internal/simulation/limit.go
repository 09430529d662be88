package simulation

import (
	"github.com/cronjobs/cronjobs/internal/execution"
)

// limits are the day's.
func (s *simulation) limits() execution.Limits {
	limits := execution.DefaultLimits
	if s.mood.Limit > 0 {
		limits.MaxRunning = s.mood.Limit
	}
	return limits
}

// lanes are what a start in the slow lane is judged by. A start counts what runs
// some steps before it commits, so steps say what it must have counted, and what
// it may have.
type lanes struct {
	runningSince map[int64]int // since which step executions run
	ranUntil     map[int64]int // until which step they ran, last
	slowSince    map[int64]int // since which step jobs are in the slow lane
	slowUntil    map[int64]int // until which step they were, last
}

func newLanes() lanes {
	return lanes{runningSince: map[int64]int{}, ranUntil: map[int64]int{}, slowSince: map[int64]int{}, slowUntil: map[int64]int{}}
}

// noteLanes notes who runs, and who is slow, after a commit.
func (s *simulation) noteLanes(now snapshot) {
	for _, r := range now.rows {
		note(s.runningSince, s.ranUntil, r.id, r.status == execution.Running, s.step)
	}
	for _, j := range now.jobRows {
		note(s.slowSince, s.slowUntil, j.id, j.lane == execution.Slow, s.step)
	}
}

func note(since, until map[int64]int, id int64, is bool, step int) {
	_, was := since[id]
	switch {
	case is && !was:
		since[id] = step
	case was && !is:
		until[id] = step
		delete(since, id)
	}
}

// checkLimit checks a row that starts in the slow lane, or does not for the runs
// of its job that are under way.
func (s *simulation) checkLimit(before snapshot, was, is *row) {
	most := s.limits().MaxRunning
	keptOff := is.status == execution.Skipped && is.reason.V == execution.LimitOfRuns
	if !was.status.Waiting() || is.status != execution.Running && !keptOff || s.committer == nil {
		return
	}
	first := is.trigger == execution.Schedule && is.attempt == 1
	// What the count has surely met, and what it may have.
	least, highest := 0, 0
	for _, other := range before.rows {
		if other.job != is.job || other.id == is.id {
			continue
		}
		since, runs := s.runningSince[other.id]
		until, ran := s.ranUntil[other.id]
		if runs && since < s.committerBegan {
			least++
		}
		if runs || ran && until >= s.committerBegan {
			highest++
		}
	}
	slow, surely := s.slowSince[is.job]
	surely = was.lane == execution.Slow || surely && slow < s.committer.began
	if !keptOff {
		if first && surely && least >= most {
			s.find("limit", "started while %d of its job run, and %d may: %s", least, most, is)
		}
		return
	}
	s.keptOff++
	_, still := s.slowSince[is.job]
	until, ever := s.slowUntil[is.job]
	if maybe := was.lane == execution.Slow || still || ever && until >= s.committer.began; !first || !maybe {
		s.find("limit", "kept off, and the limit is not for it: %s", is)
	}
	if highest < most {
		s.find("limit", "kept off while %d of its job run, and %d may: %s", highest, most, is)
	}
}
