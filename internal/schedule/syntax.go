package schedule

import (
	"fmt"
	"regexp"
)

// SyntaxError says what is wrong with a pattern or with the name of a zone.
type SyntaxError struct {
	// InZone is true when the zone is at fault rather than the pattern.
	InZone bool
	// Field is the field of the pattern at fault: "second", "minute", "hour",
	// "day of month", "month" or "day of week"; empty when no single field is.
	Field string
	// Message is safe to show to the author of the pattern. It says what is
	// accepted, and quotes at most a few characters of what was written.
	Message string
}

func (e *SyntaxError) Error() string {
	if e.InZone {
		return "invalid time zone: " + e.Message
	}
	return "invalid cron pattern: " + e.Message
}

// SyntaxErrors lists every *SyntaxError in an error that Parse answered: one for
// the pattern, one for the zone, or both in this order.
func SyntaxErrors(err error) []*SyntaxError {
	switch err := err.(type) { //nolint:errorlint // it walks the chain itself, to find all
	case *SyntaxError:
		return []*SyntaxError{err}
	case interface{ Unwrap() []error }:
		var all []*SyntaxError
		for _, one := range err.Unwrap() {
			all = append(all, SyntaxErrors(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		return SyntaxErrors(err.Unwrap())
	}
	return nil
}

func patternError(format string, args ...any) *SyntaxError {
	return &SyntaxError{Message: fmt.Sprintf(format, args...)}
}

func zoneError(format string, args ...any) *SyntaxError {
	return &SyntaxError{InZone: true, Message: fmt.Sprintf(format, args...)}
}

// fieldError says what is wrong with a field and then what the field takes.
func fieldError(spec *fieldSpec, format string, args ...any) *SyntaxError {
	return &SyntaxError{
		Field: spec.name,
		Message: fmt.Sprintf("%s: %s; this field takes %s",
			spec.name, fmt.Sprintf(format, args...), spec.accepts),
	}
}

// shown is what a piece of a pattern may look like to be repeated in a message:
// numbers, signs and names of months or days. Anything else is not shown again:
// it may be anything.
var shown = regexp.MustCompile(`^(?:[A-Za-z]{0,3}[0-9*/,#?-]{0,6}){1,3}$`)

// quote names a piece of a pattern in a message.
func quote(text string) string {
	if len(text) > 12 || text == "" || !shown.MatchString(text) || letters.MatchString(text) {
		return "a value"
	}
	return `"` + text + `"`
}

var letters = regexp.MustCompile(`[A-Za-z]{4}`)
