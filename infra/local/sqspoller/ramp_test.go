package sqspoller_test

import (
	"context"
	"testing"
	"testing/synctest"
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

func TestConcurrency(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config sqspoller.Config
		hold   time.Duration
		want   map[int]int // invocations begun, by second, of 30 messages in 5 seconds
	}{
		"without limits a burst begins at once":       {sqspoller.Config{}, time.Hour, map[int]int{0: 30}},
		"one receiver is no limit":                    {sqspoller.Config{Receivers: 1}, time.Hour, map[int]int{0: 30}},
		"a limit holds":                               {sqspoller.Config{MaxConcurrency: 7}, time.Hour, map[int]int{0: 7}},
		"a slot is free when its invocation ends":     {sqspoller.Config{MaxConcurrency: 7}, 2 * time.Second, map[int]int{0: 7, 2: 7, 4: 7}},
		"the ramp adds five a second":                 {sqspoller.Config{Ramp: true}, time.Hour, map[int]int{0: 5, 1: 5, 2: 5, 3: 5, 4: 5}},
		"the ramp adds to slots that free themselves": {sqspoller.Config{Ramp: true}, 1500 * time.Millisecond, map[int]int{0: 5, 1: 10, 2: 10, 3: 5}},
		"the ramp ends at the limit":                  {sqspoller.Config{Ramp: true, MaxConcurrency: 8}, time.Hour, map[int]int{0: 5, 1: 3}},
		"the ramp starts at a lower limit":            {sqspoller.Config{Ramp: true, MaxConcurrency: 2}, time.Hour, map[int]int{0: 2}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test.config.BatchSize = 1
				test.config.FunctionTimeout = 2 * time.Hour
				m := startMapping(t, test.config, nil, holdFor(test.hold))
				m.send("m", 30)
				advance(5*time.Second - time.Millisecond)
				if diff := cmp.Diff(test.want, perSecond(m.invocations())); diff != "" {
					t.Errorf("invocations begun in each second (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRampStartsAnewOnceIdle(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		idle time.Duration
		want int // invocations that begin at once in the second burst
	}{
		"after a short pause": {9 * time.Second, 20},
		"after a long pause":  {time.Minute, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := startMapping(t, sqspoller.Config{BatchSize: 1, Ramp: true}, nil, holdFor(2100*time.Millisecond))
				m.send("first", 15) // fills 5, then 10, then 15 slots, so that there are 20
				advance(4 * time.Second)
				ended := len(m.invocations())
				if ended != 15 {
					t.Fatalf("%d invocations in the first burst, want 15", ended)
				}
				advance(test.idle - time.Second)
				m.send("second", 30)
				advance(time.Millisecond)
				if got := len(m.invocations()) - ended; got != test.want {
					t.Errorf("%d invocations began at once, want %d", got, test.want)
				}
			})
		})
	}
}

func TestRampAddsNothingForSlotsThatWereFullBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := startMapping(t, sqspoller.Config{BatchSize: 1, Ramp: true}, nil, holdFor(400*time.Millisecond))
		m.send("a", 5)
		advance(500 * time.Millisecond)
		m.send("b", 5) // fills the five slots a second time within the second
		advance(2500 * time.Millisecond)
		m.send("c", 30)
		advance(time.Millisecond)
		if got := len(m.invocations()) - 10; got != 10 {
			t.Errorf("%d invocations began at once, want the 10 of one step", got)
		}
	})
}
