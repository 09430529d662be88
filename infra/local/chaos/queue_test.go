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
	settings.TickEvery = 7 * time.Minute
	s.start(settings)
	s.createJobs(3, longTimeout)
	s.run(settings.TickEvery + 5*time.Second)
	v := s.check("no tick for 7 minutes", chaos.Promise{})
	if v.Missed == 0 {
		t.Error("nothing was missed: the ticks were not away for long enough")
	}
}
