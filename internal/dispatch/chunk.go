package dispatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// How executions of one instant are cut into messages.
const (
	// burstSlots is about how many workers the queue's mapping has ready at an
	// instant; a burst is cut so that they can take all of it.
	burstSlots = 15
	minChunk   = 10
	// Messages arrive shortly before their instant; a crowd needs longer to
	// be read and connected.
	lead      = time.Second
	leadCrowd = 3 * time.Second
	crowd     = 100
)

// Sending is a chunk with how long before its instant it should arrive.
type Sending struct {
	execution.Chunk
	lead time.Duration
}

// delay is how long the queue must hold the message back. Queues count whole
// seconds; rounding down brings it early rather than late.
func (s Sending) delay(now time.Time) time.Duration {
	wait := s.At.Add(-s.lead).Sub(now).Truncate(time.Second)
	return min(max(wait, 0), MaxDelay)
}

// Chunks cuts waiting executions into messages, by lane; within a lane soonest
// first. Each message holds executions of one instant, sorted by host.
func Chunks(waiting []execution.Waiting) map[execution.Lane][]Sending {
	sorted := slices.Clone(waiting)
	slices.SortFunc(sorted, func(a, b execution.Waiting) int {
		return cmp.Or(cmp.Compare(a.Lane, b.Lane), a.NotBefore.Compare(b.NotBefore), cmp.Compare(a.Host, b.Host), cmp.Compare(a.ID, b.ID))
	})
	lanes := map[execution.Lane][]Sending{}
	for len(sorted) > 0 {
		first := sorted[0]
		n := slices.IndexFunc(sorted, func(w execution.Waiting) bool {
			return w.Lane != first.Lane || !w.NotBefore.Equal(first.NotBefore)
		})
		if n < 0 {
			n = len(sorted)
		}
		lanes[first.Lane] = append(lanes[first.Lane], cut(sorted[:n])...)
		sorted = sorted[n:]
	}
	return lanes
}

// cut makes the messages of one instant and lane.
func cut(instant []execution.Waiting) []Sending {
	size := min(max((len(instant)+burstSlots-1)/burstSlots, minChunk), execution.MaxChunk)
	before := lead
	if len(instant) > crowd {
		before = leadCrowd
	}
	var chunks []Sending
	for part := range slices.Chunk(instant, size) {
		chunk := execution.Chunk{At: part[0].NotBefore, Lane: part[0].Lane, Executions: make([]execution.Ref, len(part))}
		for i, w := range part {
			chunk.Executions[i] = execution.Ref{ID: w.ID, Attempt: w.Attempt}
		}
		chunks = append(chunks, Sending{Chunk: chunk, lead: before})
	}
	return chunks
}
