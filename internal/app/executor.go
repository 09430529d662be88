package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

// ExecutorHandler is the Lambda handler of the executor: it answers which
// messages the queue must deliver again.
type ExecutorHandler func(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error)

// NewExecutor makes the executor. close lets go of what it holds.
func NewExecutor(ctx context.Context, env Env) (handler ExecutorHandler, closeAll func() error, err error) {
	env = env.withDefaults()
	db, err := env.openDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	dispatcher, err := env.openDispatcher(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	ring, err := env.keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	clock := executor.WallClock{}
	client := executor.NewClient(executor.NewTransport(executor.ClientOptions{Allow: env.Config.EgressAllow}), clock)
	inboxes, err := env.openInboxes(ctx)
	if err != nil {
		return nil, nil, err
	}
	runner := executor.New(env.executions(db).WithKeys(ring), dispatcher, client, clock, env.Log)

	return invoked(env, db, func(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
		bodies, traces := make([]string, len(event.Records)), make([]string, len(event.Records))
		for i, record := range event.Records {
			bodies[i], traces[i] = record.Body, record.Attributes["AWSTraceHeader"]
		}
		// An empty list rather than null: both mean that all is done.
		response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
		for i, err := range runner.RunFrom(executor.WithTraces(ctx, traces), inboxes.of(event), bodies) {
			if err == nil {
				continue
			}
			env.Log.ErrorContext(ctx, "a message is left to the queue", "messageId", event.Records[i].MessageId, "err", err)
			response.BatchItemFailures = append(response.BatchItemFailures,
				events.SQSBatchItemFailure{ItemIdentifier: event.Records[i].MessageId})
		}
		return response, nil
	}), db.Close, nil
}

// inboxWait is how long an invocation that is held waits for messages at a time,
// and so how much longer than its calls it may last.
const inboxWait = time.Second

// inbox is an SQS queue as the executor sees it.
type inbox struct{ queue *sqsqueue.Queue }

func (i inbox) Receive(ctx context.Context, most int) ([]executor.Delivery, error) {
	received, err := i.queue.Receive(ctx, most, inboxWait)
	deliveries := make([]executor.Delivery, len(received))
	for n, m := range received {
		deliveries[n] = executor.Delivery(m)
	}
	return deliveries, err
}

func (i inbox) Done(ctx context.Context, receipts []string) error {
	return i.queue.Delete(ctx, receipts)
}

// inboxes are the lanes, by the names of their queues.
type inboxes map[string]inbox

func (e Env) openInboxes(ctx context.Context) (inboxes, error) {
	client, err := sqsqueue.NewClient(ctx, region(), e.Config.Queues.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	all := inboxes{}
	for _, url := range []string{e.Config.Queues.FastURL, e.Config.Queues.SlowURL} {
		all[url[strings.LastIndexByte(url, '/')+1:]] = inbox{sqsqueue.New(client, url)}
	}
	return all, nil
}

// of is the queue that an event comes from; nil where it is none of the lanes'.
func (all inboxes) of(event events.SQSEvent) executor.Inbox {
	for _, record := range event.Records {
		arn := record.EventSourceARN
		if from, ok := all[arn[strings.LastIndexByte(arn, ':')+1:]]; ok {
			return from
		}
	}
	return nil
}
