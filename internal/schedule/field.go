package schedule

import (
	"slices"
	"strconv"
	"strings"
)

// The fields of a pattern, in the order in which they are written.
const (
	second = iota
	minute
	hour
	dayOfMonth
	month
	dayOfWeek
	fieldCount
)

// fieldSpec is what a field accepts.
type fieldSpec struct {
	name     string
	min, max int      // the least and greatest number that may be written
	end      int      // the greatest distinct value: 6 for weekdays, where 7 is 0
	names    []string // the names of the values from min on
	accepts  string   // for messages
	unit     string   // the field's values in the plural, for descriptions
	parent   string   // what the field's values begin anew with
}

var fieldSpecs = [fieldCount]fieldSpec{
	second: {
		name: "second", min: 0, max: 59, end: 59, unit: "seconds", parent: "minute",
		accepts: "*, 0-59, lists (0,30), ranges (0-30) and steps (*/15)",
	},
	minute: {
		name: "minute", min: 0, max: 59, end: 59, unit: "minutes", parent: "hour",
		accepts: "*, 0-59, lists (0,30), ranges (0-30) and steps (*/15)",
	},
	hour: {
		name: "hour", min: 0, max: 23, end: 23, unit: "hours", parent: "day",
		accepts: "*, 0-23, lists (9,17), ranges (9-17) and steps (*/6)",
	},
	dayOfMonth: {
		name: "day of month", min: 1, max: 31, end: 31, unit: "days", parent: "month",
		accepts: "* or ?, 1-31, lists (1,15), ranges (1-7), steps (*/2), L (last day), " +
			"LW (last workday) and 15W (workday nearest to the 15th)",
	},
	month: {
		name: "month", min: 1, max: 12, end: 12, unit: "months", parent: "year",
		names:   []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"},
		accepts: "*, 1-12 or JAN-DEC, lists (1,7), ranges (6-8) and steps (*/3)",
	},
	dayOfWeek: {
		name: "day of week", min: 0, max: 7, end: 6, unit: "days", parent: "week",
		names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"},
		accepts: "* or ?, 0-7 (0 and 7 are Sunday) or SUN-SAT, lists (1,3), ranges (1-5), " +
			"steps (*/2), 5L (last Friday) and 5#3 (third Friday)",
	},
}

// isDay is true of the two fields that choose days.
func (spec *fieldSpec) isDay() bool {
	return spec == &fieldSpecs[dayOfMonth] || spec == &fieldSpecs[dayOfWeek]
}

// field is one parsed field of a pattern.
type field struct {
	spec *fieldSpec
	// open is true for * and ?, which restrict nothing. A field that happens to
	// list every value is not open: that matters where both day fields are
	// restricted, and in telling interval schedules from fixed times.
	open  bool
	items []item // in canonical order, without repetitions; none when open
	set   uint64 // bit v: the plain value v matches
}

// String is the canonical text of the field.
func (f *field) String() string {
	if f.open {
		return "*"
	}
	texts := make([]string, len(f.items))
	for i, it := range f.items {
		texts[i] = it.String()
	}
	return strings.Join(texts, ",")
}

// interval reports whether the field was written with a * or a /.
func (f *field) interval() bool {
	return f.open || slices.ContainsFunc(f.items, func(it item) bool { return it.step > 0 })
}

// values lists the plain values that match, in ascending order.
func (f *field) values() []int {
	var values []int
	for v := f.spec.min; v <= f.spec.end; v++ {
		if f.set&(1<<v) != 0 {
			values = append(values, v)
		}
	}
	return values
}

// single is the only value that matches, if there is just one.
func (f *field) single() (int, bool) {
	if f.open || len(f.items) != 1 {
		return 0, false
	}
	it := f.items[0]
	return it.first, it.kind == span && it.first == it.last && it.step == 0
}

// cronexpr is the field as cronexpr reads it without surprises: unpadded
// numbers, ranges from low to high, Sunday only as 0, no steps, no names.
func (f *field) cronexpr() string {
	if f.open {
		return "*"
	}
	parts := runs(f.values())
	for _, it := range f.items {
		if it.kind.special() {
			parts = append(parts, it.String())
		}
	}
	return strings.Join(parts, ",")
}

// runs writes ascending values as numbers and ranges.
func runs(values []int) []string {
	var parts []string
	for i := 0; i < len(values); {
		j := i
		for j+1 < len(values) && values[j+1] == values[j]+1 {
			j++
		}
		part := strconv.Itoa(values[i])
		if j > i {
			part += "-" + strconv.Itoa(values[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return parts
}
