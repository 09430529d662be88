package sqsserver_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

func TestFatesOfMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fates := map[string]sqsserver.Fate{
			"drop":   {Drop: true},
			"twice":  {Copies: 1},
			"late":   {Late: 3 * time.Second},
			"refuse": {Reject: sqsserver.Throttled()},
		}
		f := inProcess(t, sqsserver.Options{Hooks: sqsserver.Hooks{
			OnSend: func(queue, body string) sqsserver.Fate {
				if queue != "main" {
					t.Errorf("asked about queue %q, want main", queue)
				}
				return fates[body]
			},
		}}, nil)
		var entries []types.SendMessageBatchRequestEntry
		for _, body := range []string{"plain", "drop", "twice", "late", "refuse"} {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(body), MessageBody: aws.String(body)})
		}
		sent, err := f.client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: aws.String(f.url), Entries: entries})
		if err != nil {
			t.Fatalf("SendMessageBatch: %v", err)
		}
		if len(sent.Successful) != 4 || len(sent.Failed) != 1 || aws.ToString(sent.Failed[0].Id) != "refuse" {
			t.Errorf("answer = %v and %v, want only refuse to fail", sent.Successful, sent.Failed)
		}
		received := f.receive(0)
		sorted := cmpopts.SortSlices(strings.Compare)
		if diff := cmp.Diff([]string{"plain", "twice", "twice"}, bodies(received), sorted); diff != "" {
			t.Errorf("received at once (-want +got):\n%s", diff)
		}
		ids := make(map[string]bool)
		for _, message := range received {
			ids[aws.ToString(message.MessageId)] = true
		}
		if len(ids) != 2 {
			t.Errorf("%d message ids, want a copy to have its original's", len(ids))
		}
		start := time.Now()
		if diff := cmp.Diff([]string{"late"}, bodies(f.receive(10))); diff != "" {
			t.Errorf("received later (-want +got):\n%s", diff)
		}
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("the late message came after %v, want 3s", waited)
		}
	})
}

func TestHooksAroundCalls(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hooks    func(error) sqsserver.Hooks
		happened string // how many messages are in the queue after the failed send
	}{
		"before": {func(err error) sqsserver.Hooks {
			return sqsserver.Hooks{BeforeCall: func(context.Context, sqsserver.Call) error { return err }}
		}, "0"},
		"after": {func(err error) sqsserver.Hooks {
			return sqsserver.Hooks{AfterCall: func(context.Context, sqsserver.Call) error { return err }}
		}, "1"},
	}
	for name, test := range tests {
		for kind, fault := range map[string]error{"refused": sqsserver.Unavailable(), "hung up": sqsserver.ErrHangUp} {
			t.Run(name+" the call, "+kind, func(t *testing.T) {
				t.Parallel()
				f := inProcess(t, sqsserver.Options{}, nil)
				f.server.SetHooks(test.hooks(fault))
				_, err := f.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(f.url), MessageBody: aws.String("x")})
				var refusal smithy.APIError
				if err == nil {
					t.Error("the call succeeded")
				} else if answered := errors.As(err, &refusal); answered != (kind == "refused") {
					t.Errorf("error = %v; an answer came: %t", err, answered)
				}
				f.server.SetHooks(sqsserver.Hooks{})
				if got := f.attributes()["ApproximateNumberOfMessages"]; got != test.happened {
					t.Errorf("%s messages were sent, want %s", got, test.happened)
				}
			})
		}
	}
}

func TestHookSeesOperationAndQueueAndMayDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		var calls []sqsserver.Call
		f.server.SetHooks(sqsserver.Hooks{BeforeCall: func(_ context.Context, call sqsserver.Call) error {
			calls = append(calls, call)
			time.Sleep(2 * time.Second)
			return nil
		}})
		start := time.Now()
		f.send("x", 0)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("the call took %v, want 2s", took)
		}
		f.create("other", nil)
		want := []sqsserver.Call{{Operation: "SendMessage", Queue: "main"}, {Operation: "CreateQueue", Queue: "other"}}
		if diff := cmp.Diff(want, calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}
