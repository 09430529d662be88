package app

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/internal/config"
)

func TestInboxesAreFoundByTheQueuesNames(t *testing.T) {
	t.Parallel()
	env := Env{Config: config.Config{Queues: config.Queues{
		Endpoint: "http://queue.test", FastURL: "https://sqs.eu-central-1.amazonaws.com/123456789012/prod-fast",
		SlowURL: "https://sqs.eu-central-1.amazonaws.com/123456789012/prod-slow",
	}}}
	all, err := env.openInboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range map[string]any{
		"arn:aws:sqs:eu-central-1:123456789012:prod-fast":  all["prod-fast"],
		"arn:aws:sqs:eu-central-1:123456789012:prod-slow":  all["prod-slow"],
		"arn:aws:sqs:eu-central-1:123456789012:other-fast": nil,
		"": nil,
	} {
		if got := all.of(events.SQSEvent{Records: []events.SQSMessage{{EventSourceARN: arn}}}); got != want {
			t.Errorf("%q: %v, want %v", arn, got, want)
		}
	}
	if all["prod-fast"] == all["prod-slow"] || all["prod-fast"].queue == nil {
		t.Error("the lanes have no queues of their own")
	}
}
