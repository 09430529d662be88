package dispatch

import (
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/schedule"
)

// Bounds of catching up after a pause of the whole system.
const (
	// MaxCatchUp is how many missed instants fire_all runs, oldest first.
	MaxCatchUp = 100
	// MaxMissedCount is how far missed instants are counted.
	MaxMissedCount = 10_000
)

// PlanJob decides what becomes of a due job: every instant from its next run
// up to the horizon runs or is summed up as missed, and its next run moves
// past both the horizon and the present. Where the job's category has become
// inactive there is no next run, and instants count until then.
func PlanJob(due DueJob, now, horizon time.Time) Plan {
	s, err := schedule.Parse(due.CronPattern, due.Timezone)
	if err != nil {
		return Plan{SetAside: "its schedule can no longer be read: " + err.Error()}
	}
	missedBefore := now.Add(-MissedAfter)
	if due.Until != nil {
		// Its category does not let it run any more: what was due is recorded, and
		// nothing is caught up.
		due.MisfirePolicy = string(job.MisfireSkip)
		if horizon = *due.Until; !horizon.After(missedBefore) {
			missedBefore = horizon.Add(time.Millisecond)
		}
	}
	plan := Plan{}
	// From just before next_run_at, so that the instant itself is found, and
	// an instant that no longer belongs to the schedule is not.
	from := due.NextRunAt.Add(-time.Millisecond)

	old := missed(s, from, missedBefore)
	rest := from
	if old.newest.After(rest) {
		rest = old.newest
	}
	plan.Runs = s.Between(rest, horizon, maxInstants)
	lateRuns := len(plan.Runs) > 0 && !plan.Runs[0].After(now)

	if old.count > 0 {
		var run []time.Time
		switch job.MisfirePolicy(due.MisfirePolicy) {
		case job.MisfireFireAll:
			run = s.Between(from, old.newest, MaxCatchUp)
			plan.Missed = summary(s, run[len(run)-1], old)
		case job.MisfireFireOnce:
			if !lateRuns {
				run = []time.Time{old.newest}
			}
			plan.Missed = old.except(len(run) == 1, s)
		default:
			plan.Missed = old.except(false, s)
		}
		plan.Runs = append(run, plan.Runs...)
	}

	if due.Until != nil {
		return plan
	}
	past := horizon
	if len(plan.Runs) >= maxInstants {
		// Cut off: the next claim goes on from here.
		past = plan.Runs[len(plan.Runs)-1]
	}
	if next, ok := s.Next(past); ok {
		plan.NextRunAt = &next
	}
	return plan
}

// maxInstants bounds the rows of one job in one claim. The longest run of
// instants that are not missed is one a second from MissedAfter ago to the
// horizon: 361.
const maxInstants = 1000

// missedInstants are those before the limit: the first, the last, how many. They
// are counted so far that MaxMissedCount are counted beside those that run.
type missedInstants struct {
	oldest, newest time.Time
	count          int
}

// missed finds the instants in (from, before).
func missed(s *schedule.Schedule, from, before time.Time) missedInstants {
	var m missedInstants
	at := from
	for m.count < MaxMissedCount+MaxCatchUp {
		next, ok := s.Next(at)
		if !ok || !next.Before(before) {
			return m
		}
		if m.count == 0 {
			m.oldest = next
		}
		m.newest, at = next, next
		m.count++
	}
	m.newest = newestBefore(s, m.newest, before)
	return m
}

// newestBefore finds the last instant before the limit, which is at or after
// known, itself an instant, without walking through all between.
func newestBefore(s *schedule.Schedule, known, before time.Time) time.Time {
	// After low there is an instant before the limit; after high there is none.
	low, high := known.Add(-time.Millisecond), before
	for high.Sub(low) > time.Millisecond {
		middle := low.Add(high.Sub(low) / 2).Truncate(time.Millisecond)
		if !middle.After(low) {
			break
		}
		if next, ok := s.Next(middle); ok && next.Before(before) {
			low = middle
		} else {
			high = middle
		}
	}
	newest, ok := s.Next(low)
	if !ok || !newest.Before(before) {
		return known
	}
	return newest
}

// summary sums up the missed instants after those that run.
func summary(s *schedule.Schedule, lastRun time.Time, old missedInstants) *Missed {
	if !lastRun.Before(old.newest) {
		return nil
	}
	first, _ := s.Next(lastRun)
	return &Missed{From: first, Until: old.newest, Count: min(old.count-MaxCatchUp, MaxMissedCount)}
}

// except sums up the missed instants, without the newest where that one runs.
func (m missedInstants) except(newestRuns bool, s *schedule.Schedule) *Missed {
	if !newestRuns {
		return &Missed{From: m.oldest, Until: m.newest, Count: min(m.count, MaxMissedCount)}
	}
	if m.count < 2 {
		return nil
	}
	return &Missed{From: m.oldest, Until: newestBefore(s, m.oldest, m.newest), Count: min(m.count-1, MaxMissedCount)}
}

// WithoutOldest sums up what is left of a job's missed instants without the oldest;
// nil where that is nothing.
func (m Missed) WithoutOldest(due DueJob) *Missed {
	s, err := schedule.Parse(due.CronPattern, due.Timezone)
	if err != nil {
		return nil
	}
	rest := missed(s, m.From, m.Until.Add(time.Millisecond))
	if rest.count == 0 {
		return nil
	}
	return rest.except(false, s)
}
