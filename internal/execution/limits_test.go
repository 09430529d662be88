package execution_test

import (
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

func TestStopReason(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		failures int
		last     time.Time
		stops    bool
	}{
		"many over a day":        {20, first.Add(24 * time.Hour), true},
		"many within a day":      {500, first.Add(24*time.Hour - time.Millisecond), false},
		"few over a long time":   {19, first.Add(1000 * time.Hour), false},
		"none":                   {0, time.Time{}, false},
		"more than many, longer": {21, first.Add(25 * time.Hour), true},
	} {
		if got := execution.DefaultLimits.StopReason(tc.failures, first, tc.last); (got != "") != tc.stops {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestLanesFollowThePace(t *testing.T) {
	t.Parallel()
	sum := func(calls ...time.Duration) (streak int) {
		for _, c := range calls {
			step := execution.Pace(c)
			if streak*step < 0 {
				streak = 0
			}
			streak += step
		}
		return streak
	}
	const s = time.Second
	for name, tc := range map[string]struct {
		now   execution.Lane
		calls []time.Duration
		want  execution.Lane
	}{
		"two seconds are quick":          {execution.Fast, []time.Duration{2 * s, 2 * s, 2 * s}, execution.Fast},
		"two slow calls are not enough":  {execution.Fast, []time.Duration{3 * s, 3 * s}, execution.Fast},
		"three slow calls":               {execution.Fast, []time.Duration{3 * s, 3 * s, 3 * s}, execution.Slow},
		"slow calls broken by a quick":   {execution.Fast, []time.Duration{3 * s, 3 * s, s, 3 * s}, execution.Fast},
		"one very slow call":             {execution.Fast, []time.Duration{s, 11 * s}, execution.Slow},
		"two quick calls do not suffice": {execution.Slow, []time.Duration{s, s}, execution.Slow},
		"three quick calls bring back":   {execution.Slow, []time.Duration{11 * s, s, s, s}, execution.Fast},
	} {
		if got := execution.LaneFor(tc.now, sum(tc.calls...)); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
