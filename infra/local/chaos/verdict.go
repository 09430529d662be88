package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Verdict is what a scenario came to.
type Verdict struct {
	Instants int // that were due while their job was active
	Missed   int // of those, inside a summary
	Calls    int
	Doubled  int // executions that a target saw more than once
	// Lateness of first attempts, as their target saw them.
	LateP99, LateMost time.Duration
	// Problems are promises that were not kept.
	Problems []string
}

// maxProblems bounds what one scenario reports.
const maxProblems = 20

func (v *Verdict) problem(format string, args ...any) {
	if len(v.Problems) < maxProblems {
		v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
	}
}

// Promise is what a scenario's faults leave of the promises.
type Promise struct {
	// MayDouble allows more than one call for an instant, where the attempt
	// before is recorded as failed or lost.
	MayDouble bool
}

// Judge compares what was due for jobs, what the database holds, and what their
// target received.
func Judge(ctx context.Context, db *sql.DB, jobs []Job, target *Target, promise Promise) (Verdict, error) {
	l, err := readLedger(ctx, db)
	if err != nil {
		return Verdict{}, err
	}
	v := judge(jobs, l, target.Calls(), promise)
	for _, fault := range target.Faults() {
		v.problem("%v", fault)
	}
	return v, nil
}

// judge compares what was due, what the database holds, and what the target
// received.
func judge(jobs []Job, l ledger, calls []Call, promise Promise) Verdict {
	var v Verdict
	perJob := map[int64][]row{}
	byID := map[int64]row{}
	for _, r := range l.rows {
		perJob[r.jobID] = append(perJob[r.jobID], r)
		byID[r.id] = r
		if !r.status.Terminal() {
			v.problem("execution %d for %s never ended: %s, attempt %d", r.id, clock(r.scheduledFor), r.status, r.attempt)
		}
	}
	called := judgeCalls(&v, l, byID, calls, promise)
	for _, j := range jobs {
		judgeJob(&v, j, perJob[j.ID], called)
	}
	return v
}

// judgeCalls looks at every call, and returns how many each execution had.
func judgeCalls(v *Verdict, l ledger, byID map[int64]row, calls []Call, promise Promise) map[int64]int {
	v.Calls = len(calls)
	attempts := map[attemptKey]int{}
	perExecution := map[int64]int{}
	var lateness []time.Duration
	for _, c := range calls {
		key := attemptKey{c.ExecutionID, c.Attempt}
		if attempts[key]++; attempts[key] > 1 {
			v.problem("execution %d attempt %d was called %d times", c.ExecutionID, c.Attempt, attempts[key])
		}
		perExecution[c.ExecutionID]++
		if c.At.Before(c.ScheduledFor) {
			v.problem("the call for %s came %s early", clock(c.ScheduledFor), c.ScheduledFor.Sub(c.At))
		}
		if r, ok := byID[c.ExecutionID]; !ok || r.jobID != c.JobID || !r.scheduledFor.Equal(c.ScheduledFor) {
			v.problem("a call for execution %d of job %d at %s, which the database does not hold", c.ExecutionID, c.JobID, clock(c.ScheduledFor))
		}
		if c.Attempt == 1 {
			lateness = append(lateness, c.At.Sub(c.ScheduledFor))
			continue
		}
		if _, ok := l.failed[attemptKey{c.ExecutionID, c.Attempt - 1}]; !ok {
			v.problem("execution %d got attempt %d although the one before is not recorded as failed", c.ExecutionID, c.Attempt)
		}
	}
	for id, n := range perExecution {
		if n > 1 {
			if v.Doubled++; !promise.MayDouble {
				v.problem("execution %d was called %d times (%s)", id, n, l.failed[attemptKey{id, 1}])
			}
		}
	}
	if len(lateness) > 0 {
		slices.Sort(lateness)
		v.LateP99, v.LateMost = lateness[(len(lateness)*99-1)/100], lateness[len(lateness)-1]
	}
	return perExecution
}

// judgeJob looks at every instant that was due for a job.
func judgeJob(v *Verdict, j Job, rows []row, called map[int64]int) {
	instants := map[time.Time]row{}
	var missed []row
	for _, r := range rows {
		if r.status == execution.Success && called[r.id] == 0 {
			v.problem("execution %d is a success that no target saw", r.id)
		}
		if r.status == execution.Missed && r.missedUntil != nil {
			missed = append(missed, r)
			continue
		}
		if r.occurrence == nil {
			v.problem("execution %d has no instant", r.id)
			continue
		}
		if at := r.occurrence.Add(-j.Offset); !at.Equal(at.Truncate(j.Period)) {
			v.problem("execution %d is for %s, which is not on job %d's schedule", r.id, clock(*r.occurrence), j.ID)
		}
		if _, ok := instants[r.occurrence.UTC()]; ok {
			v.problem("job %d has two executions for %s", j.ID, clock(*r.occurrence))
		}
		instants[r.occurrence.UTC()] = r
	}
	for at := j.From.UTC().Add(-j.Offset).Truncate(j.Period).Add(j.Period + j.Offset); at.Before(j.Until); at = at.Add(j.Period) {
		v.Instants++
		r, ok := instants[at]
		covered := slices.ContainsFunc(missed, func(m row) bool { return !at.Before(m.scheduledFor) && !at.After(*m.missedUntil) })
		switch {
		case !ok && !covered:
			v.problem("job %d has nothing for %s", j.ID, clock(at))
		case !ok:
			v.Missed++
		case covered:
			v.problem("job %d has both execution %d and a summary for %s", j.ID, r.id, clock(at))
		case r.status == execution.Cancelled && !at.Before(j.Settled):
		case r.status != execution.Success && !slices.Contains(j.Endings, r.status):
			v.problem("execution %d for %s ended as %s (%s)", r.id, clock(at), r.status, r.reason)
		}
	}
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05.000") }
