package execution_test

import (
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

func TestTerminalAndWaiting(t *testing.T) {
	t.Parallel()
	under := map[execution.Status]bool{execution.Pending: true, execution.Queued: true, execution.Running: true}
	for _, status := range execution.Statuses {
		if status.Terminal() == under[status] {
			t.Errorf("%s: Terminal = %t", status, status.Terminal())
		}
		if status.Waiting() != (status == execution.Pending || status == execution.Queued) {
			t.Errorf("%s: Waiting = %t", status, status.Waiting())
		}
	}
}

func TestRetryableByOutcome(t *testing.T) {
	t.Parallel()
	kind := func(k execution.ErrorKind) execution.Outcome {
		return execution.Outcome{Failure: &execution.Failure{Kind: k}}
	}
	status := func(code int) execution.Outcome {
		return execution.Outcome{Failure: &execution.Failure{Kind: execution.ErrHTTPStatus}, Status: code}
	}
	for name, tc := range map[string]struct {
		outcome execution.Outcome
		want    bool
	}{
		"success":         {execution.Outcome{Status: 200}, false},
		"dns":             {kind(execution.ErrDNS), true},
		"timeout":         {kind(execution.ErrTimeout), true},
		"reset":           {kind(execution.ErrReset), true},
		"blocked address": {kind(execution.ErrBlockedAddress), false},
		"redirect":        {kind(execution.ErrRedirect), false},
		"400":             {status(400), false},
		"404":             {status(404), false},
		"408":             {status(408), true},
		"410":             {status(410), false},
		"425":             {status(425), true},
		"429":             {status(429), true},
		"500":             {status(500), true},
		"503":             {status(503), true},
	} {
		if got := execution.Retryable(tc.outcome); got != tc.want {
			t.Errorf("%s: Retryable = %t, want %t", name, got, tc.want)
		}
	}
}

func TestRetryPolicyNext(t *testing.T) {
	t.Parallel()
	failed := execution.Outcome{Failure: &execution.Failure{Kind: execution.ErrTimeout}}
	asked := func(d time.Duration) execution.Outcome {
		o := failed
		o.RetryAfter = d
		return o
	}
	fixed := execution.RetryPolicy{Attempts: 3, Delay: time.Second, Backoff: execution.Fixed}
	exponential := execution.RetryPolicy{Attempts: 5, Delay: 10 * time.Minute, Backoff: execution.Exponential}
	for name, tc := range map[string]struct {
		policy  execution.RetryPolicy
		attempt int
		outcome execution.Outcome
		random  float64
		want    time.Duration
		again   bool
	}{
		"fixed, first":                   {fixed, 1, failed, 0.5, time.Second, true},
		"fixed, last retry":              {fixed, 3, failed, 0.5, time.Second, true},
		"fixed, allowance used":          {fixed, 4, failed, 0.5, 0, false},
		"success ends it":                {fixed, 1, execution.Outcome{Status: 204}, 0.5, 0, false},
		"exponential, doubled":           {exponential, 2, failed, 0.5, 20 * time.Minute, true},
		"exponential, bounded":           {exponential, 5, failed, 0.5, time.Hour, true},
		"exponential, scattered down":    {exponential, 1, failed, 0, 8 * time.Minute, true},
		"asked for more":                 {fixed, 1, asked(time.Minute), 0.5, time.Minute, true},
		"asked for less than the policy": {exponential, 1, asked(time.Second), 0.5, 10 * time.Minute, true},
		"asked for too much":             {fixed, 1, asked(48 * time.Hour), 0.5, time.Hour, true},
	} {
		got, again := tc.policy.Next(tc.attempt, tc.outcome, tc.random)
		if got != tc.want || again != tc.again {
			t.Errorf("%s: Next = %s, %t; want %s, %t", name, got, again, tc.want, tc.again)
		}
	}
}
