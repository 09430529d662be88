package sqspoller_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

func TestStoppingLetsInvocationsFinishAndReceivesNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cancelled error
		m := startMapping(t, sqspoller.Config{BatchSize: 1, Ramp: true}, nil, func(ctx context.Context, _ events.SQSEvent) (string, error) {
			time.Sleep(20 * time.Second)
			cancelled = errors.Join(cancelled, ctx.Err())
			return "", nil
		})
		m.send("before", 1)
		advance(time.Second)
		stopping := time.Now()
		m.stop()
		if took := time.Since(stopping); took != 19*time.Second {
			t.Errorf("stopping took %v, want the 19s that the invocation still ran", took)
		}
		if cancelled != nil {
			t.Errorf("the invocation's context ended: %v", cancelled)
		}
		m.send("after", 1)
		advance(time.Minute)
		if diff := cmp.Diff([]call{{0, []string{"before0"}}}, m.invocations()); diff != "" {
			t.Errorf("invocations (-want +got):\n%s", diff)
		}
		if got := m.left(); got != "visible 1, in flight 0" {
			t.Errorf("left in the queue: %s, want only what came after", got)
		}
	})
}

func TestStoppingAnIdlePollerIsImmediate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := startMapping(t, sqspoller.Config{BatchSize: 1}, nil, holdFor(0))
		advance(time.Second)
		start := time.Now()
		m.stop()
		if took := time.Since(start); took != 0 {
			t.Errorf("stopping took %v", took)
		}
		if m.log.Len() > 0 {
			t.Errorf("stopping was logged as a failure:\n%s", m.log)
		}
	})
}

func TestReceivingGoesOnAfterFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := startMapping(t, sqspoller.Config{BatchSize: 1, Receivers: 1}, nil, holdFor(0))
		down := time.Now().Add(time.Minute)
		tries := 0
		m.server.SetHooks(sqsserver.Hooks{BeforeCall: func(_ context.Context, call sqsserver.Call) error {
			if call.Operation != "ReceiveMessage" || time.Now().After(down) {
				return nil
			}
			tries++
			return sqsserver.Unavailable()
		}})
		m.send("m", 1)
		advance(20 * time.Second) // the poll that was under way has taken it
		m.send("n", 1)
		advance(50 * time.Second)
		if tries < 5 || tries > 20 {
			t.Errorf("%d receives were tried in a minute's outage, want about one in five seconds", tries)
		}
		calls := m.invocations()
		if len(calls) != 2 || calls[1].After > 66*time.Second {
			t.Errorf("invocations = %v, want the second within 5s of the outage", calls)
		}
		if !strings.Contains(m.log.String(), "ServiceUnavailable") {
			t.Errorf("the log does not tell the outage:\n%s", m.log)
		}
	})
}

func TestMessagesWhoseDeletionFailsComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := startMapping(t, sqspoller.Config{BatchSize: 1}, visibility, holdFor(0))
		failures := 1
		m.server.SetHooks(sqsserver.Hooks{BeforeCall: func(_ context.Context, call sqsserver.Call) error {
			if call.Operation == "DeleteMessageBatch" && failures > 0 {
				failures--
				return sqsserver.Unavailable()
			}
			return nil
		}})
		m.send("m", 1)
		advance(time.Hour)
		want := []call{{0, []string{"m0"}}, {visibilityTimeout, []string{"m0"}}}
		if diff := cmp.Diff(want, m.invocations()); diff != "" {
			t.Errorf("invocations (-want +got):\n%s", diff)
		}
	})
}
