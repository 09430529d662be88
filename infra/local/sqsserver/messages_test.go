package sqsserver_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

// The checksums in this file were computed apart from the server.
func TestMessageTravelsWithItsAttributesAndChecksums(t *testing.T) {
	t.Parallel()
	f := inProcess(t, sqsserver.Options{}, nil)
	attributes := map[string]types.MessageAttributeValue{
		"colour": {DataType: aws.String("String"), StringValue: aws.String("blue")},
		"count":  {DataType: aws.String("Number"), StringValue: aws.String("42")},
		"image":  {DataType: aws.String("Binary.png"), BinaryValue: []byte{0, 1, 255}},
	}
	sent, err := f.client.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(f.url), MessageBody: aws.String("grüße"), MessageAttributes: attributes,
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1")},
		},
	})
	if err != nil {
		t.Fatalf("SendMessage: %v", err)
	}
	want := &sqs.SendMessageOutput{
		MessageId:                    sent.MessageId,
		MD5OfMessageBody:             aws.String("fee40dc24d0ad6a90c608052aa4e9e66"),
		MD5OfMessageAttributes:       aws.String("25ee1ed32f6dcf11c43af2cc5cbcd862"),
		MD5OfMessageSystemAttributes: aws.String("d6619b3d47b81d3fc72c0db005a70eda"),
	}
	ignored := cmp.Options{
		cmpopts.IgnoreUnexported(sqs.SendMessageOutput{}, types.Message{}, types.MessageAttributeValue{}),
		cmpopts.IgnoreFields(sqs.SendMessageOutput{}, "ResultMetadata"),
		cmpopts.IgnoreFields(types.Message{}, "ReceiptHandle"),
	}
	if diff := cmp.Diff(want, sent, ignored); diff != "" {
		t.Errorf("SendMessage (-want +got):\n%s", diff)
	}

	got := f.receive(0)
	if len(got) != 1 {
		t.Fatalf("received %d messages, want 1", len(got))
	}
	if trace := got[0].Attributes["AWSTraceHeader"]; trace != "Root=1" {
		t.Errorf("AWSTraceHeader = %q, want Root=1", trace)
	}
	got[0].Attributes = nil
	wantMessage := types.Message{
		MessageId: sent.MessageId, Body: aws.String("grüße"), MD5OfBody: aws.String("fee40dc24d0ad6a90c608052aa4e9e66"),
		MessageAttributes: attributes, MD5OfMessageAttributes: aws.String("25ee1ed32f6dcf11c43af2cc5cbcd862"),
	}
	if diff := cmp.Diff(wantMessage, got[0], ignored); diff != "" {
		t.Errorf("ReceiveMessage (-want +got):\n%s", diff)
	}
}

func TestReceiverChoosesAttributes(t *testing.T) {
	t.Parallel()
	text := func(value string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	tests := map[string]struct {
		names []string
		want  []string
		md5   string
	}{
		"none":      {nil, nil, ""},
		"by name":   {[]string{"colour"}, []string{"colour"}, "bc0c801a65630e65331bf6be2b53a05e"},
		"by prefix": {[]string{"trace.*"}, []string{"trace.id", "trace.span"}, ""},
		"all":       {[]string{".*"}, []string{"colour", "trace.id", "trace.span"}, ""},
		"absent":    {[]string{"size"}, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := inProcess(t, sqsserver.Options{}, nil)
			_, err := f.client.SendMessage(t.Context(), &sqs.SendMessageInput{
				QueueUrl: aws.String(f.url), MessageBody: aws.String("x"),
				MessageAttributes: map[string]types.MessageAttributeValue{
					"colour": text("blue"), "trace.id": text("1"), "trace.span": text("2"),
				},
			})
			if err != nil {
				t.Fatalf("SendMessage: %v", err)
			}
			received, err := f.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
				QueueUrl: aws.String(f.url), MessageAttributeNames: test.names,
			})
			if err != nil || len(received.Messages) != 1 {
				t.Fatalf("ReceiveMessage: %v, %v", received, err)
			}
			message := received.Messages[0]
			var got []string
			for attribute := range message.MessageAttributes {
				got = append(got, attribute)
			}
			sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if diff := cmp.Diff(test.want, got, sorted); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			if test.md5 != "" && aws.ToString(message.MD5OfMessageAttributes) != test.md5 {
				t.Errorf("checksum = %s, want %s", aws.ToString(message.MD5OfMessageAttributes), test.md5)
			}
			if len(message.Attributes) != 0 {
				t.Errorf("system attributes = %v, none were asked for", message.Attributes)
			}
		})
	}
}

