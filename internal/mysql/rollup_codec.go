package mysql

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// samplesVersion begins every encoding of samples.
const samplesVersion = 1

// sampledStatuses are the final states by the number that stands for each; new
// ones go to the end.
var sampledStatuses = []execution.Status{
	execution.Success, execution.Failed, execution.Skipped, execution.Missed, execution.Cancelled, execution.Abandoned,
}

// ranFlag marks, in a state's number, a sample that has durations.
const ranFlag = 0x80

// encodeSamples writes samples compactly, about a dozen bytes each: numbers of
// variable length, jobs and hours as differences from the sample before.
func encodeSamples(samples []execution.Sample) []byte {
	samples = slices.SortedStableFunc(slices.Values(samples), func(a, b execution.Sample) int {
		return cmp.Or(cmp.Compare(a.JobID, b.JobID), a.ScheduledFor.Compare(b.ScheduledFor))
	})
	text := append(make([]byte, 0, 1+16*len(samples)), samplesVersion)
	var job, hour int64
	for _, s := range samples {
		at := s.Hour().Unix() / 3600
		text = binary.AppendVarint(text, s.JobID-job)
		text = binary.AppendVarint(text, at-hour)
		job, hour = s.JobID, at
		text = binary.AppendVarint(text, s.CategoryID)
		status := byte(slices.Index(sampledStatuses, s.Status))
		if s.Ran {
			status |= ranFlag
		}
		text = append(text, status)
		text = binary.AppendVarint(text, s.Count)
		if s.Ran {
			text = binary.AppendUvarint(text, uint64(max(s.Duration.Milliseconds(), 0)))
			text = binary.AppendUvarint(text, uint64(max(s.Lateness.Milliseconds(), 0)))
		}
	}
	return text
}

var errBadSamples = errors.New("mysql: stored samples cannot be read")

// decodeSamples hands each sample that encodeSamples wrote to add, all or, where
// they cannot be read, none. Instants are those of their hours.
func decodeSamples(text []byte, add func(execution.Sample)) error {
	if len(text) == 0 || text[0] != samplesVersion {
		return errBadSamples
	}
	in := reader{left: text[1:]}
	var job, hour int64
	var samples []execution.Sample
	for len(in.left) > 0 && !in.failed {
		job += in.varint()
		hour += in.varint()
		s := execution.Sample{JobID: job, ScheduledFor: time.Unix(hour*3600, 0).UTC(), CategoryID: in.varint()}
		status := in.byte()
		s.Count = in.varint()
		if s.Ran = status&ranFlag != 0; s.Ran {
			s.Duration = time.Duration(in.uvarint()) * time.Millisecond
			s.Lateness = time.Duration(in.uvarint()) * time.Millisecond
		}
		if status &^= ranFlag; in.failed || int(status) >= len(sampledStatuses) {
			return errBadSamples
		}
		s.Status = sampledStatuses[status]
		samples = append(samples, s)
	}
	if in.failed {
		return errBadSamples
	}
	for _, s := range samples {
		add(s)
	}
	return nil
}

// decodePending is decodeSamples for readers, who leave out what cannot be
// read: a fold sets it aside and says so.
func decodePending(text []byte, add func(execution.Sample)) error {
	if err := decodeSamples(text, add); !errors.Is(err, errBadSamples) {
		return err
	}
	return nil
}

// encodeHistogram writes the buckets that are not empty: how far each is from
// the one before, and its count. It takes two bytes for most, and about 700 in
// all where every bucket up to a day is used.
func encodeHistogram(h execution.Histogram) []byte {
	text := []byte{}
	last := 0
	for i, n := range h {
		if n == 0 {
			continue
		}
		text = append(text, byte(i-last))
		text = binary.AppendVarint(text, n)
		last = i
	}
	return text
}

// addHistogram adds what encodeHistogram wrote.
func addHistogram(h *execution.Histogram, text []byte) error {
	in := reader{left: text}
	bucket := 0
	for len(in.left) > 0 {
		bucket += int(in.byte())
		n := in.varint()
		if in.failed || bucket >= execution.Buckets {
			return fmt.Errorf("mysql: a stored histogram cannot be read")
		}
		h.Add(bucket, n)
	}
	return nil
}

// reader takes numbers off the beginning of a text.
type reader struct {
	left   []byte
	failed bool
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.failed, r.left = true, nil
		return
	}
	r.left = r.left[n:]
}

func (r *reader) byte() byte {
	if len(r.left) == 0 {
		r.failed = true
		return 0
	}
	b := r.left[0]
	r.left = r.left[1:]
	return b
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.left)
	r.skip(n)
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.left)
	r.skip(n)
	return v
}
