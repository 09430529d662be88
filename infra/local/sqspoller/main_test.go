package sqspoller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

const queueName = "main"

// mapping is a poller on a local queue, with a function that records its
// invocations. It runs under a virtual clock.
type mapping struct {
	*testing.T
	server *sqsserver.Server
	client *sqs.Client
	url    string
	log    *bytes.Buffer
	start  time.Time
	stop   func() // ends the poller and waits for it to have drained

	mu    sync.Mutex
	calls []call
}

// call is one invocation.
type call struct {
	After  time.Duration // since the poller's start
	Bodies []string
}

// startMapping runs a poller with the given settings until the test is over. The
// function records each invocation, then does what handle does.
func startMapping(t *testing.T, config sqspoller.Config, attributes map[string]string, handle func(context.Context, events.SQSEvent) (string, error)) *mapping {
	t.Helper()
	m := &mapping{T: t, server: sqsserver.New(sqsserver.Options{}), log: &bytes.Buffer{}, start: time.Now()}
	m.client = sqs.New(sqs.Options{
		Region:       sqsserver.DefaultRegion,
		BaseEndpoint: aws.String("http://queue.local"),
		Credentials:  credentials.NewStaticCredentialsProvider("any", "any", ""),
		HTTPClient:   &http.Client{Transport: m.server.Transport()},
		Retryer:      aws.NopRetryer{},
	})
	if err := m.server.CreateQueue(queueName, attributes); err != nil {
		t.Fatalf("CreateQueue: %v", err)
	}
	m.url = sqsserver.QueueURL("http://queue.local", queueName)

	config.Client, config.QueueURL, config.QueueARN = m.client, m.url, m.server.QueueARN(queueName)
	config.Logger = slog.New(slog.NewTextHandler(&locked{writer: m.log}, nil))
	config.Invoke = func(ctx context.Context, payload []byte) ([]byte, error) {
		var event events.SQSEvent
		if err := json.Unmarshal(payload, &event); err != nil {
			t.Errorf("the payload is no event: %v", err)
		}
		m.record(event)
		response, err := handle(ctx, event)
		return []byte(response), err
	}
	poller, err := sqspoller.New(config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- poller.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(m.stop)
	return m
}

func (m *mapping) record(event events.SQSEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	made := call{After: time.Since(m.start)}
	for _, record := range event.Records {
		made.Bodies = append(made.Bodies, record.Body)
	}
	slices.Sort(made.Bodies)
	m.calls = append(m.calls, made)
}

// invocations returns those made until now.
func (m *mapping) invocations() []call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// send queues count messages in one instant, named prefix0, prefix1 and so on.
func (m *mapping) send(prefix string, count int) {
	m.Helper()
	for i := range count {
		_, err := m.client.SendMessage(m.Context(), &sqs.SendMessageInput{
			QueueUrl: aws.String(m.url), MessageBody: aws.String(fmt.Sprint(prefix, i)),
		})
		if err != nil {
			m.Fatalf("SendMessage: %v", err)
		}
	}
}

// sendBatch queues messages so that one receive can take them all.
func (m *mapping) sendBatch(bodies ...string) {
	m.Helper()
	var entries []types.SendMessageBatchRequestEntry
	for i, body := range bodies {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(body)})
	}
	sent, err := m.client.SendMessageBatch(m.Context(), &sqs.SendMessageBatchInput{QueueUrl: aws.String(m.url), Entries: entries})
	if err != nil || len(sent.Failed) > 0 {
		m.Fatalf("SendMessageBatch: %v, %v", sent, err)
	}
}

// sendWithAttribute queues a message and returns its id.
func (m *mapping) sendWithAttribute(body, name, value string) string {
	m.Helper()
	sent, err := m.client.SendMessage(m.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(m.url), MessageBody: aws.String(body),
		MessageAttributes: map[string]types.MessageAttributeValue{
			name: {DataType: aws.String("String"), StringValue: aws.String(value)},
		},
	})
	if err != nil {
		m.Fatalf("SendMessage: %v", err)
	}
	return aws.ToString(sent.MessageId)
}

// left returns how many messages the queue still holds in any state.
func (m *mapping) left() string {
	m.Helper()
	got, err := m.client.GetQueueAttributes(m.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(m.url), AttributeNames: []types.QueueAttributeName{"All"},
	})
	if err != nil {
		m.Fatalf("GetQueueAttributes: %v", err)
	}
	return fmt.Sprintf("visible %s, in flight %s",
		got.Attributes["ApproximateNumberOfMessages"], got.Attributes["ApproximateNumberOfMessagesNotVisible"])
}

// advance lets d pass, and everything that happens in it.
func advance(d time.Duration) {
	time.Sleep(d) // in a bubble: virtual
	synctest.Wait()
}

// locked makes a writer safe for the goroutines that log.
type locked struct {
	mu     sync.Mutex
	writer *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writer.Write(p)
}
