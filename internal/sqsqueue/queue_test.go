package sqsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// fixture is a server with a queue, and a client that makes no second attempt
// unless the test gives it a retryer.
type fixture struct {
	*testing.T
	server *sqsserver.Server
	client *sqs.Client
	url    string
}

func newFixture(t *testing.T, options ...func(*sqs.Options)) fixture {
	t.Helper()
	server := sqsserver.New(sqsserver.Options{})
	if err := server.CreateQueue("main", nil); err != nil {
		t.Fatalf("CreateQueue: %v", err)
	}
	client := sqs.New(sqs.Options{
		Region:       sqsserver.DefaultRegion,
		BaseEndpoint: aws.String("http://queue.local"),
		Credentials:  credentials.NewStaticCredentialsProvider("any", "any", ""),
		HTTPClient:   &http.Client{Transport: server.Transport()},
		Retryer:      aws.NopRetryer{},
	}, options...)
	return fixture{T: t, server: server, client: client, url: sqsserver.QueueURL("http://queue.local", "main")}
}

func (f fixture) queue(options ...sqsqueue.Option) *sqsqueue.Queue {
	return sqsqueue.New(f.client, f.url, options...)
}

// arrived takes everything that can be received now, sorted.
func (f fixture) arrived() []string {
	f.Helper()
	var all []string
	for {
		received, err := f.client.ReceiveMessage(f.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(f.url), MaxNumberOfMessages: 10})
		if err != nil {
			f.Fatalf("ReceiveMessage: %v", err)
		}
		if len(received.Messages) == 0 {
			slices.Sort(all)
			return all
		}
		for _, message := range received.Messages {
			all = append(all, aws.ToString(message.Body))
		}
	}
}

// numbered returns count messages "000", "001" and so on.
func numbered(count int) (messages []sqsqueue.Message, bodies []string) {
	for i := range count {
		body := fmt.Sprintf("%03d", i)
		messages, bodies = append(messages, sqsqueue.Message{Body: body}), append(bodies, body)
	}
	return messages, bodies
}

func TestSendAcknowledgesEveryMessage(t *testing.T) {
	t.Parallel()
	for _, count := range []int{0, 1, 10, 11, 345} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			messages, bodies := numbered(count)
			if diff := cmp.Diff(make([]error, count), f.queue().Send(t.Context(), messages)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(bodies, f.arrived()); diff != "" {
				t.Errorf("arrived (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedEntriesFailAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	refused := map[string]bool{"003": true, "017": true, "018": true, "024": true}
	f.server.SetHooks(sqsserver.Hooks{OnSend: func(_, body string) sqsserver.Fate {
		if refused[body] {
			return sqsserver.Fate{Reject: sqsserver.Unavailable()}
		}
		return sqsserver.Fate{}
	}})
	messages, bodies := numbered(25)
	errs := f.queue().Send(t.Context(), messages)
	want := make([]error, 25)
	for i, body := range bodies {
		if refused[body] {
			want[i] = &sqsqueue.EntryError{Code: "ServiceUnavailable", Message: sqsserver.Unavailable().Message}
		}
	}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	wantArrived := slices.DeleteFunc(slices.Clone(bodies), func(body string) bool { return refused[body] })
	if diff := cmp.Diff(wantArrived, f.arrived()); diff != "" {
		t.Errorf("arrived (-want +got):\n%s", diff)
	}
}

func TestFailedBatchFailsItsMessagesOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var mu sync.Mutex
	calls := 0
	f.server.SetHooks(sqsserver.Hooks{BeforeCall: func(_ context.Context, call sqsserver.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if call.Operation != "SendMessageBatch" {
			return nil
		}
		if calls++; calls == 2 {
			return sqsserver.Throttled()
		}
		return nil
	}})
	messages, bodies := numbered(30)
	// One after the other, so that the second call has the second ten.
	errs := f.queue(sqsqueue.WithParallel(1)).Send(t.Context(), messages)
	for i, err := range errs {
		failed := i >= 10 && i < 20
		if (err != nil) != failed {
			t.Errorf("message %d: error = %v, want one: %t", i, err, failed)
		}
		if failed && !strings.Contains(err.Error(), "RequestThrottled") {
			t.Errorf("message %d: error = %v, want the call's", i, err)
		}
	}
	if diff := cmp.Diff(slices.Concat(bodies[:10], bodies[20:]), f.arrived()); diff != "" {
		t.Errorf("arrived (-want +got):\n%s", diff)
	}
}

// roundTrip answers in the server's stead.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestMessagesWithoutAnAnswerHaveFailed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *sqs.Options) {
		o.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body := `{"Successful":[{"Id":"1","MessageId":"x"},{"Id":"7"}],"Failed":[{"Id":"nobody"}]}`
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
			}, nil
		})}
	})
	messages, _ := numbered(3)
	want := []error{sqsqueue.ErrUnanswered, nil, sqsqueue.ErrUnanswered}
	if diff := cmp.Diff(want, f.queue().Send(t.Context(), messages), cmpopts.EquateErrors()); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestMessagesThatCannotBeSentStopNoOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	errs := f.queue().Send(t.Context(), []sqsqueue.Message{
		{Body: "a"}, {Body: ""}, {Body: strings.Repeat("x", sqsqueue.MaxBytes+1)}, {Body: "b"},
	})
	want := []error{nil, sqsqueue.ErrEmpty, sqsqueue.ErrTooLarge, nil}
	if diff := cmp.Diff(want, errs, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, f.arrived()); diff != "" {
		t.Errorf("arrived (-want +got):\n%s", diff)
	}
}

