package schedule

import (
	"errors"
	"time"
)

// Schedule is a pattern in a time zone. It does not change once parsed and is
// safe for concurrent use.
type Schedule struct {
	pattern *pattern
	zone    *zone
}

// Parse reads a cron pattern in the time zone of an IANA name. The package
// documentation describes the patterns; ParseZone, the names.
//
// The error is a *SyntaxError. When the pattern and the zone are both at fault
// it joins one for each: errors.As finds the pattern's, SyntaxErrors lists both.
// A pattern that can be read but never fires is not an error here: Next says so.
func Parse(pattern, zone string) (*Schedule, error) {
	p, patternErr := cachedPattern(pattern)
	z, zoneErr := findZone(zone)
	switch {
	case patternErr != nil && zoneErr != nil:
		return nil, errors.Join(patternErr, zoneErr)
	case patternErr != nil:
		return nil, patternErr
	case zoneErr != nil:
		return nil, zoneErr
	}
	return &Schedule{pattern: p, zone: z}, nil
}

// String is the canonical text of the pattern: numbers for names and 0 for
// Sunday, lists in order without repetitions, macros written out, seconds only
// when they are not 0. Parsing it again yields the same schedule and the same
// text.
func (s *Schedule) String() string { return s.pattern.text }

// Zone is the IANA name of the zone.
func (s *Schedule) Zone() string { return s.zone.name }

// Next is the first instant after the given one at which the schedule fires, in
// UTC and on a whole second. It is false when there is none before 2100.
func (s *Schedule) Next(after time.Time) (time.Time, bool) {
	c := s.newCursor()
	unix, ok := c.next(after.Unix())
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(unix, 0).UTC(), true
}

// Between lists the instants after the first and up to and including the second
// at which the schedule fires, in order, in UTC, and no more than limit.
func (s *Schedule) Between(after, until time.Time, limit int) []time.Time {
	var instants []time.Time
	c := s.newCursor()
	unix, last := after.Unix(), until.Unix()
	for len(instants) < limit {
		next, ok := c.next(unix)
		if !ok || next > last {
			break
		}
		instants = append(instants, time.Unix(next, 0).UTC())
		unix = next
	}
	return instants
}
