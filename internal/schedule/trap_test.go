package schedule

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTraps goes through what cronexpr does wrong when it is given a text or a
// zone directly: overflow the stack, panic, answer the past, never end, or read
// another meaning. Where the pattern is valid, the dates must be right.
func TestTraps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, pattern, zone, after string
		want                       []string
	}{
		{
			"a padded month and a fifth weekday: endless recursion", "0 0 * 01 5#5", "UTC", "2026-01-01T00:00:00Z",
			[]string{"2026-01-30T00:00:00Z", "2027-01-29T00:00:00Z"},
		},
		{
			"a padded month: the past, for ever", "0 0 1 01 *", "UTC", "2026-06-01T00:00:00Z",
			[]string{"2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"},
		},
		{
			"a zone with daylight saving: its own input", "0 * * * *", "America/New_York", "2026-03-08T06:00:00Z",
			[]string{"2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z", "2026-03-08T09:00:00Z"},
		},
		{
			"six fields: the last is taken for a year", "30 0 12 1 1 *", "UTC", "2026-01-01T00:00:00Z",
			[]string{"2026-01-01T12:00:30Z", "2027-01-01T12:00:30Z"},
		},
		{
			"weekdays 1-7: never", "0 0 * * 1-7", "UTC", "2026-01-03T00:00:00Z",
			[]string{"2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z"},
		},
		{
			"weekdays 5-7: never", "0 0 * * 5-7", "UTC", "2026-01-01T00:00:00Z",
			[]string{"2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"},
		},
		{
			"weekdays 0-7: Sundays only", "0 0 * * 0-7", "UTC", "2026-01-01T00:00:00Z",
			[]string{"2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z"},
		},
		{
			"weekday 01: Sunday", "0 0 * * 01", "UTC", "2026-01-01T00:00:00Z",
			[]string{"2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"},
		},
		{"a day that does not exist: the zero time", "0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", nil},
		{"past 2099: the zero time", "0 0 1 1 *", "UTC", "2099-01-01T00:00:00Z", nil},
		{"the zero time: itself", "0 0 1 1 *", "UTC", "0001-01-01T00:00:00Z", []string{"1970-01-01T00:00:00Z"}},
	}
	for _, tt := range tests {
		s, err := Parse(tt.pattern, tt.zone)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		after, err := time.Parse(time.RFC3339, tt.after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range max(1, len(tt.want)) {
			next, ok := s.Next(after)
			if !ok {
				break
			}
			got = append(got, next.Format(time.RFC3339))
			after = next
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", tt.name, tt.pattern, diff)
		}
	}
}

// TestTrapsThatAreRefused are texts that cronexpr accepts.
func TestTrapsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"30-10 * * * * *", // panics later
		"5-1 * * * *",     // panics later
		"* 5-1 * * *",     // panics later
		"* * * 5-1 *",     // panics later
		"* * * * *,banana",
		"1,,2 * * * *",
		"5 @hourly", // is daily
		"0 0 0 1 1 * 2030 banana",
	} {
		if s, err := Parse(pattern, "UTC"); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", pattern, s)
		}
	}
}

// TestLongPatternIsCheap: a megabyte costs cronexpr 0.6 s and 337 MB. Counting
// allocations excludes tests that run at the same time.
func TestLongPatternIsCheap(t *testing.T) {
	long := strings.Repeat("1,", 1<<19) + "1 * * * *"
	if n := testing.AllocsPerRun(10, func() { _, _ = Parse(long, long) }); n > 50 {
		t.Errorf("refusing a pattern of a megabyte takes %v allocations", n)
	}
	if _, err := Parse(long, long); len(err.Error()) > 1000 {
		t.Errorf("the refusal is %d bytes long", len(err.Error()))
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	after := time.Date(2026, 10, 30, 0, 0, 0, 0, time.UTC)
	shared, err := Parse("0,30 1 1-7 * MON", "America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	want := shared.Between(after, after.AddDate(1, 0, 0), 100)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			own, err := Parse("0,30 1 1-7 * MON", "America/New_York")
			if err != nil {
				t.Error(err)
				return
			}
			for _, s := range []*Schedule{shared, own} {
				got := s.Between(after, after.AddDate(1, 0, 0), 100)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-alone +together):\n%s", diff)
				}
				_, _ = s.Description(), s.Warnings(after)
			}
		})
	}
	group.Wait()
}

// TestWhatCronexprIsGiven pins the text that cronexpr reads to the forms that it
// reads correctly.
func TestWhatCronexprIsGiven(t *testing.T) {
	t.Parallel()
	tests := []struct{ pattern, want string }{
		{"* * * * *", "0 * * * * * *"},
		{"*/20 * * * * *", "0,20,40 * * * * * *"},
		{"0-59 00-23 01 01 01", "0 0-59 0-23 1 1 1 *"},
		{"5/20 1,2,3,5 ? JAN,feb 5-7", "0 5,25,45 1-3,5 * 1-2 0,5-6 *"},
		{"0 0 */1 * 0-7", "0 0 0 1-31 * 0-6 *"},
		{"0 0 L,lw,05W,7 * sunL,7#1,1", "0 0 0 7,5W,L,LW * 1,0L,0#1 *"},
	}
	number := `(0|[1-9]\d?)`
	safe := regexp.MustCompile(`^(\*|` + number + `(-` + number + `)?|L|LW|` + number + `W|[0-6]L|[0-6]#[1-5])$`)
	for _, tt := range tests {
		p, err := parsePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.cronexpr(); got != tt.want {
			t.Errorf("%s: cronexpr is given %q, want %q", tt.pattern, got, tt.want)
		}
		for entry := range strings.FieldsFuncSeq(p.cronexpr(), func(r rune) bool { return r == ' ' || r == ',' }) {
			if !safe.MatchString(entry) {
				t.Errorf("%s: cronexpr is given %q", tt.pattern, entry)
			}
		}
	}
}

// TestPatternCacheIsBounded fills the cache beyond its bound.
func TestPatternCacheIsBounded(t *testing.T) {
	t.Parallel()
	for i := range cachedPatterns + 100 {
		pattern := fmt.Sprintf("%d %d %d * *", i%60, i/60%24, 1+i/60/24)
		if _, err := Parse(pattern, "UTC"); err != nil {
			t.Fatal(err)
		}
	}
	compiled.RLock()
	defer compiled.RUnlock()
	if n := len(compiled.patterns); n > cachedPatterns {
		t.Errorf("%d patterns are cached, want at most %d", n, cachedPatterns)
	}
}
