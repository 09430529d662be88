package sqsserver_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

// Each call is refused with the code under which the service's clients know it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const mebibyte = 1 << 20
	batch := func(f fixture, bodies ...string) error {
		var entries []types.SendMessageBatchRequestEntry
		for i, body := range bodies {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(body)})
		}
		_, err := f.client.SendMessageBatch(f.Context(), &sqs.SendMessageBatchInput{QueueUrl: aws.String(f.url), Entries: entries})
		return err
	}
	batchOfIDs := func(f fixture, ids ...string) error {
		var entries []types.SendMessageBatchRequestEntry
		for _, id := range ids {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(id), MessageBody: aws.String("x")})
		}
		_, err := f.client.SendMessageBatch(f.Context(), &sqs.SendMessageBatchInput{QueueUrl: aws.String(f.url), Entries: entries})
		return err
	}
	send := func(f fixture, input sqs.SendMessageInput) error {
		input.QueueUrl = aws.String(f.url)
		_, err := f.client.SendMessage(f.Context(), &input)
		return err
	}
	receive := func(f fixture, input sqs.ReceiveMessageInput) error {
		input.QueueUrl = aws.String(f.url)
		_, err := f.client.ReceiveMessage(f.Context(), &input)
		return err
	}
	visibility := func(f fixture, handle string, seconds int32) error {
		_, err := f.client.ChangeMessageVisibility(f.Context(), &sqs.ChangeMessageVisibilityInput{
			QueueUrl: aws.String(f.url), ReceiptHandle: aws.String(handle), VisibilityTimeout: seconds,
		})
		return err
	}
	create := func(f fixture, name string, attributes map[string]string) error {
		_, err := f.client.CreateQueue(f.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
		return err
	}

	tests := map[string]struct {
		call func(fixture) error
		code string
	}{
		"empty batch": {func(f fixture) error {
			_, err := f.client.SendMessageBatch(f.Context(), &sqs.SendMessageBatchInput{
				QueueUrl: aws.String(f.url), Entries: []types.SendMessageBatchRequestEntry{},
			})
			return err
		}, "AWS.SimpleQueueService.EmptyBatchRequest"},
		"eleven entries":       {func(f fixture) error { return batchOfIDs(f, strings.Split("abcdefghijk", "")...) }, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
		"repeated id":          {func(f fixture) error { return batchOfIDs(f, "a", "b", "a") }, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
		"id with a space":      {func(f fixture) error { return batchOfIDs(f, "a b") }, "AWS.SimpleQueueService.InvalidBatchEntryId"},
		"id of 81 letters":     {func(f fixture) error { return batchOfIDs(f, strings.Repeat("a", 81)) }, "AWS.SimpleQueueService.InvalidBatchEntryId"},
		"batch of 1 MiB and 1": {func(f fixture) error { return batch(f, strings.Repeat("a", mebibyte-1), "bb") }, "AWS.SimpleQueueService.BatchRequestTooLong"},
		"batch of 1 MiB":       {func(f fixture) error { return batch(f, strings.Repeat("a", mebibyte-1), "b") }, ""},
		"batch, empty body":    {func(f fixture) error { return batch(f, "a", "") }, "MissingParameter"},
		"empty body":           {func(f fixture) error { return send(f, sqs.SendMessageInput{MessageBody: aws.String("")}) }, "MissingParameter"},
		"body of 1 MiB": {func(f fixture) error {
			return send(f, sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("a", mebibyte))})
		}, ""},
		"body of 1 MiB and 1": {func(f fixture) error {
			return send(f, sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("a", mebibyte+1))})
		}, "InvalidParameterValue"},
		"control character": {func(f fixture) error { return send(f, sqs.SendMessageInput{MessageBody: aws.String("\x02")}) }, "InvalidMessageContents"},
		"delay of 900": {func(f fixture) error {
			return send(f, sqs.SendMessageInput{MessageBody: aws.String("x"), DelaySeconds: 900})
		}, ""},
		"delay of 901": {func(f fixture) error {
			return send(f, sqs.SendMessageInput{MessageBody: aws.String("x"), DelaySeconds: 901})
		}, "InvalidParameterValue"},
		"negative delay": {func(f fixture) error {
			return send(f, sqs.SendMessageInput{MessageBody: aws.String("x"), DelaySeconds: -1})
		}, "InvalidParameterValue"},
		"attribute of no type": {func(f fixture) error {
			return send(f, sqs.SendMessageInput{MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{
				"a": {DataType: aws.String("Date"), StringValue: aws.String("x")},
			}})
		}, "InvalidParameterValue"},
		"attribute of no value": {func(f fixture) error {
			return send(f, sqs.SendMessageInput{MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{
				"a": {DataType: aws.String("String")},
			}})
		}, "InvalidParameterValue"},
		"receive eleven":           {func(f fixture) error { return receive(f, sqs.ReceiveMessageInput{MaxNumberOfMessages: 11}) }, "InvalidParameterValue"},
		"wait 21 seconds":          {func(f fixture) error { return receive(f, sqs.ReceiveMessageInput{WaitTimeSeconds: 21}) }, "InvalidParameterValue"},
		"hide for over 12 hours":   {func(f fixture) error { return receive(f, sqs.ReceiveMessageInput{VisibilityTimeout: 43_201}) }, "InvalidParameterValue"},
		"malformed handle":         {func(f fixture) error { return visibility(f, "?", 1) }, "ReceiptHandleIsInvalid"},
		"visibility over 12 hours": {func(f fixture) error { return visibility(f, "?", 43_201) }, "InvalidParameterValue"},
		"visibility of a deleted message": {func(f fixture) error {
			f.send("x", 0)
			handle := f.receive(0)[0].ReceiptHandle
			if _, err := f.client.DeleteMessage(f.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(f.url), ReceiptHandle: handle}); err != nil {
				return err
			}
			return visibility(f, *handle, 1)
		}, "InvalidParameterValue"},
		"visibility of a visible message": {func(f fixture) error {
			f.send("x", 0)
			handle := f.receive(0)[0].ReceiptHandle
			if err := visibility(f, *handle, 0); err != nil {
				return err
			}
			return visibility(f, *handle, 1)
		}, "AWS.SimpleQueueService.MessageNotInflight"},
		"another queue's handle": {func(f fixture) error {
			f.send("x", 0)
			handle := f.receive(0)[0].ReceiptHandle
			_, err := f.client.DeleteMessage(f.Context(), &sqs.DeleteMessageInput{
				QueueUrl: aws.String(f.create("other", nil)), ReceiptHandle: handle,
			})
			return err
		}, "ReceiptHandleIsInvalid"},
		"no such queue": {func(f fixture) error {
			_, err := f.client.GetQueueUrl(f.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("nobody")})
			return err
		}, "AWS.SimpleQueueService.NonExistentQueue"},
		"send to no queue": {func(f fixture) error {
			f.url += "x"
			return send(f, sqs.SendMessageInput{MessageBody: aws.String("x")})
		}, "AWS.SimpleQueueService.NonExistentQueue"},
		"purge twice": {func(f fixture) error {
			for range 2 {
				if _, err := f.client.PurgeQueue(f.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String(f.url)}); err != nil {
					return err
				}
			}
			return nil
		}, "AWS.SimpleQueueService.PurgeQueueInProgress"},
		"create again, same":           {func(f fixture) error { return create(f, "main", map[string]string{"VisibilityTimeout": "30"}) }, ""},
		"create again, different":      {func(f fixture) error { return create(f, "main", map[string]string{"VisibilityTimeout": "31"}) }, "QueueAlreadyExists"},
		"queue name":                   {func(f fixture) error { return create(f, "a.fifo", nil) }, "InvalidParameterValue"},
		"unknown queue attribute":      {func(f fixture) error { return create(f, "q", map[string]string{"Colour": "blue"}) }, "InvalidAttributeName"},
		"queue attribute out of range": {func(f fixture) error { return create(f, "q", map[string]string{"DelaySeconds": "901"}) }, "InvalidAttributeValue"},
		"redrive to no queue": {func(f fixture) error {
			return create(f, "q", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:nobody","maxReceiveCount":5}`})
		}, "InvalidParameterValue"},
		"redrive never": {func(f fixture) error {
			return create(f, "q", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:main","maxReceiveCount":0}`})
		}, "InvalidParameterValue"},
		"unknown operation": {func(f fixture) error {
			_, err := f.client.ListQueueTags(f.Context(), &sqs.ListQueueTagsInput{QueueUrl: aws.String(f.url)})
			return err
		}, "InvalidAction"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.call(inProcess(t, sqsserver.Options{}, nil))
			var refusal smithy.APIError
			switch {
			case test.code == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.code != "" && !errors.As(err, &refusal):
				t.Errorf("error = %v, want code %s", err, test.code)
			case test.code != "" && refusal.ErrorCode() != test.code:
				t.Errorf("code = %s, want %s", refusal.ErrorCode(), test.code)
			}
		})
	}
}

