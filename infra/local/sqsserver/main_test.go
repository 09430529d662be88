package sqsserver_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

// fixture is a server with one queue, and the SDK's client on it.
type fixture struct {
	*testing.T
	server *sqsserver.Server
	client *sqs.Client
	url    string
}

// inProcess joins client and server without a socket, so that it works under a
// virtual clock. Attributes are those of the queue named "main".
func inProcess(t *testing.T, options sqsserver.Options, attributes map[string]string) fixture {
	t.Helper()
	server := sqsserver.New(options)
	client := sqs.New(sqs.Options{
		Region:       sqsserver.DefaultRegion,
		BaseEndpoint: aws.String("http://queue.local"),
		Credentials:  credentials.NewStaticCredentialsProvider("any", "any", ""),
		HTTPClient:   &http.Client{Transport: server.Transport()},
		Retryer:      aws.NopRetryer{},
	})
	f := fixture{T: t, server: server, client: client}
	f.url = f.create("main", attributes)
	return f
}

func (f fixture) create(name string, attributes map[string]string) string {
	f.Helper()
	created, err := f.client.CreateQueue(f.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		f.Fatalf("CreateQueue(%s): %v", name, err)
	}
	return aws.ToString(created.QueueUrl)
}

func (f fixture) send(body string, delaySeconds int32) {
	f.Helper()
	_, err := f.client.SendMessage(f.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(f.url), MessageBody: aws.String(body), DelaySeconds: delaySeconds,
	})
	if err != nil {
		f.Fatalf("SendMessage(%q): %v", body, err)
	}
}

// receive takes up to ten messages, waiting up to wait seconds.
func (f fixture) receive(wait int32) []types.Message {
	f.Helper()
	return f.receiveFrom(f.Context(), f.url, wait)
}

func (f fixture) receiveFrom(ctx context.Context, url string, wait int32) []types.Message {
	f.Helper()
	received, err := f.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(url), MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		f.Fatalf("ReceiveMessage: %v", err)
	}
	return received.Messages
}

func (f fixture) attributes() map[string]string {
	f.Helper()
	got, err := f.client.GetQueueAttributes(f.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(f.url), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		f.Fatalf("GetQueueAttributes: %v", err)
	}
	return got.Attributes
}

func bodies(messages []types.Message) []string {
	var all []string
	for _, message := range messages {
		all = append(all, aws.ToString(message.Body))
	}
	return all
}
