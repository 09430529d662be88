package app

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/internal/executor"
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
	runner := executor.New(env.executions(db).WithKeys(ring), dispatcher, client, clock, env.Log)

	return invoked(env, db, func(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
		bodies, traces := make([]string, len(event.Records)), make([]string, len(event.Records))
		for i, record := range event.Records {
			bodies[i], traces[i] = record.Body, record.Attributes["AWSTraceHeader"]
		}
		// An empty list rather than null: both mean that all is done.
		response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
		for i, err := range runner.Run(executor.WithTraces(ctx, traces), bodies) {
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
