package chaos_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// What is demanded beside calls that hang, of the 99th percentile of lateness: at
// any time, and from a minute after the first of them on.
const (
	lateAtMost      = 5 * time.Second
	lateAtMostLater = time.Second
	later           = time.Minute
)

// The hanging jobs of the full form: how many, when they are due, and for how
// long each of their calls hangs.
const (
	manyHanging = 5000
	hangEvery   = 2 * time.Minute
	hangFor     = 60 * time.Second
)

// hangingEndings is how a run may end whose target hangs.
var hangingEndings = []execution.Status{execution.Failed, execution.Skipped, execution.Cancelled}

// TestOneHostHangs holds 5,000 calls of one host open at once, beside jobs that
// are well; the pollers are limited as AWS's are. A tick has claimed the hanging
// ones, and their messages hold up to a hundred.
//
// It is not parallel, and so has the machine to itself, for it demands times.
func TestOneHostHangs(t *testing.T) { //nolint:paralleltest // see above
	needFull(t)
	oneHostHangs(t, "one host hangs", func(s *stage, hangs *chaos.Target, category int64) []chaos.Job {
		jobs := s.createHanging(manyHanging, hangs, category)
		s.do(http.MethodPatch, fmt.Sprintf("/categories/%d", category), map[string]any{"status": "active"}, nil)
		return jobs
	})
}

// TestOneHostOfNewJobsHangs does the same with jobs that are claimed one by one,
// as they are made: each of their runs has a message of its own.
func TestOneHostOfNewJobsHangs(t *testing.T) { //nolint:paralleltest // as the one before
	needFull(t)
	oneHostHangs(t, "one host of new jobs hangs", func(s *stage, hangs *chaos.Target, category int64) []chaos.Job {
		s.do(http.MethodPatch, fmt.Sprintf("/categories/%d", category), map[string]any{"status": "active"}, nil)
		// All of them before the first is due.
		s.run(time.Until(time.Now().Truncate(hangEvery).Add(hangEvery)))
		return s.createHanging(manyHanging, hangs, category)
	})
}

func oneHostHangs(t *testing.T, scenario string, create func(s *stage, hangs *chaos.Target, category int64) []chaos.Job) {
	t.Helper()
	s := newStage(t)
	s.patience = 5 * time.Minute
	settings := s.settings()
	settings.Limited = true
	s.start(settings)
	s.createJobs(10, longTimeout)
	hangs := newTarget(t, true)
	var its struct{ ID int64 }
	s.do(http.MethodPost, "/categories", map[string]any{"name": "Hanging", "color": "#FF0000", "status": "inactive"}, &its)
	began := time.Now()
	hanging := create(s, hangs, its.ID)
	t.Logf("%d hanging jobs, made in %s", len(hanging), time.Since(began).Round(time.Second))
	s.await("calls that hang", hangEvery+30*time.Second, func() bool { return len(hangs.Calls()) > 0 })
	first := hangs.Calls()[0].ScheduledFor
	s.run(time.Until(first.Add(hangEvery + later/2)))
	for i := range hanging {
		hanging[i].From, hanging[i].Until = first.Add(-time.Second), time.Now()
	}
	s.do(http.MethodPatch, fmt.Sprintf("/categories/%d", its.ID), map[string]any{"status": "inactive"}, nil)
	s.check(scenario+": the healthy jobs beside it", chaos.Promise{})
	s.judge(fmt.Sprintf("%s: its %d jobs", scenario, len(hanging)), hanging, hangs, chaos.Promise{})
	t.Logf("%d calls hung at once, %d in all", hangs.HungMost(), len(hangs.Calls()))
	if most := hangs.HungMost(); most < manyHanging*9/10 {
		t.Errorf("%d calls hung at once, want %d", most, manyHanging)
	}
	demandTimes(t, s.target.Calls(), first)
}

// createHanging makes jobs whose calls hang, side by side as several people do.
func (s *stage) createHanging(n int, hangs *chaos.Target, category int64) []chaos.Job {
	s.t.Helper()
	jobs, errs := make([]chaos.Job, n), make([]error, n)
	var people sync.WaitGroup
	const crowd = 8
	for person := range crowd {
		people.Go(func() {
			for i := person; i < n; i += crowd {
				jobs[i], errs[i] = s.client.CreateJob(s.t.Context(), fmt.Sprint("Hanging ", i), hangs.URL, hangEvery, map[string]any{
					"cronPattern": fmt.Sprintf("0 */%d * * * *", int(hangEvery.Minutes())), "timeout": hangFor.Milliseconds(),
					"retryAttempts": 0, "categoryId": category,
				})
				jobs[i].Endings = hangingEndings
			}
		})
	}
	people.Wait()
	for _, err := range errs {
		if err != nil {
			s.fatal("create a job: %v", err)
		}
	}
	return jobs
}

// demandTimes looks at how late healthy jobs were beside calls that hang since
// some instant.
func demandTimes(t *testing.T, calls []chaos.Call, since time.Time) {
	t.Helper()
	logLateness(t, calls, 10*time.Second)
	if late := lateP99(calls, since); late > lateAtMost {
		t.Errorf("the healthy jobs' p99 lateness is %s, want at most %s", late, lateAtMost)
	} else {
		t.Logf("p99 lateness while calls hang: %s", late)
	}
	if late := lateP99(calls, since.Add(later)); late > lateAtMostLater {
		t.Errorf("the healthy jobs' p99 lateness from %s after the first hanging call on is %s, want at most %s", later, late, lateAtMostLater)
	} else {
		t.Logf("p99 lateness from %s later on: %s", later, late)
	}
}

