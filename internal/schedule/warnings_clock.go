package schedule

import "time"

// warnClockChanges is about the readings that the clock will jump over or repeat
// within a year of an instant.
func (c *cursor) warnClockChanges(from int64, warn warnFunc) {
	segments := c.zone.segments
	seen := make(map[string]bool)
	once := func(code, format string, args ...any) {
		if !seen[code] {
			seen[code] = true
			warn(code, format, args...)
		}
	}
	for i := c.zone.at(from) + 1; i < len(segments) && segments[i].start <= from+lookAhead; i++ {
		shift := segments[i].offset - segments[i-1].offset
		before := segments[i].start + segments[i-1].offset // what the clock would show
		if shift > 0 {
			c.warnJump(before, shift, segments[i], once)
		} else {
			c.warnRepeat(before, -shift, segments[i], once)
		}
	}
}

// warnJump is about a clock turned forward from the reading before.
func (c *cursor) warnJump(before, shift int64, after segment, warn warnFunc) {
	reading, ok := c.nextReading(before - 1)
	if !ok || reading >= after.first() {
		return
	}
	switch {
	case !c.pattern.interval && shift <= longestShift:
		warn(WarnDSTMoved, "%s has no %s on %s, the clock jumps over it: that run happens at %s instead.",
			c.zone.name, clockTime(reading), date(reading), clockTime(after.first()))
	case !c.pattern.interval:
		warn(WarnDSTSkipped, "%s has no %s on %s, the date line moves over it: there is no run then.",
			c.zone.name, clockTime(reading), date(reading))
	case c.pattern.choosesHours():
		warn(WarnDSTSkipped, "%s has no %s on %s, the clock jumps over it: there is no run then.",
			c.zone.name, clockTime(reading), date(reading))
	}
}

// warnRepeat is about a clock turned back from the reading before.
func (c *cursor) warnRepeat(before, shift int64, after segment, warn warnFunc) {
	reading, ok := c.nextReading(after.first() - 1)
	if !ok || reading >= before {
		return
	}
	switch {
	case !c.pattern.interval:
		warn(WarnDSTOnce, "%s shows %s twice on %s: it runs the first time only.",
			c.zone.name, clockTime(reading), date(reading))
	case c.pattern.choosesHours():
		warn(WarnDSTTwice, "%s shows %s twice on %s: it runs both times.",
			c.zone.name, clockTime(reading), date(reading))
	}
}

// choosesHours is false where every hour counts: what recurs in each of them
// takes no notice of a clock that is turned by an hour.
func (p *pattern) choosesHours() bool { return !p.fields[hour].open }

func date(reading int64) string { return time.Unix(reading, 0).UTC().Format(time.DateOnly) }

func clockTime(reading int64) string {
	at := time.Unix(reading, 0).UTC()
	if at.Second() == 0 {
		return at.Format("15:04")
	}
	return at.Format(time.TimeOnly)
}
