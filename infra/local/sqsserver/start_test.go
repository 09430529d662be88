package sqsserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

// The other tests call the server within the process; this one goes through
// connections, and through the product's own client.
func TestServesOverConnectionsUntilStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	polling := make(chan struct{}, 1)
	server := sqsserver.New(sqsserver.Options{Hooks: sqsserver.Hooks{
		BeforeCall: func(_ context.Context, call sqsserver.Call) error {
			if call.Operation == "ReceiveMessage" {
				polling <- struct{}{}
			}
			return nil
		},
	}})
	if err := server.CreateQueue("main", nil); err != nil {
		t.Fatalf("CreateQueue: %v", err)
	}
	endpoint, err := server.Start(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	client, err := sqsqueue.NewClient(t.Context(), sqsserver.DefaultRegion, endpoint.URL)
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	url := aws.String(sqsserver.QueueURL(endpoint.URL, "main"))
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")}); err != nil {
		t.Fatalf("SendMessage: %v", err)
	}
	receive := func(wait int32) (*sqs.ReceiveMessageOutput, error) {
		return client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: wait})
	}
	got, err := receive(0)
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("ReceiveMessage = %v, %v; want one message", got, err)
	}
	<-polling

	// Stopping answers a long poll rather than waiting for it or cutting it off.
	answered := make(chan error, 1)
	go func() {
		_, err := receive(20)
		answered <- err
	}()
	<-polling
	cancel()
	if err := endpoint.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the long poll ended with %v, want an empty answer", err)
	}
}

func TestHangUpClosesTheConnection(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := sqsserver.New(sqsserver.Options{Hooks: sqsserver.Hooks{
		BeforeCall: func(context.Context, sqsserver.Call) error { return sqsserver.ErrHangUp },
	}})
	endpoint, err := server.Start(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("error = %v, want the end of the connection", err)
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			_, err := sqsserver.New(sqsserver.Options{}).Start(t.Context(), addr)
			if err == nil {
				t.Errorf("listens on %s", addr)
			}
		})
	}
}