func TestBatchesKeepTheLimitOfBytes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	part := strings.Repeat("x", sqsqueue.MaxBytes/4)
	var messages []sqsqueue.Message
	for range 9 { // two batches of exactly 1 MiB, and one more message
		messages = append(messages, sqsqueue.Message{Body: part})
	}
	var mu sync.Mutex
	calls := 0
	f.server.SetHooks(sqsserver.Hooks{BeforeCall: func(context.Context, sqsserver.Call) error {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return nil
	}})
	if diff := cmp.Diff(make([]error, 9), f.queue().Send(t.Context(), messages)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if calls != 3 {
		t.Errorf("%d batches were sent, want 3", calls)
	}
}

func TestDelaysAreCutToSecondsAndToTheLimit(t *testing.T) {
	t.Parallel()
	tests := map[time.Duration]time.Duration{
		-time.Second:              0,
		0:                         0,
		999 * time.Millisecond:    0,
		time.Second:               time.Second,
		2*time.Second - 1:         time.Second,
		899999 * time.Millisecond: 899 * time.Second,
		900 * time.Second:         900 * time.Second,
		time.Hour:                 900 * time.Second,
	}
	for delay, want := range tests {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				start := time.Now()
				if errs := f.queue().Send(t.Context(), []sqsqueue.Message{{Body: "x", Delay: delay}}); errs[0] != nil {
					t.Fatalf("Send: %v", errs[0])
				}
				for len(f.arrived()) == 0 {
					time.Sleep(time.Second / 2) // in a bubble: virtual
				}
				if got := time.Since(start); got != want {
					t.Errorf("arrived after %v, want %v", got, want)
				}
			})
		})
	}
}

func TestBatchesAreSentInParallelUpToTheLimit(t *testing.T) {
	t.Parallel()
	for _, parallel := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.server.SetHooks(sqsserver.Hooks{BeforeCall: func(context.Context, sqsserver.Call) error {
					time.Sleep(time.Second)
					return nil
				}})
				messages, _ := numbered(320) // 32 batches
				start := time.Now()
				for i, err := range f.queue(sqsqueue.WithParallel(parallel)).Send(t.Context(), messages) {
					if err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
				}
				if got, want := time.Since(start), time.Duration(32/parallel)*time.Second; got != want {
					t.Errorf("took %v at a second a batch, want %v", got, want)
				}
			})
		})
	}
}

func TestEndedContextEndsSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.server.SetHooks(sqsserver.Hooks{BeforeCall: func(ctx context.Context, _ sqsserver.Call) error {
			<-ctx.Done()
			return nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		messages, _ := numbered(500)
		for i, err := range f.queue().Send(ctx, messages) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("message %d: error = %v, want the deadline's", i, err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Send took %v, want the context's second", took)
		}
	})
}

func TestDepth(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue()
	send := func(count int, delay time.Duration) {
		t.Helper()
		for range count {
			if errs := queue.Send(t.Context(), []sqsqueue.Message{{Body: "x", Delay: delay}}); errs[0] != nil {
				t.Fatalf("Send: %v", errs[0])
			}
		}
	}
	send(3, 0)
	f.arrived() // takes the three
	send(2, 0)
	send(1, time.Minute)
	visible, inFlight, delayed, err := queue.Depth(t.Context())
	if err != nil || visible != 2 || inFlight != 3 || delayed != 1 {
		t.Errorf("Depth = %d, %d, %d, %v; want 2, 3, 1, no error", visible, inFlight, delayed, err)
	}
	if _, _, _, err := sqsqueue.New(f.client, f.url+"x").Depth(t.Context()); err == nil {
		t.Error("the depth of no queue was read")
	}
}

func TestReceiveAndDelete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		queue := f.queue()
		began := time.Now()
		if received, err := queue.Receive(t.Context(), 10, 2*time.Second); err != nil || len(received) != 0 || time.Since(began) != 2*time.Second {
			t.Errorf("of an empty queue: %v, %v after %s", received, err, time.Since(began))
		}
		const trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
		for _, err := range queue.Send(telemetry.WithTrace(t.Context(), trace), []sqsqueue.Message{{Body: "one"}, {Body: "two"}, {Body: "three"}}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		received, err := queue.Receive(t.Context(), 2, time.Second)
		if err != nil || len(received) != 2 {
			t.Fatalf("received %v, %v, want two", received, err)
		}
		for _, m := range received {
			if m.Trace != trace {
				t.Errorf("%q bears the trace header %q", m.Body, m.Trace)
			}
		}
		if err := queue.Delete(t.Context(), []string{received[0].Receipt, received[1].Receipt}); err != nil {
			t.Error(err)
		}
		if got := f.arrived(); len(got) != 1 {
			t.Errorf("left are %v, want one", got)
		}
		visible, inFlight, _, err := queue.Depth(t.Context())
		if err != nil || visible != 0 || inFlight != 1 {
			t.Errorf("%d visible and %d in flight, %v; want the one that arrived", visible, inFlight, err)
		}
		if err := queue.Delete(t.Context(), []string{"no receipt"}); err == nil {
			t.Error("a receipt that is none deletes")
		}
	})
}
