// Package sqspoller does on one machine what Lambda's event source mapping does
// on AWS: it receives messages from an SQS queue, invokes a function with them,
// reads which of them failed, and deletes the rest. On request it is as slow to
// take on a burst as the mapping is.
//
// It knows the wire formats of queue and function, and nothing of what the
// messages mean.
package sqspoller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// waitSeconds is the longest poll that SQS allows.
	waitSeconds = 20
	// defaultReceivers is enough for fifteen messages of one instant to be
	// received within three round trips even when a batch holds one message.
	defaultReceivers = 8
	maxBatchSize     = 10
	defaultTimeout   = 900 * time.Second
	// settleTimeout bounds the deletion of a batch, also while draining.
	settleTimeout = 10 * time.Second
	firstBackoff  = 100 * time.Millisecond
	lastBackoff   = 5 * time.Second
)

// Config describes a mapping from a queue to a function.
type Config struct {
	// Client talks to the queue. It must not limit a call to less than the 20
	// seconds of a long poll.
	Client *sqs.Client
	// QueueURL is the queue to receive from; QueueARN is what events name as
	// their source, and its fourth part the region.
	QueueURL, QueueARN string
	// BatchSize is the most messages of one invocation, 1 to 10.
	BatchSize int
	// MaxConcurrency is the most invocations at once; 0 means no limit.
	MaxConcurrency int
	// Ramp limits invocations as a standard mapping does: five at first, five
	// more after each second in which all were taken, five again once idle.
	Ramp bool
	// Receivers is how many long polls wait at once; 0 means eight. With Ramp
	// it is at most five.
	Receivers int
	// VisibilityTimeout hides received messages for so long, in whole seconds,
	// instead of the queue's own timeout; 0 means the queue's.
	VisibilityTimeout time.Duration
	// FunctionTimeout is the deadline of an invocation's context; 0 means 900
	// seconds. An invocation that ends after it has failed, whatever it says.
	FunctionTimeout time.Duration
	// Invoke calls the function with the JSON of an events.SQSEvent and
	// returns the JSON of an events.SQSEventResponse. A panic is a failure.
	Invoke func(ctx context.Context, payload []byte) ([]byte, error)
	// Logger hears of failures; nil means slog's default.
	Logger *slog.Logger
}

func (c *Config) validate() error {
	var faults []error
	check := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, errors.New(fault))
		}
	}
	check(c.Client != nil, "no client")
	check(c.QueueURL != "", "no queue URL")
	check(strings.Count(c.QueueARN, ":") == 5, "the queue's ARN does not have six parts")
	check(c.BatchSize >= 1 && c.BatchSize <= maxBatchSize, "the batch size is not between 1 and 10")
	check(c.MaxConcurrency >= 0, "the concurrency is negative")
	check(c.Receivers >= 0, "the number of receivers is negative")
	check(c.VisibilityTimeout >= 0 && c.VisibilityTimeout%time.Second == 0, "the visibility timeout is not in whole seconds")
	check(c.FunctionTimeout >= 0, "the function's timeout is negative")
	check(c.Invoke != nil, "nothing to invoke")
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("queue poller: %w", err)
	}
	return nil
}

// Poller runs one mapping.
type Poller struct {
	config Config
	region string
	slots  *slots
}

