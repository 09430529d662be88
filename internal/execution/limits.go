package execution

import (
	"fmt"
	"net/http"
	"time"
)

// Limits are the rules by which the system protects itself, and targets, from
// jobs that fail or hang for ever.
type Limits struct {
	// FailedAfter final failures in a row that span at least FailedSpan stop a
	// job; 0 means that none do.
	FailedAfter int
	FailedSpan  time.Duration
	// StopWhenGone makes one failure enough where the target says that it is
	// gone (410).
	StopWhenGone bool
	// MaxRunning is how many runs of a job in the slow lane may be under way;
	// further ones are skipped. 0 means any number.
	MaxRunning int
}

// DefaultLimits are those of an installation that says nothing else.
var DefaultLimits = Limits{FailedAfter: 20, FailedSpan: 24 * time.Hour, StopWhenGone: true, MaxRunning: 20}

// LimitOfRuns is the reason of a run that MaxRunning kept from starting.
const LimitOfRuns = "limit of concurrent runs"

// StopReason says why a job must stop, "" where it need not: after that many
// final failures in a row, the first and last of them at these times.
func (l Limits) StopReason(failures int, first, last time.Time) string {
	if l.FailedAfter == 0 || failures < l.FailedAfter || last.Sub(first) < l.FailedSpan {
		return ""
	}
	return fmt.Sprintf("stopped after %d failed runs in a row since %s", failures, first.UTC().Format("2006-01-02 15:04 UTC"))
}

// StoppedByTarget is the reason of a job whose target says that it is gone.
const StoppedByTarget = "stopped because the target answered 410 Gone"

// StoppedBy reports whether an ended attempt's answer asks for no more calls,
// and is heard.
func (l Limits) StoppedBy(response *Response) bool {
	return l.StopWhenGone && response != nil && response.Status == http.StatusGone
}

// When a job changes lanes.
const (
	slowCall   = 2 * time.Second // longer ones count as slow
	laneStreak = 3               // so many slow, or quick, calls in a row
)

// VerySlowCall is how long a call may take, ended or not, before it alone makes
// its job slow.
const VerySlowCall = 5 * time.Second

// Pace is what a call adds to its job's streak of slow (positive) or quick
// (negative) calls. Streaks of one sign add up; the other sign starts anew.
func Pace(call time.Duration) int {
	switch {
	case call > VerySlowCall:
		return laneStreak
	case call > slowCall:
		return 1
	default:
		return -1
	}
}

// LaneFor is the lane of a job in lane now with that streak.
func LaneFor(now Lane, streak int) Lane {
	switch {
	case streak >= laneStreak:
		return Slow
	case streak <= -laneStreak:
		return Fast
	default:
		return now
	}
}
