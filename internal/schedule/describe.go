package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Description says in one English sentence when the schedule fires.
func (s *Schedule) Description() string {
	p := s.pattern
	sentence := p.describeTime()
	if days := p.describeDays(); days != "" {
		sentence += " " + days
	}
	if p.dependsOnZone() {
		sentence += ", " + s.zone.name
		if s.zone.location != time.UTC {
			sentence += " time"
		}
	}
	return strings.ToUpper(sentence[:1]) + sentence[1:] + "."
}

// dependsOnZone is false for patterns that fire in the same way in every hour.
func (p *pattern) dependsOnZone() bool {
	for i := hour; i < fieldCount; i++ {
		if !p.fields[i].open {
			return true
		}
	}
	return false
}

// describeTime is the part of the sentence about the time of day.
func (p *pattern) describeTime() string {
	if times := p.timesOfDay(); times != nil {
		return "at " + joinAnd(times)
	}
	minutes, hours := &p.fields[minute], &p.fields[hour]
	text := p.describeWithinHour()
	switch {
	case hours.open && (minutes.open || minutes.periodic()):
	case hours.open:
		text += " of every hour"
	case minutes.open || minutes.periodic():
		text += " " + hours.describeHours()
	default:
		text += " of " + hours.numbered("hour", "hours")
	}
	return text
}

// describeWithinHour is about the second and the minute.
func (p *pattern) describeWithinHour() string {
	seconds, minutes := &p.fields[second], &p.fields[minute]
	if v, ok := seconds.single(); ok && v == 0 {
		return minutes.recurring("minute", "minutes")
	}
	text := seconds.recurring("second", "seconds")
	switch {
	case !minutes.open:
		return text + " of " + minutes.numbered("minute", "minutes")
	case seconds.open || seconds.periodic():
		return text
	default:
		return text + " of every minute"
	}
}

// timesOfDay lists the times at which a schedule of few fixed times fires; nil
// for any other.
func (p *pattern) timesOfDay() []string {
	const most = 4
	if p.interval {
		return nil
	}
	hours, minutes, seconds := p.fields[hour].values(), p.fields[minute].values(), p.fields[second].values()
	if len(hours)*len(minutes)*len(seconds) > most {
		return nil
	}
	zero, ok := p.fields[second].single()
	var times []string
	for _, h := range hours {
		for _, m := range minutes {
			for _, s := range seconds {
				text := fmt.Sprintf("%02d:%02d:%02d", h, m, s)
				if ok && zero == 0 {
					text = text[:len("00:00")]
				}
				times = append(times, text)
			}
		}
	}
	return times
}

// describeDays is the part of the sentence about days and months.
func (p *pattern) describeDays() string {
	days, weekdays, months := &p.fields[dayOfMonth], &p.fields[dayOfWeek], &p.fields[month]
	inMonths := ""
	if !months.open {
		inMonths = " in " + months.describeItems(monthName)
	}
	switch {
	case !days.open && !weekdays.open:
		return "on " + days.describeMonthDays() + " of the month or on " + weekdays.describeWeekdays() + inMonths
	case !days.open && months.open:
		return "on " + days.describeMonthDays() + " of every month"
	case !days.open:
		return "on " + days.describeMonthDays() + " of " + months.describeItems(monthName)
	case !weekdays.open:
		return "on " + weekdays.describeWeekdays() + inMonths
	case p.fields[hour].open:
		return strings.TrimPrefix(inMonths, " ") // every five minutes: of every day, of course
	default:
		return "every day" + inMonths
	}
}

// periodic reports whether the field is a single */n that goes evenly into the
// field, so that its values are the same distance apart throughout.
func (f *field) periodic() bool {
	return len(f.items) == 1 && f.items[0].kind == everyStep && f.even(f.items[0].step)
}

// even reports whether steps of a size go into the field without a remainder.
func (f *field) even(step int) bool {
	return (f.spec.end-f.spec.min+1)%step == 0
}

