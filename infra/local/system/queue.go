package system

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

// The queues and their settings are those of template.yaml.
const (
	fastQueue = "cron-jobs-local-fast"
	slowQueue = "cron-jobs-local-slow"
	deadQueue = "cron-jobs-local-dead"

	region          = "us-east-1"
	functionTimeout = 900 * time.Second
	batchSize       = 10
	// How many invocations a limited lane has at most: the defaults of
	// FastConcurrency and SlowConcurrency.
	fastMost = 20
	slowMost = 6
)

// queue is the local SQS server with the system's queues.
type queue struct {
	server   *sqsserver.Server
	endpoint *sqsserver.Endpoint
	cancel   context.CancelFunc
}

func startQueue() (*queue, error) {
	server := sqsserver.New(sqsserver.Options{})
	if err := server.CreateQueue(deadQueue, map[string]string{"MessageRetentionPeriod": "1209600"}); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	redrive, err := json.Marshal(map[string]any{"deadLetterTargetArn": server.QueueARN(deadQueue), "maxReceiveCount": 5})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{fastQueue, slowQueue} {
		if err := server.CreateQueue(name, map[string]string{
			"VisibilityTimeout": "5400", "MessageRetentionPeriod": "28800", "RedrivePolicy": string(redrive),
		}); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	endpoint, err := server.Start(ctx, "127.0.0.1:0")
	if err != nil {
		cancel()
		return nil, err
	}
	return &queue{server: server, endpoint: endpoint, cancel: cancel}, nil
}

func (q *queue) addresses() config.Queues {
	return config.Queues{
		Endpoint: q.endpoint.URL,
		FastURL:  sqsserver.QueueURL(q.endpoint.URL, fastQueue),
		SlowURL:  sqsserver.QueueURL(q.endpoint.URL, slowQueue),
	}
}

// poll sets a poller going for each lane.
func (q *queue) poll(ctx context.Context, work *sync.WaitGroup, executor lambda.Handler, opts Options, log *slog.Logger, failed func(error)) error {
	for name, most := range map[string]int{fastQueue: fastMost, slowQueue: slowMost} {
		most = cmp.Or(opts.MostInvocations, most)
		if !opts.Limited {
			most = 0
		}
		client, err := sqsqueue.NewClient(ctx, region, q.endpoint.URL)
		if err != nil {
			return err
		}
		poller, err := sqspoller.New(sqspoller.Config{
			Client: client, QueueURL: sqsserver.QueueURL(q.endpoint.URL, name), QueueARN: q.server.QueueARN(name),
			BatchSize: batchSize, Ramp: opts.Limited, MaxConcurrency: most, FunctionTimeout: functionTimeout, Logger: log,
			Invoke: func(ctx context.Context, payload []byte) ([]byte, error) {
				return executor.Invoke(invocation(ctx), payload)
			},
		})
		if err != nil {
			return err
		}
		work.Go(func() {
			if err := poller.Run(ctx); err != nil {
				failed(fmt.Errorf("the poller of %s ended: %w", name, err))
			}
		})
	}
	return nil
}

func (q *queue) stop() {
	q.cancel()
	_ = q.endpoint.Wait()
}
