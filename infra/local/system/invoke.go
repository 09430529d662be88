package system

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"github.com/cronjobs/cronjobs/internal/app"
)

// invocation is a context as Lambda gives it.
func invocation(ctx context.Context) context.Context {
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: uuid.NewString()})
}

// invoke calls a handler with an event and reads its answer, both as JSON, as
// Lambda does.
func invoke(ctx context.Context, handler lambda.Handler, event, answer any) error {
	payload, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	out, err := handler.Invoke(invocation(ctx), payload)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, answer)
}

// tickTimeout is the tick function's timeout.
const tickTimeout = 55 * time.Second

// schedulerEvent is what EventBridge Scheduler sends, with our own switch.
type schedulerEvent struct {
	Version    string    `json:"version"`
	ID         string    `json:"id"`
	DetailType string    `json:"detail-type"`
	Source     string    `json:"source"`
	Time       time.Time `json:"time"`
	Detail     string    `json:"detail"`
	app.TickEvent
}

// ticks invokes the tick at once and then at every interval. The first one
// sends every waiting execution again: the queue that held the messages lived
// in the memory of an earlier run. Where it fails the next one does.
func (s *System) ticks(ctx context.Context, tick lambda.Handler) {
	ticker := time.NewTicker(s.opts.TickEvery)
	defer ticker.Stop()
	for forgotten := true; ; {
		event := schedulerEvent{
			Version: "0", ID: uuid.NewString(), DetailType: "Scheduled Event", Source: "aws.scheduler",
			Time: time.Now().UTC().Truncate(time.Second), Detail: "{}", TickEvent: app.TickEvent{ResendWaiting: forgotten},
		}
		if s.tickOnce(ctx, tick, event) == nil {
			forgotten = false
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.asked:
		}
	}
}

// askTick asks for a tick at once, as the API does where it leaves work behind.
// Several that ask before it begins get one.
func (s *System) askTick(context.Context) error {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	return nil
}

func (s *System) tickOnce(ctx context.Context, tick lambda.Handler, event schedulerEvent) error {
	ctx, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	var result app.TickResult
	err := invoke(ctx, tick, event, &result)
	if err != nil && ctx.Err() == nil {
		s.log.Error("the tick failed; the next one goes on", "err", err)
	}
	return err
}