func TestRefusalsAreOfTheSDKsTypes(t *testing.T) {
	t.Parallel()
	f := inProcess(t, sqsserver.Options{}, nil)
	_, err := f.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("nobody")})
	if missing := new(types.QueueDoesNotExist); !errors.As(err, &missing) {
		t.Errorf("error = %v, want a QueueDoesNotExist", err)
	}
}

func TestRequestsThatAreNoneOfTheProtocol(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ method, target, body, want string }{
		"not POST":       {http.MethodGet, "AmazonSQS.ListQueues", "{}", "InvalidAction;Sender"},
		"no target":      {http.MethodPost, "", "{}", "InvalidAction;Sender"},
		"not JSON":       {http.MethodPost, "AmazonSQS.ListQueues", "{", "MalformedInput;Sender"},
		"wrong type":     {http.MethodPost, "AmazonSQS.ListQueues", `{"MaxResults":"one"}`, "MalformedInput;Sender"},
		"no queue URL":   {http.MethodPost, "AmazonSQS.PurgeQueue", "{}", "MissingParameter;Sender"},
		"no handle":      {http.MethodPost, "AmazonSQS.DeleteMessage", `{"QueueUrl":"/main"}`, "MissingParameter;Sender"},
		"no visibility":  {http.MethodPost, "AmazonSQS.ChangeMessageVisibility", `{"QueueUrl":"/main","ReceiptHandle":"x"}`, "MissingParameter;Sender"},
		"no queue name":  {http.MethodPost, "AmazonSQS.CreateQueue", "{}", "MissingParameter;Sender"},
		"above the body": {http.MethodPost, "AmazonSQS.ListQueues", `"` + strings.Repeat("a", 9<<20) + `"`, "MalformedInput;Sender"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := inProcess(t, sqsserver.Options{}, nil)
			request, err := http.NewRequestWithContext(t.Context(), test.method, "http://queue.local/", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Amz-Target", test.target)
			response, err := f.server.Transport().RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if got := response.Header.Get("x-amzn-query-error"); response.StatusCode != http.StatusBadRequest || got != test.want {
				t.Errorf("answer %d, %s; want 400, %s", response.StatusCode, got, test.want)
			}
		})
	}
}
