package simulation

import (
	"context"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// restWithin is how long after the last fault everything that was due before it
// may take to end: the longest time to a resend, and then some.
const restWithin = 40 * time.Minute

// heal is the second part of a run: nothing breaks any more, ticks come every
// minute, and what was due by now comes to its end.
func (s *simulation) heal(ctx context.Context) {
	if len(s.findings) > 0 {
		return
	}
	s.note("everything heals")
	s.healed = true
	s.databaseSkew = 0
	healed := time.Now()
	s.nextTick = healed
	s.settle(ctx)
	s.mu.Lock()
	for _, a := range s.actors {
		a.frozen = time.Time{}
	}
	s.mu.Unlock()
	for s.goesOn() {
		s.settle(ctx)
		if left := s.unfinished(healed); left == nil && time.Since(healed) > 2*time.Minute {
			break
		} else if time.Since(healed) > restWithin {
			s.find("I11", "not ended %s after the last fault: %s", restWithin, left)
			return
		}
		s.step++
		s.next(ctx)
	}
	if len(s.findings) == 0 {
		s.checkRest(ctx)
	}
}

// unfinished is a row of before some time that is not yet final.
func (s *simulation) unfinished(before time.Time) *row {
	for _, r := range s.rows {
		if r.scheduled.Before(before) && !r.status.Terminal() {
			return r
		}
	}
	return nil
}

// checkRest pairs instants, rows and calls.
func (s *simulation) checkRest(ctx context.Context) {
	for _, j := range s.jobRows {
		switch up := j.active && !j.deleted && s.categoryUp[j.category]; {
		case up && !j.next.Valid:
			s.find("I10", "job %d is active and has no next run", j.id)
		case up && j.next.V.Before(time.Now()):
			s.find("I10", "job %d is due since %s", j.id, j.next.V)
		case !up && j.next.Valid:
			s.find("I5", "job %d is stopped and has a next run", j.id)
		}
	}
	called := map[int64]int{}
	for _, c := range s.calls {
		called[c.execution]++
		if s.rows[c.execution] == nil {
			s.find("doubled", "a call for execution %d, which does not exist", c.execution)
		}
	}
	for _, r := range s.rows {
		n := called[r.id]
		switch r.status {
		case execution.Success, execution.Failed:
			if n == 0 && r.failure.V != string(execution.ErrCancelled) && r.failure.V != string(execution.ErrInternal) {
				s.find("lost", "never called: %s", r)
			}
		case execution.Skipped, execution.Missed:
			// A replay that failed while overlaps were allowed may meet, at its
			// next attempt, a run that began when they no longer were.
			if n > 0 && !(r.trigger == execution.Replay && r.attempt > n) {
				s.find("doubled", "called %d times: %s", n, r)
			}
		case execution.Cancelled:
			if n > 0 && r.fence == 0 {
				s.find("doubled", "called %d times: %s", n, r)
			}
		}
		if n > s.requests[requestKey{r.job, r.revision}].retries+1 {
			s.find("I8", "called %d times: %s", n, r)
		}
	}
	s.checkStatistics(ctx)
	s.checkSummaries(ctx)
}

// checkSummaries counts the history anew, and compares it with the summaries.
func (s *simulation) checkSummaries(ctx context.Context) {
	looked, err := mysql.NewRollups(s.plain).Repair(ctx, true)
	if err != nil {
		s.find("summaries", "%v", err)
	}
	for _, fault := range looked.Faults {
		s.find("summaries", "%s", fault)
	}
}

// checkStatistics compares what runs add up to with the runs.
func (s *simulation) checkStatistics(ctx context.Context) {
	rows, err := s.plain.QueryContext(ctx, `SELECT e.job_id, COUNT(*), SUM(e.status = 'success'), COALESCE(MAX(t.total_executions), 0), COALESCE(MAX(t.success_count), 0)
		FROM executions e LEFT JOIN job_stats t ON t.job_id = e.job_id WHERE e.status IN ('success', 'failed', 'abandoned') GROUP BY e.job_id`)
	if err != nil {
		s.find("statistics", "%v", err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id, runs, successes, counted, countedSuccesses int64
		if err := rows.Scan(&id, &runs, &successes, &counted, &countedSuccesses); err != nil {
			s.find("statistics", "%v", err)
		} else if runs != counted || successes != countedSuccesses {
			s.find("statistics", "job %d: %d runs, %d successes; counted are %d and %d", id, runs, successes, counted, countedSuccesses)
		}
	}
	if err := rows.Err(); err != nil {
		s.find("statistics", "%v", err)
	}
}

// stop lets every actor go on until it ends.
func (s *simulation) stop() {
	s.mu.Lock()
	for _, a := range s.actors {
		a.crashed = true
	}
	s.mu.Unlock()
	for s.alive() > 0 {
		time.Sleep(time.Second)
		for _, w := range s.everyone() {
			s.release(w, verdict{err: errCrashed, crash: true})
		}
	}
}

func (s *simulation) everyone() []*parked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*parked(nil), s.waiting...)
}
