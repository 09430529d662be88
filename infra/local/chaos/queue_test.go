package chaos_test

import (
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
)

// A long timeout leaves a busy machine no reason for a failed attempt.
const longTimeout = 20 * time.Second

func TestMessagesTripledReorderedAndRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	settings := s.settings()
	settings.Queue = chaos.QueueFaults{Copies: 2, LateMost: 3 * time.Second, Rejected: 0.2, Down: 0.1, Unanswered: 0.1}
	p := s.start(settings)
	s.createJobs(4, longTimeout)
	s.run(15 * time.Second)
	p.SetQueue(chaos.QueueFaults{})
	s.check("messages tripled, reordered, refused", chaos.Promise{})
}

func TestMessagesLost(t *testing.T) {
	t.Parallel()
	needFull(t)
	s := newStage(t)
	s.patience = 8 * time.Minute
	settings := s.settings()
	settings.Queue = chaos.QueueFaults{Lost: 0.3}
	p := s.start(settings)
	s.createJobs(4, longTimeout)
	s.run(30 * time.Second)
	p.SetQueue(chaos.QueueFaults{})
	s.check("every third message lost", chaos.Promise{})
}

func TestTicksDoubled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one, other := s.settings(), s.settings()
	one.TickEvery, other.TickEvery = 500*time.Millisecond, 500*time.Millisecond
	s.start(one)
	s.start(other)
	s.createJobs(4, longTimeout)
	s.run(12 * time.Second)
	s.check("two systems, ticks doubled", chaos.Promise{})
}

func TestTicksMissingForMinutes(t *testing.T) {
	t.Parallel()
	needFull(t)
	s := newStage(t)
	settings := s.settings()
	// The look-ahead is 240 s; what is older than 120 s at the next tick is missed.
	settings.TickEvery = 10 * time.Minute
	s.start(settings)
	s.createJobs(3, longTimeout)
	s.run(settings.TickEvery + 5*time.Second)
	v := s.check("no tick for ten minutes", chaos.Promise{})
	if v.Missed == 0 {
		t.Error("nothing was missed: the ticks were not away for long enough")
	}
}

// TestTicksMissingForThreeDays turns the clock, by setting back what was due
// next while the system is off: each policy then does its own with what passed.
func TestTicksMissingForThreeDays(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	settings := s.settings()
	p := s.start(settings)
	const hours = 72
	policies := []string{"fire_once", "skip", "fire_all"}
	for _, policy := range policies {
		job, err := s.client.CreateJob(t.Context(), "Three days "+policy, s.target.URL, time.Hour, map[string]any{
			"timeout": longTimeout.Milliseconds(), "misfirePolicy": policy, "cronPattern": "0 0 * * * *",
		})
		if err != nil {
			s.fatal("create a job: %v", err)
		}
		s.jobs = append(s.jobs, job)
	}
	p.Stop()
	if _, err := s.direct.ExecContext(t.Context(), "UPDATE jobs SET next_run_at = DATE_SUB(next_run_at, INTERVAL ? HOUR)", hours); err != nil {
		s.fatal("turn the clock: %v", err)
	}
	for i := range s.jobs {
		var next time.Time
		if err := s.direct.QueryRowContext(t.Context(), "SELECT next_run_at FROM jobs WHERE id = ?", s.jobs[i].ID).Scan(&next); err != nil {
			s.fatal("the next run: %v", err)
		}
		s.jobs[i].From = next.Add(-time.Second)
	}
	before := len(s.target.Calls())
	s.start(settings)
	// Counted from before the start: on a busy machine all calls are made while the
	// client still signs in, and no other is due for an hour.
	s.await("a call", 60*time.Second, func() bool { return len(s.target.Calls()) > before })
	s.check("no tick for three days", chaos.Promise{})
	for i, policy := range policies {
		job := s.jobs[i]
		var missed, called int
		if err := s.direct.QueryRowContext(t.Context(), `SELECT COALESCE(SUM(missed_count), 0), COALESCE(SUM(status = 'success'), 0)
			FROM executions WHERE job_id = ? AND scheduled_for < ?`, job.ID, job.Until.UTC()).Scan(&missed, &called); err != nil {
			s.fatal("what became of them: %v", err)
		}
		t.Logf("%s: %d called, %d missed", policy, called, missed)
		// One less than the hours where the next one was claimed ahead before the
		// clock was turned, one more where the hour turns meanwhile.
		due := int(job.Until.Truncate(time.Hour).Sub(job.From.Truncate(time.Hour)) / time.Hour)
		if missed+called != due || due < hours-1 || due > hours+1 {
			t.Errorf("%s: %d called and %d missed of %d", policy, called, missed, due)
		}
		switch {
		case policy == "fire_once" && (called < 1 || called > 2), policy == "skip" && called > 1, policy == "fire_all" && called < 2:
			t.Errorf("%s: %d called", policy, called)
		}
	}
}
