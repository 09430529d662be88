package chaos_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// TestOneHostHangs holds one host's calls open beside healthy jobs.
func TestOneHostHangs(t *testing.T) {
	t.Parallel()
	hanging, period, timeout, lasts := 50, 2*time.Second, 8*time.Second, 12*time.Second
	if *full {
		hanging, period, timeout, lasts = 600, 6*time.Second, 60*time.Second, 2*time.Minute
	}
	s := newStage(t)
	s.patience = 5 * time.Minute
	settings := s.settings()
	settings.Limited = true
	s.start(settings)
	hangs := newTarget(t, true)
	s.createJobs(10, longTimeout)
	healthy := len(s.jobs)
	for i := range hanging {
		job, err := s.client.CreateJob(t.Context(), fmt.Sprint("Hanging ", i), hangs.URL, period, map[string]any{
			"timeout": timeout.Milliseconds(), "retryAttempts": 0,
		})
		if err != nil {
			s.fatal("create a job: %v", err)
		}
		job.Endings = []execution.Status{execution.Failed, execution.Skipped, execution.Cancelled}
		s.jobs = append(s.jobs, job)
	}
	s.run(lasts)
	for i := healthy; i < len(s.jobs); i++ {
		if err := s.client.Pause(t.Context(), &s.jobs[i]); err != nil {
			s.fatal("pause: %v", err)
		}
	}
	paused := append([]chaos.Job(nil), s.jobs[healthy:]...)
	s.jobs = s.jobs[:healthy]
	v := s.check("one host hangs: the healthy jobs beside it", chaos.Promise{})
	s.judge(fmt.Sprintf("one host hangs: its %d jobs", hanging), paused, hangs, chaos.Promise{})
	if v.LateP99 > 5*time.Second {
		t.Errorf("the healthy jobs' p99 lateness is %s, want at most 5 s", v.LateP99)
	}
}
