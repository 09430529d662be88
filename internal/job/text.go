package job

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Bounds of what people write, in code points.
const (
	maxName                = 100
	minDescription         = 10
	maxDescription         = 1000
	maxCategoryDescription = 1000
	// maxNameKey is what the unique key of a category's name holds.
	maxNameKey = 200
)

const missing = "is required"

// checkName returns a job's name without surrounding space.
func checkName(f *apperr.Faults, raw string) string {
	name := strings.TrimSpace(raw)
	switch {
	case name == "":
		f.Add("name", "must not be empty")
	case utf8.RuneCountInString(name) > maxName:
		f.Addf("name", "must have at most %d characters", maxName)
	case strings.IndexFunc(name, notInName) >= 0:
		f.Add("name", "may hold ASCII letters, digits, spaces, hyphens and underscores only")
	}
	return name
}

func notInName(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	default:
		return r != ' ' && r != '-' && r != '_'
	}
}

// NameKey is the form of a job's name under which it is unique.
func NameKey(name string) string { return strings.ToLower(name) }

func checkDescription(f *apperr.Faults, text string) {
	count := utf8.RuneCountInString(text)
	switch {
	case count < minDescription || count > maxDescription:
		f.Addf("description", "must have between %d and %d characters", minDescription, maxDescription)
	case strings.TrimSpace(text) == "":
		f.Add("description", "must not be blank")
	case hasControl(text):
		f.Add("description", "must not hold control characters")
	}
}

// checkCategoryName returns a category's name without surrounding space.
func checkCategoryName(f *apperr.Faults, raw string) string {
	name := strings.TrimSpace(raw)
	switch {
	case name == "":
		f.Add("name", "must not be empty")
	case utf8.RuneCountInString(name) > maxName,
		utf8.RuneCountInString(CategoryNameKey(name)) > maxNameKey:
		f.Addf("name", "must have at most %d characters", maxName)
	case strings.IndexFunc(name, unicode.IsControl) >= 0, !utf8.ValidString(name):
		f.Add("name", "must not hold control characters")
	}
	return name
}

// CategoryNameKey is the form of a category's name under which it is unique:
// composed, and without case. It folds rune by rune, so that it stays as short
// as the name.
func CategoryNameKey(name string) string {
	return strings.ToLower(strings.ToUpper(norm.NFC.String(name)))
}

// hasControl reports a control character other than a tab or a line's end, or
// bytes that are not UTF-8.
func hasControl(text string) bool {
	if !utf8.ValidString(text) {
		return true
	}
	return strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	}) >= 0
}
