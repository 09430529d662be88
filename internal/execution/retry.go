package execution

import (
	"math"
	"net/http"
	"time"
)

// Backoff is how the delay between attempts grows.
type Backoff string

// The backoffs.
const (
	Fixed       Backoff = "fixed"
	Exponential Backoff = "exponential"
)

// Limits of retrying.
const (
	// MaxRetryDelay bounds exponential growth and what a target may ask for
	// with Retry-After.
	MaxRetryDelay = time.Hour
	// backoffSpread is the share by which exponential delays are scattered, so
	// that the jobs that failed together do not return together.
	backoffSpread = 0.2
)

// RetryPolicy says how many attempts follow a failed one, and when.
type RetryPolicy struct {
	Attempts int // retries after the first attempt, 0–5
	Delay    time.Duration
	Backoff  Backoff
}

// Outcome is how one attempt ended.
type Outcome struct {
	Failure *Failure // nil on success
	// Status is the answer's, 0 where none came.
	Status int
	// RetryAfter is what the target asked for, 0 where it did not.
	RetryAfter time.Duration
}

// Next decides what follows attempt number attempt (from 1) with that outcome:
// the delay before the next one, or false where none follows. random is in
// [0,1).
func (p RetryPolicy) Next(attempt int, outcome Outcome, random float64) (time.Duration, bool) {
	if outcome.Failure == nil || attempt > p.Attempts || !Retryable(outcome) {
		return 0, false
	}
	delay := p.delay(attempt, random)
	if asked := min(outcome.RetryAfter, MaxRetryDelay); asked > delay {
		delay = asked
	}
	return delay, true
}

func (p RetryPolicy) delay(attempt int, random float64) time.Duration {
	if p.Backoff != Exponential {
		return p.Delay
	}
	grown := float64(p.Delay) * math.Pow(2, float64(attempt-1))
	grown = min(grown, float64(MaxRetryDelay))
	return time.Duration(grown * (1 + backoffSpread*(2*random-1))).Truncate(time.Millisecond)
}

// Retryable reports whether another attempt can help: failures of the network,
// timeouts, and the answers 408, 425, 429 and 5xx. Other answers, and calls
// that the product itself refused to make, would only fail again.
func Retryable(outcome Outcome) bool {
	if outcome.Failure == nil {
		return false
	}
	switch outcome.Failure.Kind {
	case ErrDNS, ErrConnect, ErrTLS, ErrTimeout, ErrReset, ErrProtocol, ErrCancelled, ErrInternal:
		return true
	case ErrHTTPStatus:
		switch outcome.Status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		default:
			return outcome.Status >= 500
		}
	default:
		return false
	}
}
