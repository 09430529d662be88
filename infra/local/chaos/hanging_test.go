package chaos_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// TestOneHostHangs holds one host's calls open beside healthy jobs, 6,000 at
// once in the full form.
func TestOneHostHangs(t *testing.T) {
	t.Parallel()
	v := oneHostHangs(t, "one host hangs", "inactive")
	// Beside other tests a machine may be too busy for a demand on time.
	if *full && v.LateP99 > 5*time.Second {
		t.Errorf("the healthy jobs' p99 lateness is %s, want at most 5 s", v.LateP99)
	}
}

// TestOneHostOfNewJobsHangs does the same with jobs that are claimed one by one,
// as they are made: each of their messages holds one execution until the
// look-ahead is over, and as many workers are held. How late that makes others
// is told, and nothing is demanded of it.
func TestOneHostOfNewJobsHangs(t *testing.T) {
	t.Parallel()
	needFull(t)
	oneHostHangs(t, "one host of new jobs hangs", "active")
}

func oneHostHangs(t *testing.T, scenario, category string) chaos.Verdict {
	t.Helper()
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
	// Switched on all at once where the category was inactive.
	var its struct{ ID int64 }
	s.do(http.MethodPost, "/categories", map[string]any{"name": "Hanging", "color": "#FF0000", "status": category}, &its)
	for i := range hanging {
		job, err := s.client.CreateJob(t.Context(), fmt.Sprint("Hanging ", i), hangs.URL, period, map[string]any{
			"timeout": timeout.Milliseconds(), "retryAttempts": 0, "categoryId": its.ID,
		})
		if err != nil {
			s.fatal("create a job: %v", err)
		}
		job.Endings = []execution.Status{execution.Failed, execution.Skipped, execution.Cancelled}
		s.jobs = append(s.jobs, job)
	}
	s.do(http.MethodPatch, fmt.Sprintf("/categories/%d", its.ID), map[string]any{"status": "active"}, nil)
	s.await("calls that hang", 60*time.Second, func() bool { return len(hangs.Calls()) > 0 })
	s.run(period)
	for i := healthy; i < len(s.jobs); i++ {
		s.jobs[i].From = time.Now() // a tick has made them all follow
	}
	s.run(lasts)
	paused := s.jobs[healthy:]
	s.jobs = s.jobs[:healthy]
	s.pause(paused)
	v := s.check(scenario+": the healthy jobs beside it", chaos.Promise{})
	s.judge(fmt.Sprintf("%s: its %d jobs", scenario, hanging), paused, hangs, chaos.Promise{})
	logLateness(t, s.target.Calls(), 20*time.Second)
	return v
}

// logLateness says how lateness went as time passed.
func logLateness(t *testing.T, calls []chaos.Call, step time.Duration) {
	t.Helper()
	if len(calls) == 0 {
		return
	}
	slices.SortFunc(calls, func(a, b chaos.Call) int { return a.ScheduledFor.Compare(b.ScheduledFor) })
	for start := calls[0].ScheduledFor; len(calls) > 0; start = start.Add(step) {
		n, most := 0, time.Duration(0)
		for n < len(calls) && calls[n].ScheduledFor.Before(start.Add(step)) {
			most = max(most, calls[n].At.Sub(calls[n].ScheduledFor))
			n++
		}
		calls = calls[n:]
		t.Logf("due from %s on: %d calls, at most %s late", start.Format("15:04:05"), n, most.Round(time.Millisecond))
	}
}

// TestHangingTargetsSpread hides a hanging target of its own in every stretch of
// healthy jobs, all due in the same second: at first each holds up the worker
// that has it among others. How late that makes the others is told; that all are
// called is demanded.
func TestHangingTargetsSpread(t *testing.T) {
	t.Parallel()
	needFull(t)
	const (
		stretches, length = 50, 20
		period, timeout   = 15 * time.Second, 30 * time.Second
	)
	s := newStage(t)
	s.patience = 5 * time.Minute
	settings := s.settings()
	settings.Limited = true
	s.start(settings)
	var its struct{ ID int64 }
	s.do(http.MethodPost, "/categories", map[string]any{"name": "Spread", "color": "#FF0000", "status": "inactive"}, &its)
	create := func(name, url string, body map[string]any) chaos.Job {
		body["categoryId"] = its.ID
		job, err := s.client.CreateJob(t.Context(), name, url, period, body)
		if err != nil {
			s.fatal("create a job: %v", err)
		}
		return job
	}
	var hanging []chaos.Job
	var targets []*chaos.Target
	for i := range stretches {
		target := newTarget(t, true)
		job := create(fmt.Sprint("Hanging ", i), target.URL, map[string]any{"timeout": timeout.Milliseconds(), "retryAttempts": 0})
		job.Endings = []execution.Status{execution.Failed, execution.Skipped, execution.Cancelled}
		hanging, targets = append(hanging, job), append(targets, target)
		for j := range length {
			s.jobs = append(s.jobs, create(fmt.Sprintf("Healthy %d-%d", i, j), s.target.URL, map[string]any{"timeout": longTimeout.Milliseconds()}))
		}
	}
	s.do(http.MethodPatch, fmt.Sprintf("/categories/%d", its.ID), map[string]any{"status": "active"}, nil)
	s.await("calls", 60*time.Second, func() bool { return len(s.target.Calls()) > 0 })
	s.run(period)
	for _, jobs := range [][]chaos.Job{s.jobs, hanging} {
		for i := range jobs {
			jobs[i].From = time.Now() // a tick has made them all follow
		}
	}
	s.run(2 * time.Minute)
	s.pause(hanging)
	s.check("50 hanging targets, spread: the healthy jobs", chaos.Promise{})
	hung := 0
	for _, target := range targets {
		hung += len(target.Calls())
	}
	if hung < stretches {
		t.Errorf("%d calls hung, want one of each target at least", hung)
	}
	logLateness(t, s.target.Calls(), period)
}
