package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/schedule"
)

// TestProperties checks on random patterns in random zones what holds for all.
func TestProperties(t *testing.T) {
	t.Parallel()
	names := schedule.ZoneNames()
	for seed := range uint64(rounds(t)) {
		r := newRandom(1000 + seed)
		for range 1500 {
			pattern, name := r.pattern(r.IntN(4) == 0), names[r.IntN(len(names))]
			s := parse(t, pattern, name)
			after := time.Unix(r.clockChange(parseZone(t, name))-2*anHour, 0).UTC()
			checkCanonical(t, pattern, s, after)
			checkInstants(t, s, after)
			checkSentences(t, s, after)
		}
	}
}

// checkCanonical: the canonical text parses to itself and means the same.
func checkCanonical(t *testing.T, pattern string, s *schedule.Schedule, after time.Time) {
	t.Helper()
	again := parse(t, s.String(), s.Zone())
	if again.String() != s.String() {
		t.Errorf("%s: the canonical text %q has the canonical text %q", pattern, s, again)
	}
	if len(s.String()) > len(pattern) && !strings.HasPrefix(strings.TrimSpace(pattern), "@") {
		t.Errorf("%s: the canonical text %q is longer", pattern, s)
	}
	if again.Description() != s.Description() {
		t.Errorf("%s: described as %q, the canonical text as %q", pattern, s.Description(), again.Description())
	}
	end := after.AddDate(0, 1, 0)
	if diff := cmp.Diff(s.Between(after, end, 30), again.Between(after, end, 30)); diff != "" {
		t.Errorf("%s in %s: the canonical text %q fires at other instants:\n%s", pattern, s.Zone(), s, diff)
	}
}

// checkInstants: every instant is later than the one before, Next and Between
// agree, and no reading of a fixed-time schedule comes twice.
func checkInstants(t *testing.T, s *schedule.Schedule, after time.Time) {
	t.Helper()
	const count = 30
	listed := s.Between(after, time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC), count)
	zone := parseZone(t, s.Zone())
	fields := strings.Fields(s.String())
	fixed := !strings.ContainsAny(strings.Join(fields[:len(fields)-3], ""), "*/")
	readings := make(map[string]bool)
	previous := after
	for i := range count {
		next, ok := s.Next(previous)
		if ok != (i < len(listed)) || ok && !next.Equal(listed[i]) {
			t.Errorf("%s in %s: Next(%v) = %v, %v; Between lists %v", s, s.Zone(), previous, next, ok, listed)
			return
		}
		if !ok {
			return
		}
		if !next.After(previous) || next.Nanosecond() != 0 {
			t.Errorf("%s in %s: Next(%v) = %v", s, s.Zone(), previous, next)
			return
		}
		reading := next.In(zone).Format(time.DateTime)
		if fixed && readings[reading] {
			t.Errorf("%s in %s: the reading %s fires twice", s, s.Zone(), reading)
		}
		readings[reading] = true
		previous = next
	}
}

// checkSentences: the description is one sentence, and the warnings have codes
// and sentences; never_fires is among them just when there is no next instant.
func checkSentences(t *testing.T, s *schedule.Schedule, after time.Time) {
	t.Helper()
	text := s.Description()
	if strings.Index(text, ".") != len(text)-1 || strings.Contains(text, "  ") || text[0] < 'A' || text[0] > 'Z' {
		t.Errorf("%s: described as %q", s, text)
	}
	never := false
	for _, w := range s.Warnings(after) {
		if w.Code == "" || !strings.HasSuffix(w.Message, ".") || strings.Contains(w.Message, "%!") {
			t.Errorf("%s: warning %+v", s, w)
		}
		never = never || w.Code == schedule.WarnNeverFires
	}
	if _, fires := s.Next(after); fires == never {
		t.Errorf("%s after %v: fires is %v, the warning %v", s, after, fires, never)
	}
}
