package schedule

import (
	"fmt"
	"time"
)

// Warning tells the author of a pattern of something it does that they may not
// expect.
type Warning struct {
	// Code is stable, for programs: one of the Warn constants.
	Code string
	// Message is one or two English sentences.
	Message string
}

// The codes of warnings.
const (
	WarnNeverFires       = "never_fires"        // no instant before 2100
	WarnEitherDayMatches = "either_day_matches" // both day fields are restricted
	WarnEverySecond      = "every_second"       // * in the seconds of chosen minutes
	WarnEveryMinute      = "every_minute"       // * in the minutes of chosen hours
	WarnUnevenStep       = "uneven_step"        // */7 begins anew every hour
	WarnShortMonths      = "short_months"       // months without the day are skipped
	WarnFarAway          = "far_away"           // not within a year
	WarnDSTMoved         = "dst_moved"          // a time the clock jumps over, fires after the jump
	WarnDSTSkipped       = "dst_skipped"        // a time the clock jumps over, does not fire
	WarnDSTOnce          = "dst_runs_once"      // a time the clock repeats, fires in the first pass
	WarnDSTTwice         = "dst_runs_twice"     // a time the clock repeats, fires in both passes
)

// lookAhead is how far warnings about the turning of clocks and about long waits
// look: a year, whichever day it starts on.
const lookAhead = 366 * day

// Warnings lists what may surprise about the schedule from an instant on, the
// gravest first. Each code appears once, except WarnUnevenStep: once per field.
func (s *Schedule) Warnings(from time.Time) []Warning {
	var list []Warning
	warn := func(code, format string, args ...any) {
		list = append(list, Warning{Code: code, Message: fmt.Sprintf(format, args...)})
	}

	c := s.newCursor()
	next, fires := c.next(from.Unix())
	if !fires {
		warn(WarnNeverFires, "This pattern never fires before the year 2100.")
	}
	p := s.pattern
	if !p.fields[dayOfMonth].open && !p.fields[dayOfWeek].open {
		warn(WarnEitherDayMatches, "Both day of month and day of week are restricted: "+
			"a day that matches either of them counts. Write * in one of them to use only the other.")
	}
	p.warnFrequent(warn)
	if fires {
		p.warnShortMonths(warn)
		if next-from.Unix() > lookAhead {
			warn(WarnFarAway, "The next run is more than a year away: %s.",
				time.Unix(next, 0).UTC().Format(time.RFC3339))
		}
		c.warnClockChanges(from.Unix(), warn)
	}
	p.warnUnevenSteps(warn)
	return list
}

type warnFunc func(code, format string, args ...any)

// warnFrequent catches a * where a 0 was probably meant.
func (p *pattern) warnFrequent(warn warnFunc) {
	if p.fields[second].open && !p.fields[minute].open {
		warn(WarnEverySecond, "The second is *: this runs 60 times in each matching minute. "+
			"Write 0 to run once.")
	}
	hours := &p.fields[hour]
	if !p.fields[minute].open || hours.open {
		return
	}
	for _, it := range hours.items {
		if it.kind != span || it.first != it.last {
			return // */2 or 9-17: every minute of a stretch was meant
		}
	}
	warn(WarnEveryMinute, "The minute is *: this runs in every minute of each matching hour. "+
		"Write 0 to run once an hour.")
}

// warnShortMonths is about days that some of the months do not have.
func (p *pattern) warnShortMonths(warn warnFunc) {
	days := &p.fields[dayOfMonth]
	if days.open || !p.fields[dayOfWeek].open {
		return
	}
	first := days.spec.max
	for _, it := range days.items {
		if it.kind == lastDay || it.kind == lastWorkday {
			return
		}
		first = min(first, it.first)
	}
	const leapDay = 29 // 29 February is in the calendar of some years only
	for m := 1; m <= 12; m++ {
		// The day before the first of the next month, in a year that is not leap.
		length := time.Date(2023, time.Month(m+1), 0, 0, 0, 0, 0, time.UTC).Day()
		if (p.fields[month].open || p.fields[month].set&(1<<m) != 0) && first > length {
			hint := "Write L for the last day of every month."
			if first == leapDay {
				hint = "February has a day 29 in leap years only. " + hint
			}
			warn(WarnShortMonths, "Months without a day %d are skipped. %s", first, hint)
			return
		}
	}
}

// warnUnevenSteps is about steps that do not go evenly into their field.
func (p *pattern) warnUnevenSteps(warn warnFunc) {
	for i := range p.fields {
		f := &p.fields[i]
		for _, it := range f.items {
			if it.kind != everyStep || it.step == 1 || i != dayOfMonth && f.even(it.step) {
				continue
			}
			spec := f.spec
			last := it.first + (it.last-it.first)/it.step*it.step
			if last == it.first {
				warn(WarnUnevenStep, "*/%d in the %s field matches %d only, once a %s.",
					it.step, spec.name, it.first, spec.parent)
				continue
			}
			warn(WarnUnevenStep, "*/%d in the %s field begins anew with every %s: after %d comes %d, less than %d %s later.",
				it.step, spec.name, spec.parent, last, it.first, it.step, spec.unit)
		}
	}
}
