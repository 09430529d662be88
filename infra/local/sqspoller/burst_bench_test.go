package sqspoller_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

// BenchmarkBurst sends messages that become visible in one instant and reports
// how long after it invocations begin, over real connections.
func BenchmarkBurst(b *testing.B) {
	for _, burst := range []struct{ messages, batch int }{{15, 1}, {15, 10}, {200, 10}, {1000, 10}} {
		b.Run(fmt.Sprintf("messages=%d/batch=%d", burst.messages, burst.batch), func(b *testing.B) {
			server := sqsserver.New(sqsserver.Options{})
			if err := server.CreateQueue(queueName, nil); err != nil {
				b.Fatal(err)
			}
			endpoint, err := server.Start(b.Context(), "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			client, err := sqsqueue.NewClient(b.Context(), sqsserver.DefaultRegion, endpoint.URL)
			if err != nil {
				b.Fatal(err)
			}
			url := sqsserver.QueueURL(endpoint.URL, queueName)
			begun := make(chan time.Time, burst.messages)
			poller, err := sqspoller.New(sqspoller.Config{
				Client: client, QueueURL: url, QueueARN: server.QueueARN(queueName), BatchSize: burst.batch,
				Invoke: func(context.Context, []byte) ([]byte, error) {
					begun <- time.Now()
					return nil, nil
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = poller.Run(ctx) })
			defer running.Wait()
			defer cancel()

			queue := sqsqueue.New(client, url)
			messages := make([]sqsqueue.Message, burst.messages)
			for i := range messages {
				messages[i] = sqsqueue.Message{Body: fmt.Sprint(i), Delay: time.Second}
			}
			var first, last []time.Duration
			for b.Loop() {
				for i, err := range queue.Send(b.Context(), messages) {
					if err != nil {
						b.Fatalf("message %d: %v", i, err)
					}
				}
				visible := time.Now().Add(time.Second)
				var all []time.Time
				for idle := time.After(3 * time.Second); len(all) < burst.messages/burst.batch; {
					select {
					case at := <-begun:
						all = append(all, at)
					case <-idle:
						b.Fatalf("%d invocations", len(all))
					}
				}
				for drained := false; !drained; {
					select {
					case at := <-begun:
						all = append(all, at)
					case <-time.After(100 * time.Millisecond):
						drained = true
					}
				}
				first = append(first, slices.MinFunc(all, time.Time.Compare).Sub(visible))
				last = append(last, slices.MaxFunc(all, time.Time.Compare).Sub(visible))
			}
			b.ReportMetric(float64(slices.Max(first).Microseconds()), "first-us")
			b.ReportMetric(float64(slices.Max(last).Microseconds()), "last-us")
		})
	}
}
