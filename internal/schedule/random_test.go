package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// rounds is how many times over the tests with random input run. The default
// keeps the package's tests short; SCHEDULE_TEST_ROUNDS=20 is a thorough check.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SCHEDULE_TEST_ROUNDS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SCHEDULE_TEST_ROUNDS is %q, want a positive number", text)
	}
	return n
}

// random is a source of valid patterns. The same seed yields the same patterns.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random {
	return random{rand.New(rand.NewPCG(seed, 20260308))}
}

// pattern writes a pattern of five fields or, when asked, of six. It favours
// what fires now and then in the hours at which clocks are turned.
func (r random) pattern(seconds bool) string {
	fields := []string{
		r.field(0, 59, nil, 3, 2),
		r.field(0, 23, nil, 3, 4),
		r.oftenAny(7, r.dayOfMonth),
		r.oftenAny(8, func() string { return r.field(1, 12, oracleMonths, 1, 2) }),
		r.oftenAny(7, r.dayOfWeek),
	}
	if seconds {
		fields = append([]string{r.field(0, 59, nil, 3, 2)}, fields...)
	}
	return strings.Join(fields, " ")
}

// oftenAny is * in a number of cases out of ten.
func (r random) oftenAny(cases int, otherwise func() string) string {
	if r.IntN(10) < cases {
		return "*"
	}
	return otherwise()
}

// field writes a list of plain entries: a * or a step in some cases out of ten,
// otherwise values and ranges, of which several in others.
func (r random) field(bottom, top int, names []string, open, several int) string {
	if r.IntN(10) < open {
		if r.IntN(2) == 0 {
			return "*"
		}
		return fmt.Sprintf("*/%d", 1+r.IntN(top))
	}
	entries := []string{r.entry(bottom, top, names)}
	for r.IntN(10) < several {
		entries = append(entries, r.entry(bottom, top, names))
	}
	return strings.Join(entries, ",")
}

func (r random) entry(bottom, top int, names []string) string {
	name := func(v int) string {
		if v < len(names) && r.IntN(2) == 0 {
			return names[v]
		}
		if r.IntN(8) == 0 {
			return fmt.Sprintf("%02d", v)
		}
		return strconv.Itoa(v)
	}
	low := bottom + r.IntN(top-bottom+1)
	switch { // more of what is near a turn of the clock
	case top == 23 && r.IntN(2) == 0:
		low = []int{0, 1, 2, 3, 22, 23}[r.IntN(6)]
	case top == 59 && r.IntN(2) == 0:
		low = []int{0, 0, 0, 15, 30, 59}[r.IntN(6)]
	}
	high := low + r.IntN(top-low+1)
	switch r.IntN(10) {
	case 0:
		return fmt.Sprintf("%s/%d", name(low), 1+r.IntN(top))
	case 1:
		return fmt.Sprintf("%s-%s/%d", name(low), name(high), 1+r.IntN(top))
	case 2, 3:
		return name(low) + "-" + name(high)
	}
	return name(low)
}

func (r random) dayOfMonth() string {
	switch r.IntN(8) {
	case 0:
		return "?"
	case 1:
		return "L"
	case 2:
		return fmt.Sprintf("LW,%d", 1+r.IntN(31))
	case 3:
		return fmt.Sprintf("%dW", 1+r.IntN(31))
	case 4:
		return fmt.Sprintf("1,%dW,L", 1+r.IntN(31))
	}
	return r.field(1, 31, nil, 2, 3)
}

func (r random) dayOfWeek() string {
	weekday := func() string {
		if r.IntN(2) == 0 {
			return oracleWeekdays[r.IntN(7)]
		}
		return strconv.Itoa(r.IntN(8))
	}
	switch r.IntN(9) {
	case 0:
		return "?"
	case 1:
		return weekday() + "L"
	case 2:
		return fmt.Sprintf("%s#%d", weekday(), 1+r.IntN(5))
	case 3:
		return fmt.Sprintf("%s,%sL,%s#%d", weekday(), weekday(), weekday(), 1+r.IntN(5))
	case 4:
		return fmt.Sprintf("%s-%s", oracleWeekdays[1+r.IntN(6)], []string{"7", "SUN"}[r.IntN(2)])
	case 5:
		return fmt.Sprintf("%d-7/%d", r.IntN(8), 1+r.IntN(3))
	}
	return r.field(0, 6, oracleWeekdays, 2, 3)
}
