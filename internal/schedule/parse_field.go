package schedule

import (
	"slices"
	"strings"
)

// parseField reads one field, in upper case.
func parseField(spec *fieldSpec, text string) (field, error) {
	f := field{spec: spec}
	if text == "*" || text == "?" && spec.isDay() {
		f.open = true
		return f, nil
	}
	for entry := range strings.SplitSeq(text, ",") {
		it, err := parseItem(spec, entry)
		if err != nil {
			return field{}, err
		}
		f.items = append(f.items, it)
	}
	slices.SortFunc(f.items, compareItems)
	f.items = slices.Compact(f.items)
	// */1 is another way to write *. Not in a day field, which it restricts, if to
	// every day: that matters where the other day field is restricted too.
	if it := f.items[0]; len(f.items) == 1 && it.kind == everyStep && it.step == 1 && !spec.isDay() {
		return field{spec: spec, open: true}, nil
	}
	for _, it := range f.items {
		f.set |= it.set(spec)
	}
	return f, nil
}

// parseItem reads one entry of a list.
func parseItem(spec *fieldSpec, text string) (item, error) {
	switch {
	case text == "":
		return item{}, fieldError(spec, "a list has an empty entry")
	case text == "*" || text == "?" && spec.isDay():
		return item{}, fieldError(spec, "%s stands alone, not in a list", quote(text))
	}
	if it, ok, err := parseSpecial(spec, text); ok || err != nil {
		return it, err
	}

	body, stepText, stepped := strings.Cut(text, "/")
	step := 0
	if stepped {
		var ok bool
		if step, ok = number(stepText); !ok || step < 1 || step > spec.max {
			return item{}, fieldError(spec, "the step of %s must be a number from 1 to %d", quote(text), spec.max)
		}
	}
	if body == "*" {
		return item{kind: everyStep, first: spec.min, last: spec.end, step: step}, nil
	}

	low, high, ranged := strings.Cut(body, "-")
	first, err := parseValue(spec, low, text)
	if err != nil {
		return item{}, err
	}
	if !ranged {
		first = spec.fold(first)
		if stepped {
			return item{kind: fromStep, first: first, last: spec.end, step: step}, nil
		}
		return item{first: first, last: first}, nil
	}
	last, err := parseValue(spec, high, text)
	if err != nil {
		return item{}, err
	}
	return parseRange(spec, text, high, item{first: first, last: last, step: step})
}

// parseRange checks the ends of a range, and settles which Sunday is meant.
func parseRange(spec *fieldSpec, text, high string, it item) (item, error) {
	if high == "SUN" && it.first > it.last {
		it.last = spec.max // FRI-SUN runs to the Sunday that follows
	}
	if it.first > it.last {
		return item{}, fieldError(spec, "the range %s is reversed, write it from low to high", quote(text))
	}
	if it.first == it.last {
		it.first = spec.fold(it.first)
		it.last = it.first
	}
	return it, nil
}

// parseSpecial reads the entries of the day fields that are not plain values. It
// is false, without an error, for any other entry.
func parseSpecial(spec *fieldSpec, text string) (item, bool, error) {
	switch spec {
	case &fieldSpecs[dayOfMonth]:
		if text == "L" {
			return item{kind: lastDay}, true, nil
		}
		if text == "LW" {
			return item{kind: lastWorkday}, true, nil
		}
		if day, found := strings.CutSuffix(text, "W"); found {
			v, err := parseValue(spec, day, text)
			return item{kind: nearestWorkday, first: v}, true, err
		}
	case &fieldSpecs[dayOfWeek]:
		if day, nth, found := strings.Cut(text, "#"); found {
			v, err := parseValue(spec, day, text)
			if err != nil {
				return item{}, false, err
			}
			n, ok := number(nth)
			if !ok || n < 1 || n > 5 {
				return item{}, false, fieldError(spec, "the week of %s must be a number from 1 to 5", quote(text))
			}
			return item{kind: nthWeekday, first: spec.fold(v), nth: n}, true, nil
		}
		if day, found := strings.CutSuffix(text, "L"); found {
			v, err := parseValue(spec, day, text)
			return item{kind: lastWeekday, first: spec.fold(v)}, true, err
		}
	}
	return item{}, false, nil
}

// parseValue reads a number or a name; text is the entry it is part of.
func parseValue(spec *fieldSpec, value, text string) (int, error) {
	if i := slices.Index(spec.names, value); i >= 0 {
		return spec.min + i, nil
	}
	v, ok := number(value)
	if !ok {
		return 0, fieldError(spec, "%s is not understood", quote(text))
	}
	if v < spec.min || v > spec.max {
		return 0, fieldError(spec, "%s is out of range", quote(text))
	}
	return v, nil
}

// number reads one or two digits, or three that do not begin with 0: more than
// any field accepts, so that 100 is called out of range rather than not
// understood, and too few to overflow.
func number(text string) (int, bool) {
	if len(text) == 0 || len(text) > 3 || len(text) == 3 && text[0] == '0' {
		return 0, false
	}
	n := 0
	for i := range len(text) {
		digit := text[i]
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = n*10 + int(digit-'0')
	}
	return n, true
}
