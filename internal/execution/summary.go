package execution

import (
	"math"
	"time"
)

// Sample is what one execution adds to the summaries when it ends.
type Sample struct {
	JobID int64
	// CategoryID is the job's category when the execution ended.
	CategoryID   int64
	ScheduledFor time.Time
	// Status is how it ended. A missed row counts every instant that it stands
	// for.
	Status Status
	// Count is 1, the instants of a missed row, or -1 for a cancelled row that
	// lives again.
	Count int64
	// Ran says that Duration and Lateness mean something: it succeeded, failed
	// or was abandoned.
	Ran                bool
	Duration, Lateness time.Duration
}

// Hour is the hour that the sample counts in: that of its instant.
func (s Sample) Hour() time.Time { return HourOf(s.ScheduledFor) }

// HourOf is the beginning of an instant's hour, in UTC.
func HourOf(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }

// Ran reports whether executions that end so count with their duration and
// lateness.
func (s Status) Ran() bool { return s == Success || s == Failed || s == Abandoned }

// Outcomes counts executions by how they ended.
type Outcomes struct {
	Success, Failed, Skipped, Missed, Cancelled, Abandoned int64
}

// Total is all of them together.
func (o Outcomes) Total() int64 {
	return o.Success + o.Failed + o.Skipped + o.Missed + o.Cancelled + o.Abandoned
}

// SuccessRate is the share of successes among the runs; false where nothing
// ran.
func (o Outcomes) SuccessRate() (float64, bool) {
	ran := o.Success + o.Failed + o.Abandoned
	if ran <= 0 {
		return 0, false
	}
	return float64(o.Success) / float64(ran), true
}

// of is the counter of a final state; nil for any other.
func (o *Outcomes) of(s Status) *int64 {
	switch s {
	case Success:
		return &o.Success
	case Failed:
		return &o.Failed
	case Skipped:
		return &o.Skipped
	case Missed:
		return &o.Missed
	case Cancelled:
		return &o.Cancelled
	case Abandoned:
		return &o.Abandoned
	default:
		return nil
	}
}

func (o *Outcomes) add(other Outcomes) {
	o.Success += other.Success
	o.Failed += other.Failed
	o.Skipped += other.Skipped
	o.Missed += other.Missed
	o.Cancelled += other.Cancelled
	o.Abandoned += other.Abandoned
}

// Summary is what the executions of some span of time add up to.
type Summary struct {
	Outcomes
	Duration, Lateness Distribution
}

// Add counts a sample.
func (s *Summary) Add(sample Sample) {
	if counter := s.of(sample.Status); counter != nil {
		*counter += sample.Count
	}
	if sample.Ran {
		s.Duration.Add(sample.Duration)
		s.Lateness.Add(sample.Lateness)
	}
}

// Merge adds another summary.
func (s *Summary) Merge(other *Summary) {
	s.add(other.Outcomes)
	s.Duration.Merge(&other.Duration)
	s.Lateness.Merge(&other.Lateness)
}

// Subtract takes another summary away. The largest values stay: what is left
// does not tell them.
func (s *Summary) Subtract(other *Summary) {
	s.add(Outcomes{-other.Success, -other.Failed, -other.Skipped, -other.Missed, -other.Cancelled, -other.Abandoned})
	s.Duration.subtract(&other.Duration)
	s.Lateness.subtract(&other.Lateness)
}

// Equal reports whether two summaries say the same.
func (s *Summary) Equal(other *Summary) bool {
	return s.Outcomes == other.Outcomes && s.Duration.equal(&other.Duration) && s.Lateness.equal(&other.Lateness)
}

// Distribution is how lengths of time are distributed: their sum and maximum
// to the millisecond, and a histogram, from which percentiles come within 5 %.
type Distribution struct {
	Sum, Max  int64 // milliseconds
	Histogram Histogram
}

// Add counts a length of time; a negative one, which only clocks that differ
// produce, counts as zero.
func (d *Distribution) Add(length time.Duration) {
	ms := max(length.Milliseconds(), 0)
	d.Sum += ms
	d.Max = max(d.Max, ms)
	d.Histogram.Add(bucketOf(ms), 1)
}

// Merge adds another distribution.
func (d *Distribution) Merge(other *Distribution) {
	d.Sum += other.Sum
	d.Max = max(d.Max, other.Max)
	for i, n := range other.Histogram {
		d.Histogram.Add(i, n)
	}
}

func (d *Distribution) subtract(other *Distribution) {
	d.Sum -= other.Sum
	for i, n := range other.Histogram {
		d.Histogram.Add(i, -n)
	}
}

func (d *Distribution) equal(other *Distribution) bool {
	return d.Sum == other.Sum && d.Max == other.Max && d.Histogram.equal(other.Histogram)
}

// Count is how many lengths were added.
func (d *Distribution) Count() int64 {
	var count int64
	for _, n := range d.Histogram {
		count += n
	}
	return count
}

// Average is the mean in milliseconds; false where nothing was added.
func (d *Distribution) Average() (float64, bool) {
	count := d.Count()
	if count <= 0 {
		return 0, false
	}
	return float64(d.Sum) / float64(count), true
}

// Percentile is the length, in milliseconds, that the share p of all does not
// exceed, within 5 %; false where nothing was added.
func (d *Distribution) Percentile(p float64) (int64, bool) {
	count := d.Count()
	if count <= 0 {
		return 0, false
	}
	rank := max(int64(math.Ceil(p*float64(count))), 1)
	var below int64
	for i, n := range d.Histogram {
		if below += n; below >= rank {
			return min(bucketValue(i), d.Max), true
		}
	}
	return d.Max, true
}

// Histogram counts lengths of time in buckets that widen by a tenth: one for
// each millisecond up to 20, the last of them open. Two histograms are merged
// by adding their buckets. It holds no more buckets than it needs.
type Histogram []int64

// Buckets is how many buckets a histogram has at most: the last begins after
// four years.
const Buckets = 256

// Add counts n more in a bucket.
func (h *Histogram) Add(bucket int, n int64) {
	if missing := bucket + 1 - len(*h); missing > 0 {
		*h = append(*h, empty[:missing]...)
	}
	(*h)[bucket] += n
}

var empty [Buckets]int64

func (h Histogram) equal(other Histogram) bool {
	for i := range max(len(h), len(other)) {
		if i < len(h) && h[i] != 0 || i < len(other) && other[i] != 0 {
			if i >= len(h) || i >= len(other) || h[i] != other[i] {
				return false
			}
		}
	}
	return true
}

// lowest is where each bucket begins, in milliseconds.
var lowest = func() (low [Buckets]int64) {
	for i := 1; i < Buckets; i++ {
		low[i] = max(low[i-1]+1, low[i-1]*11/10)
	}
	return low
}()

// bucketOf is the bucket that a number of milliseconds falls into.
func bucketOf(ms int64) int {
	low, high := 0, Buckets
	for high-low > 1 {
		if middle := (low + high) / 2; lowest[middle] <= ms {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// bucketValue stands for all that a bucket holds: the value from which both
// its ends differ by the same share.
func bucketValue(bucket int) int64 {
	if bucket == Buckets-1 {
		return lowest[bucket]
	}
	low, high := lowest[bucket], lowest[bucket+1]-1
	if low == high {
		return low
	}
	return int64(math.Round(2 * float64(low) * float64(high) / float64(low+high)))
}

// UnderWay is how many executions have not ended.
type UnderWay struct {
	Running int64
	Waiting int64 // that are due, or wait for another attempt
}
