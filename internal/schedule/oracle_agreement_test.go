package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/schedule"
)

const (
	anHour = int64(3600)
	aDay   = 24 * anHour
)

// TestAgreesWithTheOracle compares random patterns in every zone with what the
// oracle finds by looking at each minute around an instant at which the clock is
// turned, at the end of a leap year, and anywhere.
func TestAgreesWithTheOracle(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds(t)) {
		r := newRandom(seed)
		for _, name := range schedule.ZoneNames() {
			zone := parseZone(t, name)
			for range 2 {
				agree(t, r.pattern(false), zone, r.clockChange(zone), 30*anHour, 60)
			}
			agree(t, r.pattern(false), zone, r.leapYearsEnd(), 30*anHour, 60)
			agree(t, r.pattern(false), zone, r.instant(), 50*anHour, 60)
		}
	}
}

// TestAgreesWithTheOracleToTheSecond does the same for patterns of six fields,
// in smaller windows, and in the years in which offsets had seconds.
func TestAgreesWithTheOracleToTheSecond(t *testing.T) {
	t.Parallel()
	names := schedule.ZoneNames()
	for seed := range uint64(rounds(t)) {
		r := newRandom(seed)
		for range 100 {
			zone := parseZone(t, names[r.IntN(len(names))])
			agree(t, r.pattern(true), zone, r.clockChange(zone), 2*anHour, 1)
		}
		for _, name := range []string{"Africa/Monrovia", "America/Guyana", "Asia/Ho_Chi_Minh"} {
			early := time.Date(1972, 1, 7, 0, 0, 0, 0, time.UTC).Unix()
			agree(t, r.pattern(true), parseZone(t, name), early, 2*anHour, 1)
		}
	}
}

// TestAgreesWithTheOracleOverYears looks at each minute of whole years, so that
// the next instant is often several turns of the clock away.
func TestAgreesWithTheOracleOverYears(t *testing.T) {
	t.Parallel()
	zones := []string{
		"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo",
		"Antarctica/Troll", "Africa/Casablanca", "Asia/Gaza",
	}
	for seed := range uint64(rounds(t)) {
		r := newRandom(seed)
		for _, name := range zones {
			zone := parseZone(t, name)
			begin := time.Date(1975+r.IntN(120), 1, 1, 0, 0, 0, 0, time.UTC).Unix()
			// Seldom due: one minute on a day of a month or two.
			pattern := r.entry(0, 59, nil) + " " + r.entry(0, 23, nil) + " " + r.dayOfMonth() + " " + r.entry(1, 12, oracleMonths) + " *"
			agree(t, pattern, zone, begin+350*aDay, 350*aDay, 60)
		}
	}
}

// TestDatesAgreeWithTheOracle looks at each day from 1970 to 2099 for patterns
// that seldom match, also for those that never do.
func TestDatesAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	patterns := []string{
		"0 0 29 2 *", "0 0 30 2 *", "0 0 29 2 1#5", "0 0 31W 4,6 *", "0 0 31W * *", "0 0 1W * *",
		"0 0 LW 2 *", "0 0 L 2 *", "0 0 * 2 SUN#5", "0 0 * * 7L", "0 0 31 4,6,9,11 *", "0 0 1 01 *",
		"0 0 ? 01 5#5", "0 0 29W 2 *", "0 0 31 * 0#5",
	}
	r := newRandom(7)
	for range 20 * rounds(t) {
		patterns = append(patterns, "0 0 "+r.dayOfMonth()+" "+r.entry(1, 12, oracleMonths)+" "+r.dayOfWeek())
	}
	first, end := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, pattern := range patterns {
		o := newOracle(pattern)
		var want []time.Time
		for date := first; date.Before(end); date = date.AddDate(0, 0, 1) {
			if o.matches(date.Unix()) {
				want = append(want, date)
			}
		}
		got := parse(t, pattern, "UTC").Between(time.Time{}, end, 1<<20)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: dates (-oracle +schedule):\n%s", pattern, diff)
		}
	}
}

// agree fails the test unless the schedule and the oracle find the same instants
// within a distance of a middle.
func agree(t *testing.T, pattern string, zone *time.Location, middle, distance, step int64) {
	t.Helper()
	s := parse(t, pattern, zone.String())
	after, until := middle-distance, middle+distance
	var got []int64
	for _, instant := range s.Between(time.Unix(after, 0), time.Unix(until, 0), 1<<30) {
		got = append(got, instant.Unix())
	}
	want := newOracle(pattern).fires(zone, after, until, step)
	if diff := cmp.Diff(stamps(want), stamps(got)); diff != "" {
		t.Errorf("%s in %v from %s until %s (-oracle +schedule):\n%s", pattern, zone,
			stamp(after), stamp(until), diff)
		return
	}

	// Next must say the same from anywhere, as in the second pass of an hour.
	const probes = 40
	for i := range int64(probes) {
		from := middle + (i-probes/2)*min(distance, 4*anHour)/probes
		later := slices.IndexFunc(want, func(instant int64) bool { return instant > from })
		next, ok := s.Next(time.Unix(from, 0))
		switch {
		case later >= 0 && (!ok || next.Unix() != want[later]):
			t.Errorf("%s in %v: Next(%s) = %v, %v, the oracle says %s", pattern, zone,
				stamp(from), next, ok, stamp(want[later]))
		case later < 0 && ok && next.Unix() <= until:
			t.Errorf("%s in %v: Next(%s) = %v, the oracle says none until %s", pattern, zone,
				stamp(from), next, stamp(until))
		}
	}
}

// instant is any from 1975 to 2099. Since then offsets are whole minutes.
func (r random) instant() int64 {
	begin := time.Date(1975, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	end := time.Date(2099, 12, 25, 0, 0, 0, 0, time.UTC).Unix()
	return begin + r.Int64N(end-begin)
}

// leapYearsEnd is in the last days of a leap year.
func (r random) leapYearsEnd() int64 {
	year := 1976 + 4*r.IntN(31)
	return time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC).Unix() + r.Int64N(aDay)
}

// clockChange is near an instant at which the clock of the zone is turned, if it
// finds one within some years of any instant.
func (r random) clockChange(zone *time.Location) int64 {
	offset := func(instant int64) int {
		_, seconds := time.Unix(instant, 0).In(zone).Zone()
		return seconds
	}
	latest := time.Date(2099, 12, 25, 0, 0, 0, 0, time.UTC).Unix()
	at := r.instant()
	for range 3 * 365 {
		next := min(at+aDay, latest)
		if offset(at) != offset(next) {
			for next-at > 1 { // the clock is turned in (at, next]
				if half := at + (next-at)/2; offset(half) == offset(at) {
					at = half
				} else {
					next = half
				}
			}
			return next + r.Int64N(anHour) - anHour/2
		}
		at = next
	}
	return at
}

func parse(t testing.TB, pattern, zone string) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(pattern, zone)
	if err != nil {
		t.Fatalf("Parse(%q, %q): %v", pattern, zone, err)
	}
	return s
}

func parseZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := schedule.ParseZone(name)
	if err != nil {
		t.Fatalf("ParseZone(%q): %v", name, err)
	}
	return zone
}

func stamp(instant int64) string { return time.Unix(instant, 0).UTC().Format(time.RFC3339) }

func stamps(instants []int64) []string {
	var texts []string
	for _, instant := range instants {
		texts = append(texts, stamp(instant))
	}
	return texts
}
