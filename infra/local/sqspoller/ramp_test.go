package sqspoller_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
)

// holdFor is a function that takes that long and succeeds.
func holdFor(d time.Duration) func(context.Context, events.SQSEvent) (string, error) {
	return func(context.Context, events.SQSEvent) (string, error) {
		time.Sleep(d)
		return "", nil
	}
}

// perSecond counts the invocations that began in each second of the run.
func perSecond(calls []call) map[int]int {
	counts := make(map[int]int)
	for _, made := range calls {
		counts[int(made.After/time.Second)]++
	}
	return counts
}

func TestRampStartsWithFiveAndAddsFiveASecond(t *testing.T) {
	underVirtualTime(t, func(t *testing.T) {
		m := startMapping(t, sqspoller.Config{BatchSize: 1, Ramp: true}, nil, holdFor(time.Minute))
		m.send("m", 30)
		advance(3500 * time.Millisecond)
		if diff := cmp.Diff(map[int]int{0: 5, 1: 5, 2: 5, 3: 5}, perSecond(m.invocations())); diff != "" {
			t.Errorf("invocations begun in each second (-want +got):\n%s", diff)
		}
	})
}

func TestWithoutLimitsABurstBeginsAtOnce(t *testing.T) {
	underVirtualTime(t, func(t *testing.T) {
		m := startMapping(t, sqspoller.Config{BatchSize: 1}, nil, holdFor(time.Minute))
		m.send("m", 100)
		advance(time.Millisecond)
		if diff := cmp.Diff(map[int]int{0: 100}, perSecond(m.invocations())); diff != "" {
			t.Errorf("invocations begun in each second (-want +got):\n%s", diff)
		}
	})
}