// lateP99 is the 99th percentile of the lateness of calls that were due at an
// instant or later.
func lateP99(calls []chaos.Call, from time.Time) time.Duration {
	var late []time.Duration
	for _, c := range calls {
		if c.Attempt == 1 && !c.ScheduledFor.Before(from) {
			late = append(late, c.At.Sub(c.ScheduledFor))
		}
	}
	if len(late) == 0 {
		return 0
	}
	slices.Sort(late)
	return late[(len(late)*99-1)/100]
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

// TestHangingHoldsNoPlaces hangs more calls than all invocations of a lane came
// with: jobs beside them run on, on the places that are held. Without that
// they would wait until the first calls give up.
func TestHangingHoldsNoPlaces(t *testing.T) {
	t.Parallel()
	const (
		// Two invocations of at most ten messages each.
		hanging, places = 60, 2
		hangs           = 30 * time.Second
		// Generous, for a machine that is busy with other scenarios.
		atMost = 20 * time.Second
	)
	s := newStage(t)
	s.patience = 3 * time.Minute
	settings := s.settings()
	settings.Limited, settings.MostInvocations = true, places
	s.start(settings)
	target := newTarget(t, true)
	// One by one, so that each has a message.
	var all []chaos.Job
	for i := range hanging {
		job, err := s.client.CreateJob(t.Context(), fmt.Sprint("Hanging ", i), target.URL, 2*time.Second, map[string]any{
			"timeout": hangs.Milliseconds(), "retryAttempts": 0,
		})
		if err != nil {
			s.fatal("create a job: %v", err)
		}
		job.Endings = hangingEndings
		all = append(all, job)
	}
	s.createJobs(4, longTimeout)
	s.await("calls that hang", time.Minute, func() bool { return target.HungMost() > 10*places })
	since := time.Now()
	s.await("healthy calls beside them", hangs, func() bool {
		return slices.ContainsFunc(s.target.Calls(), func(c chaos.Call) bool { return c.ScheduledFor.After(since.Add(5 * time.Second)) })
	})
	s.pause(all)
	v := s.check("hanging calls on all places: the healthy jobs", chaos.Promise{})
	s.judge(fmt.Sprintf("hanging calls on all places: the %d", hanging), all, target, chaos.Promise{})
	t.Logf("%d calls hung at once", target.HungMost())
	if v.LateMost > atMost {
		t.Errorf("a healthy call was %s late, want at most %s", v.LateMost, atMost)
	}
}

// TestHangingTargetsSpread hides a hanging target among every twenty healthy jobs
// of fifty hosts, ten of which are due in each of five seconds: more than fifty
// messages have one that holds up the worker that has it among others.
func TestHangingTargetsSpread(t *testing.T) { //nolint:paralleltest // as TestOneHostHangs
	needFull(t)
	const (
		hosts, length, seconds = 50, 20, 5
		period, step, timeout  = 15 * time.Second, 3 * time.Second, 50 * time.Second
	)
	s := newStage(t)
	s.patience = 5 * time.Minute
	settings := s.settings()
	settings.Limited = true
	s.start(settings)
	targets := map[bool]*chaos.Target{}
	for _, hang := range []bool{false, true} {
		target, err := chaos.NewTargetEverywhere(hang)
		if err != nil {
			s.fatal("a target: %v", err)
		}
		t.Cleanup(target.End)
		targets[hang] = target
	}
	s.target = targets[false]
	var its struct{ ID int64 }
	s.do(http.MethodPost, "/categories", map[string]any{"name": "Spread", "color": "#FF0000", "status": "inactive"}, &its)
	var hanging []chaos.Job
	for host := range hosts {
		offset := time.Duration(host%seconds) * step
		for i := range length + 1 {
			hang := i == length
			job, err := s.client.CreateJob(t.Context(), fmt.Sprintf("Spread %d-%d", host, i), targets[hang].At(host+1), period, map[string]any{
				"cronPattern": fmt.Sprintf("%d-59/%d * * * * *", int(offset.Seconds()), int(period.Seconds())),
				"timeout":     timeout.Milliseconds(), "retryAttempts": 0, "categoryId": its.ID,
			})
			if err != nil {
				s.fatal("create a job: %v", err)
			}
			job.Offset = offset
			if hang {
				job.Endings = hangingEndings
				hanging = append(hanging, job)
			} else {
				s.jobs = append(s.jobs, job)
			}
		}
	}
	s.do(http.MethodPatch, fmt.Sprintf("/categories/%d", its.ID), map[string]any{"status": "active"}, nil)
	s.await("calls that hang", 60*time.Second, func() bool { return targets[true].HungMost() >= hosts })
	first := targets[true].Calls()[0].ScheduledFor
	for _, jobs := range [][]chaos.Job{s.jobs, hanging} {
		for i := range jobs {
			jobs[i].From = first.Add(period) // a tick has made them all follow
		}
	}
	s.run(2 * time.Minute)
	s.pause(hanging)
	s.check("50 hanging targets, spread: the healthy jobs", chaos.Promise{})
	s.judge("50 hanging targets, spread: theirs", hanging, targets[true], chaos.Promise{})
	t.Logf("%d calls hung at once", targets[true].HungMost())
	demandTimes(t, s.target.Calls(), first)
}
