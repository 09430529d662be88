package sqspoller_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
)

const visibilityTimeout = 40 * time.Second

var visibility = map[string]string{"VisibilityTimeout": "40"}

// The function gets two messages, "m0" and "m1", in one batch and responds in
// some way; what it failed comes again when the visibility timeout is over.
func TestWhatAResponseMeans(t *testing.T) {
	t.Parallel()
	all, none := []string{"m0", "m1"}, []string(nil)
	// respond fills in the id of m1 for %s.
	respond := func(format string) func(context.Context, events.SQSEvent) (string, error) {
		return func(_ context.Context, event events.SQSEvent) (string, error) {
			for _, record := range event.Records {
				if record.Body == "m1" {
					return strings.ReplaceAll(format, "%s", record.MessageId), nil
				}
			}
			return "", errors.New("m1 is not in the batch")
		}
	}
	tests := map[string]struct {
		handle func(context.Context, events.SQSEvent) (string, error)
		again  []string
	}{
		"nothing":                 {respond(``), none},
		"null":                    {respond(`null`), none},
		"empty object":            {respond(`{}`), none},
		"null list":               {respond(`{"batchItemFailures":null}`), none},
		"empty list":              {respond(`{"batchItemFailures":[]}`), none},
		"one failed":              {respond(`{"batchItemFailures":[{"itemIdentifier":"%s"}]}`), []string{"m1"}},
		"one failed, named twice": {respond(`{"batchItemFailures":[{"itemIdentifier":"%s"},{"itemIdentifier":"%s"}]}`), []string{"m1"}},
		"unknown identifier":      {respond(`{"batchItemFailures":[{"itemIdentifier":"%s"},{"itemIdentifier":"x"}]}`), all},
		"empty identifier":        {respond(`{"batchItemFailures":[{"itemIdentifier":""}]}`), all},
		"null identifier":         {respond(`{"batchItemFailures":[{"itemIdentifier":null}]}`), all},
		"number as identifier":    {respond(`{"batchItemFailures":[{"itemIdentifier":1}]}`), all},
		"wrong case of the key":   {respond(`{"batchItemFailures":[{"ItemIdentifier":"%s"}]}`), all},
		"null item":               {respond(`{"batchItemFailures":[null]}`), all},
		"list of text":            {respond(`{"batchItemFailures":["%s"]}`), all},
		"no list":                 {respond(`{"batchItemFailures":"%s"}`), all},
		"no JSON":                 {respond(`{`), all},
		"no object":               {respond(`[]`), all},
		"error": {func(context.Context, events.SQSEvent) (string, error) {
			return `{"batchItemFailures":[]}`, errors.New("the database is away")
		}, all},
		"panic": {func(context.Context, events.SQSEvent) (string, error) {
			panic("a bug")
		}, all},
		"end after the timeout": {func(context.Context, events.SQSEvent) (string, error) {
			time.Sleep(11 * time.Second)
			return "", nil
		}, all},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first := true
				config := sqspoller.Config{BatchSize: 10, Receivers: 1, FunctionTimeout: 10 * time.Second}
				m := startMapping(t, config, visibility, func(ctx context.Context, event events.SQSEvent) (string, error) {
					if !first {
						return "", nil
					}
					first = false
					return test.handle(ctx, event)
				})
				m.sendBatch("m0", "m1")
				advance(visibilityTimeout + time.Second)
				want := []call{{0, []string{"m0", "m1"}}}
				if test.again != nil {
					want = append(want, call{visibilityTimeout, test.again})
				}
				if diff := cmp.Diff(want, m.invocations()); diff != "" {
					t.Errorf("invocations (-want +got):\n%s", diff)
				}
				if got := m.left(); got != "visible 0, in flight 0" {
					t.Errorf("left in the queue: %s, want nothing", got)
				}
			})
		})
	}
}

