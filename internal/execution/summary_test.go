package execution_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
)

func TestPercentilesAreWithinFivePercent(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, length := range map[string]func() int64{
		"few milliseconds":  func() int64 { return random.Int64N(30) },
		"even":              func() int64 { return random.Int64N(30_000) },
		"from tiny to days": func() int64 { return int64(math.Exp(random.Float64() * 20)) },
		"two heaps":         func() int64 { return []int64{25, 9_999}[random.IntN(2)] },
	} {
		for _, n := range []int{1, 2, 7, 1000} {
			var d execution.Distribution
			all := make([]int64, n)
			var sum int64
			for i := range all {
				all[i] = length()
				sum += all[i]
				d.Add(time.Duration(all[i])*time.Millisecond + 400*time.Microsecond)
			}
			slices.Sort(all)
			for _, p := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
				want := all[max(int(math.Ceil(p*float64(n))), 1)-1]
				got, ok := d.Percentile(p)
				if !ok || math.Abs(float64(got-want)) > 0.05*float64(want) {
					t.Errorf("%s, %d: the percentile %g is %d, %t; want %d", name, n, p, got, ok, want)
				}
			}
			if average, ok := d.Average(); !ok || math.Abs(average-float64(sum)/float64(n)) > 1e-6 || d.Max != all[n-1] || d.Count() != int64(n) {
				t.Errorf("%s, %d: average %g, %t, max %d, count %d", name, n, average, ok, d.Max, d.Count())
			}
		}
	}
}

// Every value up to some minutes, alone: the bucket's width is what matters.
func TestEveryValueIsKnownWithinFivePercent(t *testing.T) {
	t.Parallel()
	for ms := int64(0); ms < 300_000; ms++ {
		var d execution.Distribution
		d.Add(time.Duration(ms) * time.Millisecond)
		d.Max = math.MaxInt64 // which would help
		if got, _ := d.Percentile(0.5); math.Abs(float64(got-ms)) > 0.05*float64(ms) {
			t.Fatalf("%d ms became %d", ms, got)
		}
	}
}

func TestNothingRan(t *testing.T) {
	t.Parallel()
	var s execution.Summary
	s.Add(execution.Sample{Status: execution.Missed, Count: 7})
	s.Add(execution.Sample{Status: execution.Cancelled, Count: 1})
	s.Add(execution.Sample{Status: execution.Cancelled, Count: -1})
	if diff := cmp.Diff(execution.Outcomes{Missed: 7}, s.Outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if _, ok := s.SuccessRate(); ok {
		t.Error("a success rate of nothing")
	}
	if _, ok := s.Duration.Percentile(0.5); ok {
		t.Error("a percentile of nothing")
	}
	if _, ok := s.Lateness.Average(); ok {
		t.Error("an average of nothing")
	}
}

func TestSummariesAddUp(t *testing.T) {
	t.Parallel()
	sample := func(status execution.Status, ms int) execution.Sample {
		length := time.Duration(ms) * time.Millisecond
		return execution.Sample{Status: status, Count: 1, Ran: true, Duration: length, Lateness: length / 2}
	}
	var whole, first, second execution.Summary
	for i := range 500 {
		s := sample([]execution.Status{execution.Success, execution.Failed, execution.Abandoned}[i%3], i*i)
		whole.Add(s)
		if i%7 < 3 {
			first.Add(s)
		} else {
			second.Add(s)
		}
	}
	var merged execution.Summary
	merged.Merge(&first)
	merged.Merge(&second)
	if !whole.Equal(&merged) || merged.Equal(&first) {
		t.Errorf("merged: %s", cmp.Diff(whole, merged))
	}
	merged.Subtract(&second)
	merged.Duration.Max, merged.Lateness.Max = first.Duration.Max, first.Lateness.Max
	if !merged.Equal(&first) {
		t.Errorf("taken away again: %s", cmp.Diff(first, merged))
	}
	if rate, ok := whole.SuccessRate(); !ok || rate != float64(whole.Success)/500 || whole.Total() != 500 {
		t.Errorf("success rate %g, %t of %d", rate, ok, whole.Total())
	}
}

func TestAClockThatIsBehindCountsAsZero(t *testing.T) {
	t.Parallel()
	var d execution.Distribution
	d.Add(-time.Hour)
	if got, ok := d.Percentile(0.5); !ok || got != 0 || d.Sum != 0 {
		t.Errorf("percentile %d, %t, sum %d", got, ok, d.Sum)
	}
}
