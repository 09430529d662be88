package schedule_test

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// oracle says when a pattern fires by looking at every instant there is. It is
// written from the rules alone, slowly and plainly, and shares no code with the
// package. It takes the text of a pattern that is known to be valid.
type oracle struct {
	fields   [6]string // from seconds to day of week
	interval bool
	times    [3][60]bool // which seconds, minutes and hours match
	days     map[int64]bool
}

func newOracle(pattern string) *oracle {
	switch strings.ToLower(pattern) {
	case "@hourly":
		pattern = "0 * * * *"
	case "@daily", "@midnight":
		pattern = "0 0 * * *"
	case "@weekly":
		pattern = "0 0 * * SUN"
	case "@monthly":
		pattern = "0 0 1 * *"
	case "@yearly", "@annually":
		pattern = "0 0 1 JAN *"
	}
	fields := strings.Fields(strings.ToUpper(pattern))
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	o := &oracle{fields: [6]string(fields), days: map[int64]bool{}}
	o.interval = strings.ContainsAny(fields[0]+fields[1]+fields[2], "*/")
	for i, top := range []int{59, 59, 23} {
		for v := 0; v <= top; v++ {
			o.times[i][v] = plainMatch(fields[i], v, 0, top, nil)
		}
	}
	return o
}

var (
	oracleMonths   = strings.Fields("- JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")
	oracleWeekdays = strings.Fields("SUN MON TUE WED THU FRI SAT")
)

// plainMatch reports whether a value is in a list of values, ranges and steps.
func plainMatch(text string, v, bottom, top int, names []string) bool {
	value := func(text string) int {
		if i := slices.Index(names, text); i >= 0 {
			return i
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return -1000 // one of L, W and #
		}
		return n
	}
	for _, entry := range strings.Split(text, ",") {
		step := 1
		head, stepText, stepped := strings.Cut(entry, "/")
		if stepped {
			step = value(stepText)
		}
		low, high := bottom, top
		if head != "*" && head != "?" {
			from, to, ranged := strings.Cut(head, "-")
			low, high = value(from), value(to)
			switch {
			case !ranged && stepped:
				high = top
			case !ranged:
				high = low
			}
		}
		if v >= low && v <= high && (v-low)%step == 0 {
			return true
		}
	}
	return false
}

// matches reports whether a wall clock reading, as the Unix time at which a
// clock in UTC shows it, matches the pattern.
func (o *oracle) matches(reading int64) bool {
	ofDay := ((reading % 86400) + 86400) % 86400
	if !o.times[2][ofDay/3600] || !o.times[1][ofDay/60%60] || !o.times[0][ofDay%60] {
		return false
	}
	date := reading - ofDay
	matches, known := o.days[date]
	if !known {
		matches = o.matchesDate(time.Unix(date, 0).UTC())
		o.days[date] = matches
	}
	return matches
}

func (o *oracle) matchesDate(date time.Time) bool {
	if date.Year() < 1970 || date.Year() > 2099 {
		return false
	}
	if !plainMatch(o.fields[4], int(date.Month()), 1, 12, oracleMonths) {
		return false
	}
	open := func(field string) bool { return field == "*" || field == "?" }
	byDay, byWeekday := o.matchesDayOfMonth(date), o.matchesDayOfWeek(date)
	switch {
	case open(o.fields[3]):
		return byWeekday
	case open(o.fields[5]):
		return byDay
	}
	return byDay || byWeekday
}

func (o *oracle) matchesDayOfMonth(date time.Time) bool {
	if plainMatch(o.fields[3], date.Day(), 1, 31, nil) {
		return true
	}
	last := time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	for _, entry := range strings.Split(o.fields[3], ",") {
		switch {
		case entry == "L":
			if date.Day() == last {
				return true
			}
		case entry == "LW":
			// The latest workday of the month.
			d := last
			for !workday(date, d) {
				d--
			}
			if date.Day() == d {
				return true
			}
		case strings.HasSuffix(entry, "W"):
			target, _ := strconv.Atoi(strings.TrimSuffix(entry, "W"))
			if target > last {
				continue
			}
			// The workday of this month that is the fewest days away.
			best := 0
			for d := 1; d <= last; d++ {
				if workday(date, d) && (best == 0 || distance(d, target) < distance(best, target)) {
					best = d
				}
			}
			if date.Day() == best {
				return true
			}
		}
	}
	return false
}

func workday(month time.Time, day int) bool {
	switch time.Date(month.Year(), month.Month(), day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday, time.Sunday:
		return false
	}
	return true
}

func distance(a, b int) int { return max(a-b, b-a) }

func (o *oracle) matchesDayOfWeek(date time.Time) bool {
	text := o.fields[5]
	weekday := int(date.Weekday())
	for _, entry := range strings.Split(text, ",") {
		if name, found := strings.CutSuffix(entry, "L"); found {
			inAWeek := date.AddDate(0, 0, 7)
			if oracleWeekday(name) == weekday && inAWeek.Month() != date.Month() {
				return true
			}
			continue
		}
		if name, nth, found := strings.Cut(entry, "#"); found {
			if oracleWeekday(name) == weekday && strconv.Itoa((date.Day()+6)/7) == nth {
				return true
			}
			continue
		}
		if from, found := strings.CutSuffix(entry, "-SUN"); found && oracleWeekday(from) != 0 {
			entry = from + "-7"
		}
		if rest, found := strings.CutPrefix(entry, "7/"); found {
			entry = "0/" + rest
		}
		if plainMatch(entry, weekday, 0, 6, oracleWeekdays) ||
			weekday == 0 && entry != "*" && !strings.Contains(entry, "*/") && !openEnded(entry) &&
				plainMatch(entry, 7, 0, 7, oracleWeekdays) {
			return true
		}
	}
	return false
}

// openEnded is true for 5/2, which ends on Saturday rather than on day 7.
func openEnded(entry string) bool {
	return strings.Contains(entry, "/") && !strings.Contains(entry, "-")
}

func oracleWeekday(text string) int {
	if i := slices.Index(oracleWeekdays, text); i >= 0 {
		return i
	}
	n, _ := strconv.Atoi(text)
	return n % 7
}

// fires lists the instants after one and up to and including another at which
// the pattern fires in a zone. It looks at every step-th second.
func (o *oracle) fires(zone *time.Location, after, until, step int64) []int64 {
	offset := func(instant int64) int64 {
		_, seconds := time.Unix(instant, 0).In(zone).Zone()
		return int64(seconds)
	}
	begin := after - after%step // the latest multiple of step that is not later
	if begin > after {
		begin -= step
	}
	// The latest reading that was shown: no clock is turned back by over 30 hours.
	shown := begin + offset(begin)
	for instant := begin - 30*3600; instant < begin; instant += step {
		shown = max(shown, instant+offset(instant))
	}

	var instants []int64
	previous := offset(begin)
	for instant := begin + step; instant <= until; instant += step {
		current := offset(instant)
		reading := instant + current
		fires := false
		switch {
		case o.interval:
			fires = o.matches(reading)
		case reading <= shown: // shown before
		case current-previous > 3*3600: // the date line moved
			fires = o.matches(reading)
		default:
			for missed := shown + step; missed <= reading && !fires; missed += step {
				fires = o.matches(missed)
			}
		}
		if fires {
			instants = append(instants, instant)
		}
		shown, previous = max(shown, reading), current
	}
	return instants
}
