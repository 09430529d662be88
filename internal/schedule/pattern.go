package schedule

import (
	"strings"

	"github.com/gorhill/cronexpr"
)

// maxPatternBytes is several times what a sensible pattern needs, and keeps the
// work for a hostile one small.
const maxPatternBytes = 100

var macros = map[string]string{
	"@YEARLY":   "0 0 1 1 *",
	"@ANNUALLY": "0 0 1 1 *",
	"@MONTHLY":  "0 0 1 * *",
	"@WEEKLY":   "0 0 * * 0",
	"@DAILY":    "0 0 * * *",
	"@MIDNIGHT": "0 0 * * *",
	"@HOURLY":   "0 * * * *",
}

// pattern is a cron pattern, without a zone. It is immutable and shared.
type pattern struct {
	fields [fieldCount]field
	text   string // canonical
	// interval is true when a second, minute or hour is written with a * or a /;
	// the pattern then means elapsed time rather than times of day.
	interval bool
	// never is true when no reading from 1970 to 2099 matches.
	never bool
	// calendar must be copied before use: its Next writes to its receiver.
	calendar cronexpr.Expression
}

func parsePattern(text string) (*pattern, error) {
	texts, err := splitFields(text)
	if err != nil {
		return nil, err
	}
	p := &pattern{}
	for i := range fieldCount {
		if p.fields[i], err = parseField(&fieldSpecs[i], texts[i]); err != nil {
			return nil, err
		}
	}
	p.interval = p.fields[second].interval() || p.fields[minute].interval() || p.fields[hour].interval()
	p.text = p.canonical()

	calendar, err := cronexpr.Parse(p.cronexpr())
	if err != nil {
		// Not reachable by any text that was accepted so far; were it, the author
		// should hear of it rather than have a job that never runs.
		return nil, patternError("%s cannot be evaluated", quote(p.text))
	}
	p.calendar = *calendar
	_, fires := (&cursor{calendar: p.calendar}).nextReading(firstInstant)
	p.never = !fires
	return p, nil
}

// splitFields checks the text as a whole and answers its six fields, seconds
// first, in upper case.
func splitFields(text string) ([]string, error) {
	const shapes = "write five fields (minute, hour, day of month, month, day of week), " +
		"six with leading seconds, or a macro such as @daily"
	if len(text) > maxPatternBytes {
		return nil, patternError("the pattern is longer than %d bytes; %s", maxPatternBytes, shapes)
	}
	for i := range len(text) {
		if c := text[i]; (c < ' ' || c > '~') && c != '\t' {
			return nil, patternError("the pattern has a character that is not printable ASCII; %s", shapes)
		}
	}
	texts := strings.Fields(strings.ToUpper(text))
	if len(texts) == 1 && strings.HasPrefix(texts[0], "@") {
		expansion, known := macros[texts[0]]
		if !known {
			return nil, patternError("this macro is not known; use @yearly, @annually, @monthly, " +
				"@weekly, @daily, @midnight or @hourly")
		}
		texts = strings.Fields(expansion)
	}
	switch len(texts) {
	case 0:
		return nil, patternError("the pattern is empty; %s", shapes)
	case fieldCount - 1:
		return append([]string{"0"}, texts...), nil
	case fieldCount:
		return texts, nil
	}
	return nil, patternError("the pattern has %d field%s; %s", len(texts), plural(len(texts)), shapes)
}

// canonical is the text of the pattern in the form that String documents.
func (p *pattern) canonical() string {
	texts := make([]string, 0, fieldCount)
	for i := range p.fields {
		texts = append(texts, p.fields[i].String())
	}
	if texts[second] == "0" {
		texts = texts[minute:]
	}
	return strings.Join(texts, " ")
}

// cronexpr is the pattern as cronexpr is given it: seven fields, the last of
// which is the year, so that none is taken for another.
func (p *pattern) cronexpr() string {
	texts := make([]string, 0, fieldCount+1)
	for i := range p.fields {
		texts = append(texts, p.fields[i].cronexpr())
	}
	return strings.Join(append(texts, "*"), " ")
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
