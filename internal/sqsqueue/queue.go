// Package sqsqueue is the product's queue on Amazon SQS: it sends messages in
// batches, says of each whether SQS has acknowledged it, and tells how deep the
// queue is. It knows nothing of what the messages mean. It receives for those who
// are free for more; on AWS an event source mapping does most of that.
package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// The service's limits.
const (
	// MaxDelay is the longest delay of a message; longer ones are cut to it.
	MaxDelay = 900 * time.Second
	// MaxBytes is the most that a message, or all messages of a batch, hold.
	MaxBytes = 1 << 20
	// MaxBatch is the number of messages in a batch.
	MaxBatch = 10
)

const (
	defaultParallel       = 16
	defaultAttemptTimeout = 4 * time.Second
)

var (
	// ErrEmpty marks a message without a body; SQS takes none.
	ErrEmpty = errors.New("sqsqueue: the message is empty")
	// ErrTooLarge marks a message of more than MaxBytes.
	ErrTooLarge = errors.New("sqsqueue: the message is too large")
	// ErrUnanswered marks a message of which SQS said nothing in its answer.
	ErrUnanswered = errors.New("sqsqueue: no answer about the message")
)

// EntryError is SQS's refusal of one message of a batch.
type EntryError struct {
	Code        string // such as "InternalError"
	Message     string
	SenderFault bool // whether sending it again would be in vain
}

// Error returns the code and the message.
func (e *EntryError) Error() string {
	return fmt.Sprintf("sqsqueue: the message was refused: %s: %s", e.Code, e.Message)
}

// Message is what to send.
type Message struct {
	Body string
	// Delay is how long the queue holds the message back. SQS counts in
	// seconds: a fraction is cut off, so that a message is early by less than
	// a second rather than late; at most MaxDelay is used.
	Delay time.Duration
}

// Queue sends to one SQS queue. It is safe for concurrent use.
type Queue struct {
	client         *sqs.Client
	url            string
	parallel       int
	attemptTimeout time.Duration
}

// Option changes a Queue.
type Option func(*Queue)

// WithParallel sets how many batches are under way at once in one Send; the
// default is 16.
func WithParallel(batches int) Option {
	return func(q *Queue) { q.parallel = max(1, batches) }
}

// WithAttemptTimeout sets after how long an attempt that has no answer is
// given up for the next; the default is 4 seconds.
func WithAttemptTimeout(d time.Duration) Option {
	return func(q *Queue) { q.attemptTimeout = d }
}

// New returns the queue at that URL.
func New(client *sqs.Client, url string, options ...Option) *Queue {
	q := &Queue{client: client, url: url, parallel: defaultParallel, attemptTimeout: defaultAttemptTimeout}
	for _, option := range options {
		option(q)
	}
	return q
}

// Send sends the messages and returns one error for each: nil where SQS has
// acknowledged it. Any other message may still have arrived (an answer can be
// lost), and a message can arrive twice.
//
// A message that was refused with its batch answered has an *EntryError; if a
// whole batch failed, all its messages have the call's error.
func (q *Queue) Send(ctx context.Context, messages []Message) []error {
	errs := make([]error, len(messages))
	batches := cut(messages, errs)
	if len(batches) == 0 {
		return errs
	}
	work := make(chan []int)
	var workers sync.WaitGroup
	for range min(q.parallel, len(batches)) {
		workers.Go(func() {
			for batch := range work {
				// Batches share no index, so this needs no lock.
				q.sendBatch(ctx, messages, batch, errs)
			}
		})
	}
	for _, batch := range batches {
		work <- batch
	}
	close(work)
	workers.Wait()
	return errs
}

