package schedule

import (
	"errors"
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseZone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"UTC", "GMT", "Etc/UTC", "Etc/GMT+12", "EST5EDT", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe",
		"Pacific/Apia", "America/Sao_Paulo", "America/Nuuk", "Antarctica/Troll", "Africa/Casablanca", "Asia/Kolkata",
		"America/Argentina/Buenos_Aires", "Asia/Calcutta", "US/Eastern", "W-SU",
	} {
		zone, err := ParseZone(name)
		if err != nil {
			t.Errorf("ParseZone(%q): %v", name, err)
			continue
		}
		if zone.String() != name {
			t.Errorf("ParseZone(%q) is named %q", name, zone)
		}
		if again, _ := ParseZone(name); again != zone {
			t.Errorf("ParseZone(%q) is loaded twice", name)
		}
	}
}

func TestParseZoneRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, says string }{
		{"", "is empty"},
		{"Local", "is not known"},
		{"local", "is not known"},
		{"localtime", "is not known"},
		{"posixrules", "is not known"},
		{"right/UTC", "is not known"},
		{"posix/UTC", "is not known"},
		{"America", "is not known"},
		{"America/", "is not known"},
		{"America/New York", "is not known"},
		{"america/new_york", "is spelled America/New_York"},
		{"utc", "is spelled UTC"},
		{" UTC", "is not known"},
		{"+02:00", "is not known"},
		{"EDT", "is not known"},
		{"../UTC", "is not known"},
		{"/etc/localtime", "is not known"},
		{"zone.tab", "is not known"},
		{"UTC\x00", "is not known"},
		{strings.Repeat("A", 1<<20), "is not known"},
	}
	for _, tt := range tests {
		zone, err := ParseZone(tt.name)
		var problem *SyntaxError
		if !errors.As(err, &problem) {
			t.Errorf("ParseZone(%.20q) = %v, %v, want a *SyntaxError", tt.name, zone, err)
			continue
		}
		if !problem.InZone || problem.Field != "" || !strings.Contains(problem.Message, tt.says) ||
			!strings.Contains(problem.Message, "IANA name") || len(problem.Message) > 200 {
			t.Errorf("ParseZone(%.20q): %+v, want a short message with %q", tt.name, *problem, tt.says)
		}
	}
	zones.Range(func(name, _ any) bool {
		if _, ok := zoneFiles()[name.(string)]; !ok {
			t.Errorf("%q is cached and not a zone", name)
		}
		return true
	})
}

// TestSegments compares the segments of every zone with what the zone says
// around each of their ends and every few days in between. At the ends of leap
// years it would not end if golang/go#81583 were not seen to.
func TestSegments(t *testing.T) {
	t.Parallel()
	names := ZoneNames()
	if len(names) < 590 {
		t.Fatalf("the database has %d zones, want some 600", len(names))
	}
	for _, name := range names {
		z, err := findZone(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same := func(instant int64) {
			if got, want := z.segments[z.at(instant)].offset, offsetAt(z.location, instant); got != want {
				t.Errorf("%s: the offset at %v is %d, want %d", name, time.Unix(instant, 0).UTC(), got, want)
			}
		}
		for instant := firstSegment; instant < lastSegment; instant += 5 * day {
			same(instant)
		}
		for year := 1972; year < 2100; year += 4 {
			end := time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC).Unix()
			for instant := end - day; instant <= end+day; instant += 3 * 60 * 60 {
				same(instant)
			}
		}
		shown := z.segments[0].shown
		for i, s := range z.segments[1:] {
			previous := z.segments[i]
			same(s.start - 1)
			same(s.start)
			shown = max(shown, s.start-1+previous.offset)
			if s.start <= previous.start || s.offset == previous.offset || s.shown != shown {
				t.Errorf("%s: %+v follows %+v", name, s, previous)
			}
		}
	}
}

// TestClockTurnedBackTwice is about a clock that is turned back again before it
// has caught up. No zone has done so since 1970; one may.
func TestClockTurnedBackTwice(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC).Unix()
	p, err := parsePattern("30 12 * * *")
	if err != nil {
		t.Fatal(err)
	}
	hours := int64(60 * 60)
	// The clock shows 12:00 to 13:00, 12:00 to 12:15, and 10:15 onwards.
	location, err := time.LoadLocationFromTZData("Test/Twice", zoneFile(
		transition{noon + 1*hours, -1 * hours},
		transition{noon + 1*hours + 15*60, -3 * hours},
	))
	if err != nil {
		t.Fatal(err)
	}
	s := &Schedule{pattern: p, zone: &zone{name: "Test/Twice", location: location, segments: layOut(location)}}
	first := time.Unix(noon+30*60, 0).UTC()
	got, ok := s.Next(time.Unix(noon, 0))
	if !ok || !got.Equal(first) {
		t.Errorf("first: %v, want %v", got, first)
	}
	second := time.Unix(noon+30*60+(24+3)*hours, 0).UTC()
	for _, after := range []int64{noon + 30*60, noon + 70*60, noon + 80*60, noon + 3*hours} {
		if got, ok := s.Next(time.Unix(after, 0)); !ok || !got.Equal(second) {
			t.Errorf("after %v: %v, want %v", time.Unix(after, 0).UTC(), got, second)
		}
	}
}

type transition struct{ at, offset int64 }

// zoneFile writes a zone that begins in UTC, as RFC 9636 lays it out (version 1).
func zoneFile(transitions ...transition) []byte {
	big4 := func(v int64) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }
	file := append([]byte("TZif"), make([]byte, 16)...)
	for _, count := range []int{0, 0, 0, len(transitions), len(transitions) + 1, len("TST\x00")} {
		file = append(file, big4(int64(count))...)
	}
	for _, tr := range transitions {
		file = append(file, big4(tr.at)...)
	}
	for i := range transitions {
		file = append(file, byte(i+1))
	}
	for _, tr := range append([]transition{{}}, transitions...) {
		file = append(append(file, big4(tr.offset)...), 0, 0)
	}
	return append(file, "TST\x00"...)
}

// TestZoneinfoIsCurrent fails when the Go distribution has zones, or rules for
// the coming years, that the embedded copy has not.
func TestZoneinfoIsCurrent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(build.Default.GOROOT, "lib", "time", "zoneinfo.zip")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("SKIPPED: this Go distribution has no time zone database to compare with: %v", err)
	}
	theirs, err := readDirectory(string(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range theirs {
		want, err := readZone(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseZone(name)
		if err != nil {
			t.Errorf("%v; run go generate ./internal/schedule", err)
			continue
		}
		begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		for instant := begin; instant < begin+10*365*day; instant += 5 * day {
			if offsetAt(got, instant) != offsetAt(want, instant) {
				t.Errorf("%s has other rules in %s; run go generate ./internal/schedule", name, path)
				break
			}
		}
	}
}