// New returns a poller, or an error that names everything wrong with config.
func New(config Config) (*Poller, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.Receivers == 0 {
		config.Receivers = defaultReceivers
	}
	if config.Ramp {
		config.Receivers = min(config.Receivers, rampStart)
	}
	if config.FunctionTimeout == 0 {
		config.FunctionTimeout = defaultTimeout
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	return &Poller{
		config: config,
		region: strings.Split(config.QueueARN, ":")[3],
		slots:  newSlots(config.MaxConcurrency, config.Ramp),
	}, nil
}

// Run polls until ctx ends; then it receives no more, lets the invocations
// under way finish, deletes what they completed, and returns nil. It is run
// once.
func (p *Poller) Run(ctx context.Context) error {
	var receivers, invocations sync.WaitGroup
	if p.config.Ramp {
		receivers.Go(func() { p.slots.ramp(ctx) })
	}
	for range p.config.Receivers {
		receivers.Go(func() { p.receiveUntilDone(ctx, &invocations) })
	}
	receivers.Wait()
	invocations.Wait()
	return nil
}

// receiveUntilDone takes a slot before it receives, so that no message is
// held without being worked on, and polls again while the invocation runs.
func (p *Poller) receiveUntilDone(ctx context.Context, invocations *sync.WaitGroup) {
	backoff := firstBackoff
	for p.slots.acquire(ctx) {
		messages, err := p.receive(ctx)
		if err != nil || len(messages) == 0 {
			p.slots.release()
		}
		if ctx.Err() != nil && len(messages) == 0 {
			return
		}
		if err != nil {
			p.config.Logger.Warn("receiving from the queue failed", "queue", p.config.QueueARN, "error", err)
			_ = pause(ctx, backoff) // acquire looks at ctx
			backoff = min(2*backoff, lastBackoff)
			continue
		}
		backoff = firstBackoff
		if len(messages) > 0 {
			p.slots.begin()
			// On AWS the end of the poller is not the end of the function.
			invocation := context.WithoutCancel(ctx)
			invocations.Go(func() { p.process(invocation, messages) })
		}
	}
}

func (p *Poller) receive(ctx context.Context) ([]types.Message, error) {
	received, err := p.config.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    aws.String(p.config.QueueURL),
		MaxNumberOfMessages:         int32(p.config.BatchSize),
		WaitTimeSeconds:             waitSeconds,
		VisibilityTimeout:           int32(p.config.VisibilityTimeout / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, err
	}
	return received.Messages, nil
}

// process invokes the function and deletes what it completed. What failed is
// left alone: it becomes visible again when its visibility timeout is over.
func (p *Poller) process(ctx context.Context, messages []types.Message) {
	failed, err := p.invoke(ctx, messages)
	p.slots.end()
	if err != nil {
		p.config.Logger.Error("the function failed", "queue", p.config.QueueARN, "messages", len(messages), "error", err)
	}
	var done []types.DeleteMessageBatchRequestEntry
	for i, message := range messages {
		if err == nil && !failed[aws.ToString(message.MessageId)] {
			done = append(done, types.DeleteMessageBatchRequestEntry{
				Id: aws.String(fmt.Sprint(i)), ReceiptHandle: message.ReceiptHandle,
			})
		}
	}
	if len(done) > 0 {
		p.delete(ctx, done)
	}
}

// invoke returns the ids of the messages that failed; an error means all did.
func (p *Poller) invoke(ctx context.Context, messages []types.Message) (map[string]bool, error) {
	payload, err := encodeEvent(messages, p.config.QueueARN, p.region)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.FunctionTimeout)
	defer cancel()
	response, err := p.call(ctx, payload)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("the function ended after its timeout of %v: %w", p.config.FunctionTimeout, err)
	}
	return failedMessages(response, messages)
}

// call turns a panic into an error, as the end of a function's process is one.
func (p *Poller) call(ctx context.Context, payload []byte) (response []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("the function panicked: %v", reason)
		}
	}()
	return p.config.Invoke(ctx, payload)
}

func (p *Poller) delete(ctx context.Context, entries []types.DeleteMessageBatchRequestEntry) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	answer, err := p.config.Client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
		QueueUrl: aws.String(p.config.QueueURL), Entries: entries,
	})
	// What is not deleted comes again, which the function must bear anyway.
	if err != nil {
		p.config.Logger.Warn("deleting completed messages failed", "queue", p.config.QueueARN, "error", err)
	} else if len(answer.Failed) > 0 {
		p.config.Logger.Warn("some completed messages were not deleted", "queue", p.config.QueueARN, "messages", len(answer.Failed))
	}
}

// pause waits for d; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
