package schedule

import (
	"time"

	"github.com/gorhill/cronexpr"
)

const (
	// firstInstant is the one before 1970; nothing fires at or before it.
	firstInstant int64 = -1
	// longestShift is the most that a clock is turned forward for daylight saving
	// or a change of standard time. A longer jump moves the date line.
	longestShift = 3 * 60 * 60
)

// cursor looks for instants. It belongs to one goroutine: the calendar is a copy,
// since cronexpr writes to it.
type cursor struct {
	*Schedule
	calendar cronexpr.Expression
}

func (s *Schedule) newCursor() cursor {
	return cursor{Schedule: s, calendar: s.pattern.calendar}
}

// next is the first instant after the given one at which the schedule fires.
func (c *cursor) next(after int64) (int64, bool) {
	if c.pattern.never || after >= lastSegment {
		return 0, false
	}
	after = max(after, firstInstant)
	if c.pattern.interval {
		return c.nextInterval(after)
	}
	return c.nextFixed(after)
}

// nextInterval finds the first later instant whose reading matches.
func (c *cursor) nextInterval(after int64) (int64, bool) {
	segments := c.zone.segments
	i := c.zone.at(after)
	// The first match later than the readings looked at so far. It holds from one
	// segment to the next unless the clock is turned back, or forward beyond it.
	reading, ok := c.nextReading(after + segments[i].offset)
	for {
		instant := reading - segments[i].offset
		if ok && (i+1 == len(segments) || instant < segments[i+1].start) {
			return instant, true
		}
		if i++; i == len(segments) {
			return 0, false
		}
		turnedBack := segments[i].offset < segments[i-1].offset
		if turnedBack || ok && reading < segments[i].first() {
			reading, ok = c.nextReading(segments[i].first() - 1)
		}
	}
}

// nextFixed finds the first later instant at which the clock reaches a matching
// reading that it has not shown before, by showing it or by jumping over it.
func (c *cursor) nextFixed(after int64) (int64, bool) {
	segments := c.zone.segments
	i := c.zone.at(after)
	reading, ok := c.nextReading(max(after+segments[i].offset, segments[i].shown))
	for ok {
		for i+1 < len(segments) && reading >= segments[i+1].start+segments[i].offset {
			i++ // the segment ends before its clock reaches the reading
		}
		if reading >= segments[i].first() {
			return reading - segments[i].offset, true
		}
		if segments[i].offset-segments[i-1].offset <= longestShift {
			return segments[i].start, true
		}
		reading, ok = c.nextReading(segments[i].first() - 1)
	}
	return 0, false
}

// nextReading is the first matching reading later than the given one.
func (c *cursor) nextReading(after int64) (int64, bool) {
	next := c.calendar.Next(time.Unix(after, 0).UTC())
	if next.IsZero() || next.Unix() <= after {
		return 0, false // the latter cannot be; it would never end
	}
	return next.Unix(), true
}
