package executor

import (
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// retryGrain is what the instants of retries are rounded up to: one message
// brings executions of one instant, and the calls that a dead target failed
// together should not come back each in a message of its own.
const retryGrain = 100 * time.Millisecond

// decide turns an attempt's outcome into the execution's next state.
func decide(work Work, fence int, attempt execution.Attempt, retryAfter time.Duration) execution.Finish {
	f := execution.Finish{
		ID: work.ID, JobID: work.JobID, CategoryID: work.CategoryID, ScheduledFor: work.ScheduledFor, Fence: fence, Trigger: work.Trigger, Attempt: attempt,
		FirstStartedAt: attempt.StartedAt, Lane: work.Lane, Host: hostOf(work.Request.URL),
	}
	if work.Attempt > 1 && work.StartedAt != nil {
		f.FirstStartedAt = *work.StartedAt
	}
	outcome := execution.Outcome{Failure: attempt.Failure, RetryAfter: retryAfter}
	if attempt.Response != nil {
		outcome.Status = attempt.Response.Status
	}
	f.Unknown = attempt.Failure != nil && attempt.Failure.Kind == execution.ErrCancelled
	// A call that was very slow sends its own next attempt the slow way.
	f.Lane = execution.LaneFor(work.Lane, execution.Pace(attempt.EndedAt.Sub(attempt.StartedAt)))
	delay, again := work.Request.Retry.Next(work.Attempt, outcome, rand.Float64())
	switch {
	case attempt.Failure == nil:
		f.Status = execution.Success
	case again:
		f.Status, f.NotBefore = execution.Pending, roundUp(attempt.EndedAt.Add(delay), retryGrain)
	default:
		f.Status = f.End()
		if f.Unknown {
			f.Reason = execution.OutcomeUnknown
		}
	}
	return f
}

// nextAttempt is the execution that a retry leaves waiting.
func nextAttempt(f execution.Finish) execution.Waiting {
	return execution.Waiting{ID: f.ID, Attempt: f.Attempt.Attempt + 1, NotBefore: f.NotBefore, Lane: f.Lane, Host: f.Host}
}

func roundUp(t time.Time, grain time.Duration) time.Time {
	return t.Add(grain - 1).Truncate(grain)
}

// hostOf is the host and port of a URL that was validated when it was stored.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
