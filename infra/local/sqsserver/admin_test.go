package sqsserver_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

func TestQueueAttributes(t *testing.T) {
	t.Parallel()
	clock := sqsserver.NewManualClock(time.Unix(1_800_000_000, 0))
	f := inProcess(t, sqsserver.Options{Clock: clock, Region: "eu-central-1"}, map[string]string{"VisibilityTimeout": "77"})
	for range 3 {
		f.send("in flight", 0)
	}
	if got := len(f.receive(0)); got != 3 {
		t.Fatalf("received %d, want 3", got)
	}
	f.send("visible", 0)
	f.send("delayed", 10)
	f.send("delayed", 20)
	want := map[string]string{
		"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "3", "ApproximateNumberOfMessagesDelayed": "2",
		"CreatedTimestamp": "1800000000", "LastModifiedTimestamp": "1800000000",
		"QueueArn": "arn:aws:sqs:eu-central-1:000000000000:main", "VisibilityTimeout": "77", "DelaySeconds": "0",
		"MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0",
		"SqsManagedSseEnabled": "true",
	}
	if diff := cmp.Diff(want, f.attributes()); diff != "" {
		t.Errorf("all attributes (-want +got):\n%s", diff)
	}

	chosen, err := f.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(f.url), AttributeNames: []types.QueueAttributeName{"VisibilityTimeout", "RedrivePolicy"},
	})
	if err != nil {
		t.Fatalf("GetQueueAttributes: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"VisibilityTimeout": "77"}, chosen.Attributes); diff != "" {
		t.Errorf("chosen attributes (-want +got):\n%s", diff)
	}
	if _, err := f.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(f.url), AttributeNames: []types.QueueAttributeName{"Colour"},
	}); err == nil {
		t.Error("an unknown attribute was found")
	}

	clock.Advance(15 * time.Second)
	if got := f.attributes()["ApproximateNumberOfMessagesDelayed"]; got != "1" {
		t.Errorf("after 15s %s messages are delayed, want 1", got)
	}
}

func TestSetQueueAttributesKeepsTheOthers(t *testing.T) {
	t.Parallel()
	f := inProcess(t, sqsserver.Options{}, map[string]string{"VisibilityTimeout": "77", "DelaySeconds": "1"})
	_, err := f.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: aws.String(f.url), Attributes: map[string]string{"DelaySeconds": "2"},
	})
	if err != nil {
		t.Fatalf("SetQueueAttributes: %v", err)
	}
	got := f.attributes()
	if got["DelaySeconds"] != "2" || got["VisibilityTimeout"] != "77" {
		t.Errorf("delay %s and visibility timeout %s, want 2 and 77", got["DelaySeconds"], got["VisibilityTimeout"])
	}
}

func TestPurgeForgetsEverything(t *testing.T) {
	t.Parallel()
	clock := sqsserver.NewManualClock(time.Unix(1_800_000_000, 0))
	f := inProcess(t, sqsserver.Options{Clock: clock}, nil)
	purge := func() error {
		_, err := f.client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String(f.url)})
		return err
	}
	f.send("in flight", 0)
	handle := f.receive(0)[0].ReceiptHandle
	f.send("visible", 0)
	f.send("delayed", 10)
	if err := purge(); err != nil {
		t.Fatalf("PurgeQueue: %v", err)
	}
	clock.Advance(time.Minute)
	if got := f.receive(0); got != nil {
		t.Errorf("received %v from a purged queue", bodies(got))
	}
	if _, err := f.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(f.url), ReceiptHandle: handle}); err != nil {
		t.Errorf("deleting a purged message: %v", err)
	}
	if err := purge(); err != nil {
		t.Errorf("PurgeQueue after a minute: %v", err)
	}
	f.send("new", 0)
	if got := bodies(f.receive(0)); len(got) != 1 {
		t.Errorf("received %v, want the new message", got)
	}
}

func TestQueuesAreFoundByNameAndListedByPrefix(t *testing.T) {
	t.Parallel()
	f := inProcess(t, sqsserver.Options{}, nil)
	want := "http://queue.local/000000000000/main"
	found, err := f.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("main")})
	if err != nil || aws.ToString(found.QueueUrl) != want || f.url != want {
		t.Errorf("GetQueueUrl = %v, %v, CreateQueue = %s; want %s", found, err, f.url, want)
	}
	for _, name := range []string{"lane-slow", "lane-fast", "lane-dead"} {
		f.create(name, nil)
	}
	var names []string
	pages := sqs.NewListQueuesPaginator(f.client, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("lane-"), MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("ListQueues: %v", err)
		}
		names = append(names, page.QueueUrls...)
	}
	base := "http://queue.local/000000000000/"
	if diff := cmp.Diff([]string{base + "lane-dead", base + "lane-fast", base + "lane-slow"}, names); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
}