// recurring describes a second or minute field that stands first: "every 5
// minutes", "at minutes 0 and 30".
func (f *field) recurring(one, many string) string {
	switch {
	case f.open:
		return "every " + one
	case f.periodic() && f.items[0].step == 1:
		return "every " + one
	case f.periodic():
		return fmt.Sprintf("every %d %s", f.items[0].step, many)
	default:
		return "at " + f.numbered(one, many)
	}
}

// numbered describes values by their numbers: "minute 5", "hours 9 through 17",
// "every 2nd hour".
func (f *field) numbered(one, many string) string {
	if f.open {
		return "every " + one
	}
	if _, ok := f.single(); ok {
		return one + " " + f.String()
	}
	if it := f.items[0]; len(f.items) == 1 {
		switch {
		case it.kind == everyStep && it.step == 1:
			return "every " + one
		case it.kind == everyStep:
			return "every " + ordinal(it.step) + " " + one
		case it.manySteps():
			return fmt.Sprintf("every %s %s from %d through %d", ordinal(it.step), one, it.first, it.last)
		}
	}
	return many + " " + f.describeItems(strconv.Itoa)
}

// describeHours is about the hours during which something recurs.
func (f *field) describeHours() string {
	if it := f.items[0]; len(f.items) == 1 && it.kind == span && it.step == 0 {
		return fmt.Sprintf("from %02d:00 through %02d:59", it.first, it.last)
	}
	return "during " + f.numbered("hour", "hours")
}

func (f *field) describeMonthDays() string {
	var plain field
	var parts []string
	for _, it := range f.items {
		switch it.kind {
		case lastDay:
			parts = append(parts, "the last day")
		case lastWorkday:
			parts = append(parts, "the last workday")
		case nearestWorkday:
			parts = append(parts, fmt.Sprintf("the workday nearest to day %d", it.first))
		default:
			plain.items = append(plain.items, it)
		}
	}
	if len(plain.items) > 0 {
		plain.spec = f.spec
		parts = append([]string{plain.numbered("day", "days")}, parts...)
	}
	return joinAnd(parts)
}

func (f *field) describeWeekdays() string {
	var parts []string
	plain := field{spec: f.spec}
	for _, it := range f.items {
		switch it.kind {
		case lastWeekday:
			parts = append(parts, "the last "+weekdayName(it.first)+" of the month")
		case nthWeekday:
			nth := [...]string{"first", "second", "third", "fourth", "fifth"}[it.nth-1]
			parts = append(parts, "the "+nth+" "+weekdayName(it.first)+" of the month")
		default:
			plain.items = append(plain.items, it)
		}
	}
	if len(plain.items) > 0 {
		parts = append([]string{plain.describeItems(weekdayName)}, parts...)
	}
	return joinAnd(parts)
}

// describeItems lists the plain items of a field. Short steps are written out.
func (f *field) describeItems(name func(int) string) string {
	var parts []string
	for _, it := range f.items {
		switch {
		case it.step <= 1 && it.last > it.first:
			parts = append(parts, name(it.first)+" through "+name(it.last))
		case it.manySteps():
			parts = append(parts, fmt.Sprintf("every %s from %s through %s",
				ordinal(it.step), name(it.first), name(it.last)))
		default:
			for v := it.first; v <= it.last; v += max(it.step, 1) {
				parts = append(parts, name(v))
			}
		}
	}
	return joinAnd(parts)
}

// manySteps is true of a stepped item with more values than are worth listing.
func (it item) manySteps() bool {
	const most = 6
	return it.step > 1 && (it.last-it.first)/it.step >= most
}

func monthName(v int) string   { return time.Month(v).String() }
func weekdayName(v int) string { return time.Weekday(v % 7).String() }

func ordinal(n int) string {
	suffix := "th"
	if n/10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// joinAnd writes "a", "a and b", "a, b and c".
func joinAnd(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}
