package sqsserver_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

func TestDelayedMessageWakesLongPollAtItsInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		f.send("later", 7)
		start := time.Now()
		if got := f.receive(0); got != nil {
			t.Fatalf("received %v before the delay was over", bodies(got))
		}
		got := f.receive(20)
		if diff := cmp.Diff([]string{"later"}, bodies(got)); diff != "" {
			t.Errorf("bodies (-want +got):\n%s", diff)
		}
		if waited := time.Since(start); waited != 7*time.Second {
			t.Errorf("received after %v, want exactly 7s", waited)
		}
	})
}

func TestSentMessageWakesLongPollAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		start := time.Now()
		var received sync.WaitGroup
		received.Go(func() {
			if got := bodies(f.receive(20)); len(got) != 1 {
				t.Errorf("received %v, want one message", got)
			}
		})
		time.Sleep(3 * time.Second)
		f.send("now", 0)
		received.Wait()
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("received after %v, want exactly 3s", waited)
		}
	})
}

func TestLongPollEndsEmptyAfterItsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		f.send("too late", 6)
		start := time.Now()
		if got := f.receive(5); got != nil {
			t.Errorf("received %v, want nothing", bodies(got))
		}
		if waited := time.Since(start); waited != 5*time.Second {
			t.Errorf("waited %v, want 5s", waited)
		}
	})
}

func TestQueueGivesItsOwnWaitAndDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, map[string]string{"ReceiveMessageWaitTimeSeconds": "9", "DelaySeconds": "4"})
		f.send("x", 0) // the client leaves a delay of 0 out
		start := time.Now()
		if got := bodies(f.receive(0)); len(got) != 1 || time.Since(start) != 4*time.Second {
			t.Errorf("received %v after %v, want one message after 4s", got, time.Since(start))
		}
	})
}

func TestMessageIsHiddenForItsVisibilityTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, map[string]string{"VisibilityTimeout": "12"})
		sentAt := time.Now()
		f.send("x", 0)
		time.Sleep(2 * time.Second)
		firstAt := time.Now()
		first := f.receive(0)
		second := f.receive(20)
		if waited := time.Since(firstAt); waited != 12*time.Second {
			t.Errorf("received again after %v, want 12s", waited)
		}
		for i, messages := range [][]types.Message{first, second} {
			if len(messages) != 1 {
				t.Fatalf("receive %d: %d messages, want 1", i+1, len(messages))
			}
			want := map[string]string{
				"ApproximateReceiveCount":          strconv.Itoa(i + 1),
				"ApproximateFirstReceiveTimestamp": strconv.FormatInt(firstAt.UnixMilli(), 10),
				"SentTimestamp":                    strconv.FormatInt(sentAt.UnixMilli(), 10),
				"SenderId":                         sqsserver.Account,
			}
			if diff := cmp.Diff(want, messages[0].Attributes); diff != "" {
				t.Errorf("receive %d, attributes (-want +got):\n%s", i+1, diff)
			}
		}
		if aws.ToString(first[0].ReceiptHandle) == aws.ToString(second[0].ReceiptHandle) {
			t.Error("two receives gave the same receipt handle")
		}
	})
}

func TestChangedVisibilityCountsFromTheChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		f.send("long", 0)
		f.send("short", 0)
		start := time.Now()
		received := f.receive(0)
		time.Sleep(5 * time.Second)
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, message := range received {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: message.Body, ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: []int32{60, 1}[i],
			})
		}
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String("bad"), ReceiptHandle: aws.String("?")})
		changed, err := f.client.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{
			QueueUrl: aws.String(f.url), Entries: entries,
		})
		if err != nil {
			t.Fatalf("ChangeMessageVisibilityBatch: %v", err)
		}
		if len(changed.Successful) != 2 || len(changed.Failed) != 1 {
			t.Errorf("%d entries succeeded and %d failed, want 2 and 1", len(changed.Successful), len(changed.Failed))
		}
		arrivals := make(map[string]time.Duration)
		for len(arrivals) < 2 {
			for _, body := range bodies(f.receive(20)) {
				if _, seen := arrivals[body]; !seen {
					arrivals[body] = time.Since(start)
				}
			}
		}
		want := map[string]time.Duration{"short": 6 * time.Second, "long": 65 * time.Second}
		if diff := cmp.Diff(want, arrivals); diff != "" {
			t.Errorf("arrivals (-want +got):\n%s", diff)
		}
	})
}

func TestChangedVisibilityOfZeroWakesLongPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		f.send("x", 0)
		handle := f.receive(0)[0].ReceiptHandle
		var received sync.WaitGroup
		received.Go(func() {
			if got := f.receive(20); len(got) != 1 {
				t.Errorf("received %v, want the message again", bodies(got))
			}
		})
		time.Sleep(time.Second)
		start := time.Now()
		_, err := f.client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{
			QueueUrl: aws.String(f.url), ReceiptHandle: handle, VisibilityTimeout: 0,
		})
		if err != nil {
			t.Errorf("ChangeMessageVisibility: %v", err)
		}
		received.Wait()
		if waited := time.Since(start); waited != 0 {
			t.Errorf("received %v after the change, want at once", waited)
		}
	})
}

func TestMessageMovesToDeadLetterQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, map[string]string{"VisibilityTimeout": "5"})
		dead := f.create("dead", nil)
		_, err := f.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
			QueueUrl: aws.String(f.url),
			Attributes: map[string]string{
				"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"2"}`, f.server.QueueARN("dead")),
			},
		})
		if err != nil {
			t.Fatalf("SetQueueAttributes: %v", err)
		}
		f.send("poison", 0)
		for i := range 2 {
			if got := f.receive(20); len(got) != 1 {
				t.Fatalf("receive %d: %d messages, want 1", i+1, len(got))
			}
		}
		if got := f.receive(20); got != nil {
			t.Errorf("received %v a third time", bodies(got))
		}
		moved := f.receiveFrom(t.Context(), dead, 0)
		if diff := cmp.Diff([]string{"poison"}, bodies(moved)); diff != "" {
			t.Fatalf("dead letters (-want +got):\n%s", diff)
		}
		if got, want := moved[0].Attributes["DeadLetterQueueSourceArn"], f.server.QueueARN("main"); got != want {
			t.Errorf("source = %s, want %s", got, want)
		}
		if got := moved[0].Attributes["ApproximateReceiveCount"]; got != "3" {
			t.Errorf("receive count = %s, want 3", got)
		}
	})
}

func TestOldMessagesAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, map[string]string{"MessageRetentionPeriod": "60"})
		f.send("old", 0)
		time.Sleep(30 * time.Second)
		f.send("young", 0)
		time.Sleep(31 * time.Second)
		if diff := cmp.Diff([]string{"young"}, bodies(f.receive(0))); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
	})
}

// A receiver that is gone when its message comes must not take it along.
func TestAbandonedLongPollLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var polling sync.WaitGroup
		polling.Go(func() {
			_, err := f.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(f.url), WaitTimeSeconds: 20})
			if err == nil {
				t.Error("the abandoned poll succeeded")
			}
		})
		synctest.Wait()
		cancel()
		f.send("x", 0) // while the poll may or may not have noticed
		polling.Wait()
		got := f.receive(0)
		if len(got) != 1 || got[0].Attributes["ApproximateReceiveCount"] != "1" {
			t.Errorf("received %v, want the message as if for the first time", got)
		}
	})
}

func TestBurstIsSharedByLongPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		const count = 2000
		for i := range count {
			f.send(strconv.Itoa(i), 10)
		}
		start := time.Now()
		var mu sync.Mutex
		seen := make(map[string]int)
		var polls sync.WaitGroup
		for range 8 {
			polls.Go(func() {
				for {
					got := bodies(f.receive(15))
					mu.Lock()
					for _, body := range got {
						seen[body]++
						if waited := time.Since(start); waited != 10*time.Second {
							t.Errorf("message %s came after %v, want 10s", body, waited)
						}
					}
					mu.Unlock()
					if got == nil {
						return
					}
				}
			})
		}
		polls.Wait()
		if len(seen) != count {
			t.Errorf("%d messages came, want %d", len(seen), count)
		}
		for body, times := range seen {
			if times != 1 {
				t.Errorf("message %s came %d times within its visibility timeout", body, times)
			}
		}
	})
}

func TestManualClockMovesTheServer(t *testing.T) {
	t.Parallel()
	clock := sqsserver.NewManualClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	f := inProcess(t, sqsserver.Options{Clock: clock}, nil)
	f.send("x", 900)
	clock.Advance(900*time.Second - time.Millisecond)
	if got := f.receive(0); got != nil {
		t.Errorf("received %v a millisecond early", bodies(got))
	}
	clock.Advance(time.Millisecond)
	if got := f.receive(0); len(got) != 1 {
		t.Errorf("received %v, want the message", bodies(got))
	}
	if got := f.attributes()["ApproximateNumberOfMessagesNotVisible"]; got != "1" {
		t.Errorf("%s messages in flight, want 1", got)
	}
	clock.Advance(30 * time.Second)
	if got := f.receive(0); len(got) != 1 || got[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("received %v, want the message a second time", bodies(got))
	}
}

func TestManualClockRingsInOrder(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := sqsserver.NewManualClock(start)
	var rang []string
	ring := func(name string) func() {
		return func() { rang = append(rang, fmt.Sprintf("%s at %v", name, clock.Now().Sub(start))) }
	}
	clock.AfterFunc(2*time.Second, ring("b"))
	clock.AfterFunc(time.Second, func() {
		ring("a")()
		clock.AfterFunc(500*time.Millisecond, ring("nested"))
	})
	stop := clock.AfterFunc(time.Second, ring("stopped"))
	clock.AfterFunc(time.Hour, ring("later"))
	if !stop() {
		t.Error("stopping an alarm that is set reports that it was not")
	}
	clock.Advance(3 * time.Second)
	if diff := cmp.Diff([]string{"a at 1s", "nested at 1.5s", "b at 2s"}, rang); diff != "" {
		t.Errorf("rang (-want +got):\n%s", diff)
	}
	if got := clock.Now().Sub(start); got != 3*time.Second {
		t.Errorf("the clock stands at +%v, want +3s", got)
	}
}