func TestEventIsThatOfAWS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var event events.SQSEvent
		m := startMapping(t, sqspoller.Config{BatchSize: 1}, nil, func(_ context.Context, got events.SQSEvent) (string, error) {
			event = got
			return "", nil
		})
		id := m.sendWithAttribute("grüße", "colour", "blue")
		advance(time.Second)
		if len(event.Records) != 1 {
			t.Fatalf("%d records, want 1", len(event.Records))
		}
		record := event.Records[0]
		if record.ReceiptHandle == "" {
			t.Error("the receipt handle is empty")
		}
		blue, millis := "blue", fmt.Sprint(m.start.UnixMilli())
		want := events.SQSMessage{
			MessageId: id, ReceiptHandle: record.ReceiptHandle, Body: "grüße",
			Md5OfBody: "fee40dc24d0ad6a90c608052aa4e9e66", Md5OfMessageAttributes: "bc0c801a65630e65331bf6be2b53a05e",
			EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:main", AWSRegion: "us-east-1",
			Attributes: map[string]string{
				"ApproximateReceiveCount": "1", "SentTimestamp": millis,
				"ApproximateFirstReceiveTimestamp": millis, "SenderId": "000000000000",
			},
			MessageAttributes: map[string]events.SQSMessageAttribute{
				"colour": {DataType: "String", StringValue: &blue, StringListValues: []string{}, BinaryListValues: [][]byte{}},
			},
		}
		if diff := cmp.Diff(want, record); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	})
}

func TestEventOfAMessageWithoutAttributesHasAnEmptyObject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		payloads := make(chan []byte, 1)
		m := startMapping(t, sqspoller.Config{BatchSize: 1}, nil, func(_ context.Context, event events.SQSEvent) (string, error) {
			payload, err := json.Marshal(event.Records[0].MessageAttributes)
			payloads <- payload
			return "", err
		})
		m.send("m", 1)
		if got := string(<-payloads); got != "{}" {
			t.Errorf("messageAttributes = %s, want {}", got)
		}
	})
}

func TestBatchesAreNoLargerThanAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := startMapping(t, sqspoller.Config{BatchSize: 3, MaxConcurrency: 1}, nil, holdFor(time.Second))
		m.sendBatch("m0", "m1", "m2", "m3", "m4", "m5", "m6")
		advance(10 * time.Second)
		var sizes []int
		for _, made := range m.invocations() {
			sizes = append(sizes, len(made.Bodies))
		}
		if diff := cmp.Diff([]int{3, 3, 1}, sizes); diff != "" {
			t.Errorf("batch sizes (-want +got):\n%s", diff)
		}
	})
}

func TestInvocationHasTheFunctionsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := sqspoller.Config{BatchSize: 1, FunctionTimeout: 30 * time.Second}
		remaining := make(chan time.Duration, 1)
		m := startMapping(t, config, nil, func(ctx context.Context, _ events.SQSEvent) (string, error) {
			deadline, _ := ctx.Deadline()
			remaining <- time.Until(deadline)
			return "", nil
		})
		m.send("m", 1)
		if got := <-remaining; got != 30*time.Second {
			t.Errorf("the deadline is in %v, want 30s", got)
		}
	})
}

func TestVisibilityTimeoutOfTheMappingWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := sqspoller.Config{BatchSize: 1, VisibilityTimeout: 7 * time.Second}
		m := startMapping(t, config, visibility, func(context.Context, events.SQSEvent) (string, error) {
			return "", errors.New("always")
		})
		m.send("m", 1)
		advance(15 * time.Second)
		want := []call{{0, []string{"m0"}}, {7 * time.Second, []string{"m0"}}, {14 * time.Second, []string{"m0"}}}
		if diff := cmp.Diff(want, m.invocations()); diff != "" {
			t.Errorf("invocations (-want +got):\n%s", diff)
		}
		if !strings.Contains(m.log.String(), "always") {
			t.Errorf("the log does not tell the function's error:\n%s", m.log)
		}
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	_, err := sqspoller.New(sqspoller.Config{
		BatchSize: 11, MaxConcurrency: -1, Receivers: -1, VisibilityTimeout: time.Millisecond, FunctionTimeout: -1, QueueARN: "main",
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, fault := range []string{"client", "URL", "ARN", "batch size", "concurrency", "receivers", "visibility", "function's timeout", "invoke"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("the error does not speak of the %s: %v", fault, err)
		}
	}
}
