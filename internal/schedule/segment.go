package schedule

import (
	"math"
	"sort"
	"time"
)

// A reading is what a wall clock shows, as the Unix time of the instant at which
// a clock in UTC shows the same. An instant is a Unix time. The reading of an
// instant is the instant plus the zone's offset.

// segment is a stretch of time over which a zone's offset does not change. It
// lasts until the next one starts.
type segment struct {
	start  int64 // the first instant
	offset int64 // seconds east of UTC
	// shown is the latest reading that the clock has shown before the segment
	// starts. Where the clock is turned back it is later than the segment's first
	// reading.
	shown int64
}

// first is the reading at the start of the segment.
func (s segment) first() int64 { return s.start + s.offset }

const day = 24 * 60 * 60

// What the patterns reach, with a margin for any offset.
var (
	firstSegment = time.Date(1969, 12, 29, 0, 0, 0, 0, time.UTC).Unix()
	lastSegment  = time.Date(2100, 1, 3, 0, 0, 0, 0, time.UTC).Unix()
)

// layOut lists the segments of a location, from before 1970 to 2100. Adjacent
// segments differ in their offset: what else changes (the name, the daylight
// saving flag) moves no clock.
func layOut(location *time.Location) []segment {
	segments := []segment{{start: firstSegment, offset: offsetAt(location, firstSegment), shown: math.MinInt64}}
	for at := firstSegment; at < lastSegment; {
		next := boundAfter(location, at)
		if offset, current := offsetAt(location, next), segments[len(segments)-1]; offset != current.offset {
			segments = append(segments, segment{
				start:  next,
				offset: offset,
				shown:  max(current.shown, next-1+current.offset),
			})
		}
		at = next
	}
	return segments
}

// boundAfter is an instant later than the given one, up to which the offset does
// not change.
//
// ZoneBounds would be enough, were its end always later than the instant asked
// about: on 31 December of leap years it is not, in zones whose rules have no
// last year (golang/go#81583). There the offset is looked at a day at a time.
func boundAfter(location *time.Location, instant int64) int64 {
	_, end := time.Unix(instant, 0).In(location).ZoneBounds()
	if end.IsZero() {
		return lastSegment
	}
	if end.Unix() > instant {
		return end.Unix()
	}
	offset := offsetAt(location, instant)
	ahead := sort.Search(day, func(i int) bool {
		return offsetAt(location, instant+1+int64(i)) != offset
	})
	if ahead == day {
		return instant + day // the offset stays the same
	}
	return instant + 1 + int64(ahead)
}

func offsetAt(location *time.Location, instant int64) int64 {
	_, offset := time.Unix(instant, 0).In(location).Zone()
	return int64(offset)
}

// at is the index of the segment that contains an instant.
func (z *zone) at(instant int64) int {
	after := sort.Search(len(z.segments), func(i int) bool { return z.segments[i].start > instant })
	return max(after-1, 0)
}
