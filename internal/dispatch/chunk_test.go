package dispatch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

func crowd(n int, at time.Time, lane execution.Lane) []execution.Waiting {
	all := make([]execution.Waiting, n)
	for i := range all {
		all[i] = execution.Waiting{ID: int64(i + 1), Attempt: 1, NotBefore: at, Lane: lane, Host: fmt.Sprintf("h%d", i%7)}
	}
	return all
}

func TestChunksSizeFollowsTheCrowd(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]struct{ messages, largest int }{
		1: {1, 1}, 10: {1, 10}, 11: {2, 10}, 150: {15, 10}, 1000: {15, 67}, 1500: {15, 100}, 5000: {50, 100},
	} {
		chunks := dispatch.Chunks(crowd(n, noon, execution.Fast))[execution.Fast]
		largest, total := 0, 0
		for _, c := range chunks {
			largest = max(largest, len(c.Executions))
			total += len(c.Executions)
		}
		if len(chunks) != want.messages || largest != want.largest || total != n {
			t.Errorf("%d executions: %d messages, the largest of %d, %d in all; want %d, %d", n, len(chunks), largest, total, want.messages, want.largest)
		}
	}
}

func TestChunksKeepInstantsAndLanesApartAndHostsTogether(t *testing.T) {
	t.Parallel()
	waiting := append(crowd(40, noon.Add(time.Second), execution.Fast), crowd(30, noon, execution.Fast)...)
	waiting = append(waiting, crowd(5, noon, execution.Slow)...)
	host := map[int64]string{}
	for _, w := range waiting {
		host[w.ID] = w.Host
	}
	lanes := dispatch.Chunks(waiting)
	if len(lanes[execution.Slow]) != 1 {
		t.Errorf("%d slow messages, want 1", len(lanes[execution.Slow]))
	}
	var last time.Time
	for _, c := range lanes[execution.Fast] {
		if c.At.Before(last) {
			t.Error("a later instant is sent before an earlier one")
		}
		last = c.At
		hosts := map[string]bool{}
		for _, ref := range c.Executions {
			hosts[host[ref.ID]] = true
		}
		if len(hosts) > 4 {
			t.Errorf("a message of %d executions names %d of 7 hosts", len(c.Executions), len(hosts))
		}
	}
}
