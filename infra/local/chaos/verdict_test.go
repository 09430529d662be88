package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// TestJudgeSeesBrokenPromises breaks each promise in a ledger that keeps them
// all.
func TestJudgeSeesBrokenPromises(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	second := func(n int) *time.Time { at := start.Add(time.Duration(n) * time.Second); return &at }
	type scene struct {
		job    Job
		ledger ledger
		calls  []Call
	}
	kept := func() *scene {
		s := &scene{
			job:    Job{ID: 1, Period: time.Second, From: start.Add(500 * time.Millisecond), Until: start.Add(5500 * time.Millisecond), Settled: *second(3)},
			ledger: ledger{failed: map[attemptKey]string{{2, 1}: "internal"}},
		}
		for n := 1; n <= 3; n++ {
			s.ledger.rows = append(s.ledger.rows, row{id: int64(n), jobID: 1, status: execution.Success, scheduledFor: *second(n), occurrence: second(n), attempt: 1})
			s.calls = append(s.calls, Call{At: second(n).Add(time.Millisecond), JobID: 1, ExecutionID: int64(n), Attempt: 1, ScheduledFor: *second(n)})
		}
		s.calls = append(s.calls, Call{At: second(2).Add(time.Minute), JobID: 1, ExecutionID: 2, Attempt: 2, ScheduledFor: *second(2)})
		s.ledger.rows = append(s.ledger.rows, row{id: 9, jobID: 1, status: execution.Missed, scheduledFor: *second(4), missedUntil: second(5)})
		return s
	}
	tests := []struct {
		name  string
		spoil func(s *scene)
		may   bool
		want  string // "" where nothing is broken
	}{
		{"nothing broken", func(*scene) {}, true, ""},
		{"doubled without leave", func(*scene) {}, false, "was called 2 times"},
		{"one attempt twice", func(s *scene) { s.calls = append(s.calls, s.calls[0]) }, true, "attempt 1 was called 2 times"},
		{"doubled without a failure", func(s *scene) { clear(s.ledger.failed) }, true, "not recorded as failed"},
		{"early", func(s *scene) { s.calls[0].At = second(1).Add(-time.Millisecond) }, true, "1ms early"},
		{"an instant lost", func(s *scene) { s.ledger.rows, s.calls = s.ledger.rows[1:], s.calls[1:] }, true, "nothing for 00:00:01.000"},
		{"two rows", func(s *scene) { s.ledger.rows[1].occurrence = second(1) }, true, "two executions for 00:00:01.000"},
		{"row and summary", func(s *scene) { s.ledger.rows[4-1].scheduledFor = *second(3) }, true, "both execution 3 and a summary"},
		{"off the schedule", func(s *scene) { *s.ledger.rows[0].occurrence = start.Add(1500 * time.Millisecond) }, true, "not on job 1's schedule"},
		{"never ended", func(s *scene) { s.ledger.rows[0].status = execution.Queued }, true, "never ended"},
		{"ended wrong", func(s *scene) { s.ledger.rows[0].status = execution.Abandoned }, true, "ended as abandoned"},
		{"cancelled when it was stopped", func(s *scene) { s.ledger.rows[2].status = execution.Cancelled }, true, ""},
		{"cancelled before", func(s *scene) { s.ledger.rows[0].status = execution.Cancelled }, true, "ended as cancelled"},
		{"a success nobody saw", func(s *scene) { s.calls = s.calls[1:] }, true, "a success that no target saw"},
		{"a call without a row", func(s *scene) { s.calls[0].ExecutionID = 77 }, true, "does not hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := kept()
			tt.spoil(s)
			got := strings.Join(judge([]Job{s.job}, s.ledger, s.calls, Promise{MayDouble: tt.may}).Problems, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("problems are %q, want %q", got, tt.want)
			}
		})
	}
}