// cut groups the indexes of the messages into batches that keep the limits, in
// order, and marks in errs those that can be in none.
func cut(messages []Message, errs []error) [][]int {
	var batches [][]int
	var batch []int
	size := 0
	for i, message := range messages {
		length := len(message.Body)
		switch {
		case length == 0:
			errs[i] = ErrEmpty
			continue
		case length > MaxBytes:
			errs[i] = ErrTooLarge
			continue
		case len(batch) == MaxBatch || size+length > MaxBytes:
			batches = append(batches, batch)
			batch, size = nil, 0
		}
		batch = append(batch, i)
		size += length
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches
}

// sendBatch sends the messages of those indexes and sets their errors.
func (q *Queue) sendBatch(ctx context.Context, messages []Message, batch []int, errs []error) {
	trace := telemetry.TraceHeader(ctx) // goes on in whoever receives the message
	entries := make([]types.SendMessageBatchRequestEntry, len(batch))
	for i, index := range batch {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id:           aws.String(strconv.Itoa(i)),
			MessageBody:  aws.String(messages[index].Body),
			DelaySeconds: delaySeconds(messages[index].Delay),
		}
		if trace != "" {
			entries[i].MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
				"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String(trace)},
			}
		}
		errs[index] = ErrUnanswered
	}
	answer, err := q.client.SendMessageBatch(ctx,
		&sqs.SendMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries},
		withAttemptTimeout(q.attemptTimeout))
	if err != nil {
		err = fmt.Errorf("sqsqueue: sending a batch: %w", err)
		for _, index := range batch {
			errs[index] = err
		}
		return
	}
	at := func(id *string) (int, bool) {
		i, err := strconv.Atoi(aws.ToString(id))
		if err != nil || i < 0 || i >= len(batch) {
			return 0, false
		}
		return batch[i], true
	}
	for _, entry := range answer.Successful {
		if index, ok := at(entry.Id); ok {
			errs[index] = nil
		}
	}
	for _, entry := range answer.Failed {
		if index, ok := at(entry.Id); ok {
			errs[index] = &EntryError{
				Code: aws.ToString(entry.Code), Message: aws.ToString(entry.Message), SenderFault: entry.SenderFault,
			}
		}
	}
}

// delaySeconds rounds down, for a message may come early but not late.
func delaySeconds(delay time.Duration) int32 {
	return int32(min(max(delay, 0), MaxDelay) / time.Second)
}

// Depth returns SQS's own approximate counts: messages that can be received,
// messages that were received but not yet deleted, and messages held back.
func (q *Queue) Depth(ctx context.Context) (visible, inFlight, delayed int, err error) {
	answer, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(q.url),
		AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		},
	}, withAttemptTimeout(q.attemptTimeout))
	if err != nil {
		return 0, 0, 0, fmt.Errorf("sqsqueue: reading the queue's depth: %w", err)
	}
	read := func(name types.QueueAttributeName) int {
		count, convErr := strconv.Atoi(answer.Attributes[string(name)])
		if convErr != nil {
			err = fmt.Errorf("sqsqueue: reading the queue's depth: attribute %s: %w", name, convErr)
		}
		return count
	}
	visible = read(types.QueueAttributeNameApproximateNumberOfMessages)
	inFlight = read(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
	delayed = read(types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	return visible, inFlight, delayed, err
}

// Received is a message as it was received.
type Received struct {
	Body    string
	Trace   string // the X-Ray header that was sent with it
	Receipt string // deletes it
}

// Receive waits for messages for up to a number of whole seconds, and answers at
// most ten. They are hidden from others for as long as the queue is set to.
func (q *Queue) Receive(ctx context.Context, most int, wait time.Duration) ([]Received, error) {
	answer, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    aws.String(q.url),
		MaxNumberOfMessages:         int32(min(max(most, 1), MaxBatch)),
		WaitTimeSeconds:             int32(wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{traceAttribute},
	}, withAttemptTimeout(wait+q.attemptTimeout))
	if err != nil {
		return nil, fmt.Errorf("sqsqueue: receiving: %w", err)
	}
	received := make([]Received, len(answer.Messages))
	for i, m := range answer.Messages {
		received[i] = Received{
			Body: aws.ToString(m.Body), Trace: m.Attributes[string(traceAttribute)], Receipt: aws.ToString(m.ReceiptHandle),
		}
	}
	return received, nil
}

// traceAttribute is what X-Ray calls its header in a message.
const traceAttribute = types.MessageSystemAttributeNameAWSTraceHeader

// Delete takes received messages out of the queue, at most ten.
func (q *Queue) Delete(ctx context.Context, receipts []string) error {
	entries := make([]types.DeleteMessageBatchRequestEntry, len(receipts))
	for i, receipt := range receipts {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(receipt)}
	}
	answer, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries},
		withAttemptTimeout(q.attemptTimeout))
	if err != nil {
		return fmt.Errorf("sqsqueue: deleting: %w", err)
	}
	for _, entry := range answer.Failed {
		err = errors.Join(err, &EntryError{Code: aws.ToString(entry.Code), Message: aws.ToString(entry.Message), SenderFault: entry.SenderFault})
	}
	return err
}
