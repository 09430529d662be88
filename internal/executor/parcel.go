package executor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// parcel is messages of one instant and lane that are handled as one: jobs that
// are made one by one have a message for each run, and a thousand of those cost
// the database as much as a hundred times as many runs in full ones.
type parcel struct {
	chunk    execution.Chunk
	messages []int // their places
	parts    [][]execution.Ref
	// traces are the trace headers that executions came with.
	traces map[int64]string

	mu sync.Mutex
	// unrecorded are executions that were called and could not be recorded.
	unrecorded map[int64]error
}

// part is one message of a parcel by itself.
func (p *parcel) part(i int) *parcel {
	chunk := p.chunk
	chunk.Executions = p.parts[i]
	return &parcel{chunk: chunk, messages: p.messages[i : i+1], parts: p.parts[i : i+1], traces: p.traces}
}

func (p *parcel) cannotRecord(execution int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unrecorded == nil {
		p.unrecorded = map[int64]error{}
	}
	p.unrecorded[execution] = err
}

// pack makes parcels of message bodies. Those that are not ours are in none.
func (r *run) pack(bodies []string, trace func(i int) string) []*parcel {
	type key struct {
		at   time.Time
		lane execution.Lane
	}
	var all []*parcel
	open := map[key]*parcel{}
	for i, body := range bodies {
		chunk, err := execution.ParseChunk(body)
		if err != nil {
			// It will never be better: drop it. Its rows, if any, are swept.
			r.log.ErrorContext(r.calls, "a message is not ours; it is dropped", "err", err)
			continue
		}
		k := key{chunk.At.UTC(), chunk.Lane}
		p := open[k]
		if p == nil || len(p.chunk.Executions)+len(chunk.Executions) > execution.MaxChunk {
			p = &parcel{chunk: execution.Chunk{At: chunk.At, Lane: chunk.Lane}, traces: map[int64]string{}}
			open[k], all = p, append(all, p)
		}
		p.messages, p.parts = append(p.messages, i), append(p.parts, chunk.Executions)
		for _, ref := range chunk.Executions {
			if !slices.Contains(p.chunk.Executions, ref) { // a doubled message
				p.chunk.Executions = append(p.chunk.Executions, ref)
			}
			if header := trace(i); header != "" {
				p.traces[ref.ID] = header
			}
		}
	}
	return all
}

// carry handles a parcel, and answers an error for each of its messages: nil
// where that is done with. Where the database takes a parcel amiss as a whole,
// each message is handled by itself, so that one costs no other its place.
func (r *run) carry(p *parcel, coming *coming) []error {
	errs := make([]error, len(p.messages))
	err := r.carryWhole(p, coming)
	if err != nil && len(p.messages) > 1 && r.calls.Err() == nil && !apperr.Is(err, apperr.Unavailable) {
		var all sync.WaitGroup
		for i := range p.messages {
			part := p.part(i)
			coming := r.load.expect(len(part.chunk.Executions))
			all.Go(func() { errs[i] = r.carry(part, coming)[0] })
		}
		all.Wait()
	} else {
		for i := range errs {
			errs[i] = err
		}
	}
	for i, part := range p.parts {
		for _, ref := range part {
			if err := p.unrecorded[ref.ID]; err != nil && errs[i] == nil {
				errs[i] = err
			}
		}
	}
	return errs
}

func (r *run) carryWhole(p *parcel, coming *coming) error {
	of := *r
	of.parcel = p
	if header := p.traces[p.chunk.Executions[0].ID]; header != "" {
		of.calls = telemetry.WithTrace(r.calls, header)
	}
	return of.chunk(p.chunk, coming)
}

// tracing is the context of what is done for an execution.
func (r *run) tracing(work Work) context.Context {
	if header := r.parcel.traces[work.ID]; header != "" {
		return telemetry.WithTrace(r.calls, header)
	}
	return r.calls
}