func TestBatchFailsOnlyItsBadEntries(t *testing.T) {
	t.Parallel()
	f := inProcess(t, sqsserver.Options{}, nil)
	sent, err := f.client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{
		QueueUrl: aws.String(f.url),
		Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("good"), MessageBody: aws.String("good")},
			{Id: aws.String("late"), MessageBody: aws.String("late"), DelaySeconds: 901},
			{Id: aws.String("odd"), MessageBody: aws.String("\u0001")},
		},
	})
	if err != nil {
		t.Fatalf("SendMessageBatch: %v", err)
	}
	if len(sent.Successful) != 1 || aws.ToString(sent.Successful[0].Id) != "good" {
		t.Errorf("successful = %v, want good alone", sent.Successful)
	}
	failed := make(map[string]string)
	for _, entry := range sent.Failed {
		failed[aws.ToString(entry.Id)] = aws.ToString(entry.Code)
		if !entry.SenderFault {
			t.Errorf("%s is not called the sender's fault", aws.ToString(entry.Id))
		}
	}
	want := map[string]string{"late": "InvalidParameterValue", "odd": "InvalidMessageContents"}
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"good"}, bodies(f.receive(0))); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

func TestDeleteForgetsOnlyWithTheLastReceipt(t *testing.T) {
	t.Parallel()
	f := inProcess(t, sqsserver.Options{}, map[string]string{"VisibilityTimeout": "0"})
	f.send("x", 0)
	first, second := f.receive(0), f.receive(0)
	remove := func(handle *string) {
		t.Helper()
		_, err := f.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(f.url), ReceiptHandle: handle})
		if err != nil {
			t.Errorf("DeleteMessage: %v", err)
		}
	}
	remove(first[0].ReceiptHandle)
	if got := f.attributes()["ApproximateNumberOfMessages"]; got != "1" {
		t.Errorf("after the outdated receipt %s messages are left, want 1", got)
	}
	remove(second[0].ReceiptHandle)
	if got := f.attributes()["ApproximateNumberOfMessages"]; got != "0" {
		t.Errorf("after the last receipt %s messages are left, want 0", got)
	}
	remove(second[0].ReceiptHandle) // a second time is no error
}

func TestDeleteBatchReportsEachEntry(t *testing.T) {
	t.Parallel()
	f := inProcess(t, sqsserver.Options{}, nil)
	f.send("x", 0)
	received := f.receive(0)
	answer, err := f.client.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{
		QueueUrl: aws.String(f.url),
		Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("a"), ReceiptHandle: received[0].ReceiptHandle},
			{Id: aws.String("b"), ReceiptHandle: aws.String("not a handle")},
		},
	})
	if err != nil {
		t.Fatalf("DeleteMessageBatch: %v", err)
	}
	if len(answer.Successful) != 1 || aws.ToString(answer.Successful[0].Id) != "a" {
		t.Errorf("successful = %v, want a alone", answer.Successful)
	}
	if len(answer.Failed) != 1 || aws.ToString(answer.Failed[0].Code) != "ReceiptHandleIsInvalid" {
		t.Errorf("failed = %v, want b's handle", answer.Failed)
	}
	if got := f.attributes()["ApproximateNumberOfMessagesNotVisible"]; got != "0" {
		t.Errorf("%s messages are in flight, want 0", got)
	}
}
