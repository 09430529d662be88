package crontab

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

// The codes of warnings about lines.
const (
	WarnVariableIgnored = "variable_ignored" // a variable other than the time zone is set above
	WarnOptionIgnored   = "option_ignored"   // an option of curl that a job does not keep
)

// maxLine bounds a line, in bytes: the largest body, quoted with care, and
// headers fit in.
const maxLine = 256 << 10

// maxFaults is after how many faults of lines that are no jobs reading ends, and
// how many of one command are kept.
const maxFaults = 100

var (
	comment  = regexp.MustCompile(`^#\s*(name|description):\s*(.*)$`)
	variable = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)
)

// Read reads a crontab. Each line that calls something is an item, with the
// faults that it has, its place being "line 7"; faults of other lines are
// returned beside. The jobs name no category.
func Read(text string) (items []job.ImportItem, faults []apperr.Field) {
	r := reader{zone: job.DefaultTimezone}
	text = strings.TrimPrefix(text, "\uFEFF")
	for line := range strings.Lines(text) {
		r.number++
		r.line(strings.TrimRight(line, "\r\n"))
		if len(r.faults) == maxFaults {
			r.faults[maxFaults-1].Message += "; the lines below were not read"
			break
		}
		if len(r.items) > job.MaxImport {
			r.fault("", "the crontab has more than %d jobs; import them in parts", job.MaxImport)
			return nil, r.faults
		}
	}
	r.nameTheRest()
	return r.items, r.faults
}

// reader goes over a crontab from top to bottom.
type reader struct {
	number      int // of the line, from 1
	zone        string
	name        *string // of the next job
	description *string
	unset       int // how many variables were left out since the last job
	items       []job.ImportItem
	faults      []apperr.Field
}

func (r *reader) place() string { return fmt.Sprintf("line %d", r.number) }

// fault notes a fault of a line that is no job.
func (r *reader) fault(field, format string, args ...any) {
	if field != "" {
		field = "." + field
	}
	r.faults = append(r.faults, apperr.Field{Name: r.place() + field, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) line(line string) {
	switch {
	case len(line) > maxLine:
		r.fault("", "must have at most %d bytes", maxLine)
		return
	case !utf8.ValidString(line):
		r.fault("", "is not valid UTF-8")
		return
	}
	line = strings.Trim(line, " \t")
	if line == "" {
		return
	}
	if line[0] == '#' {
		r.comment(line)
		return
	}
	if set := variable.FindStringSubmatch(line); set != nil {
		r.variable(set[1], unquote(set[2]))
		return
	}
	r.job(line)
}

// comment takes the two comments that mean something.
func (r *reader) comment(line string) {
	said := comment.FindStringSubmatch(line)
	switch {
	case said == nil:
	case said[1] == "name":
		r.name = &said[2]
	default:
		r.description = &said[2]
	}
}

func (r *reader) variable(name, value string) {
	if name != "CRON_TZ" && name != "TZ" {
		r.unset++
		return
	}
	if value == "" {
		value = job.DefaultTimezone
	}
	if _, err := job.ParseSchedule("@daily", value); err != nil {
		r.fault("timezone", "must be a name of the IANA time zone database, for instance Europe/Berlin")
		return
	}
	r.zone = value
}

func unquote(value string) string {
	value = strings.Trim(value, " \t")
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

func (r *reader) job(line string) {
	item := job.ImportItem{Place: r.place()}
	fault := func(field, message string) {
		item.Faults = append(item.Faults, apperr.Field{Name: field, Message: message})
	}
	pattern, command := splitLine(line)
	in := &item.Input
	zone := r.zone
	in.CronPattern, in.Timezone = &pattern, &zone
	in.Name, in.Description = r.name, r.description
	if in.Description == nil {
		in.Description = new(fmt.Sprintf("Imported from line %d of a crontab.", r.number))
	}
	if r.unset > 0 {
		item.Warnings = append(item.Warnings, job.Warning{
			Code:    WarnVariableIgnored,
			Message: fmt.Sprintf("The variables set above it (%d) are left out: a job has none.", r.unset),
		})
	}
	r.name, r.description, r.unset = nil, nil, 0

	words, err := commandWords(command)
	if err != nil {
		fault("command", err.Error())
	} else {
		c := parseCall(words)
		c.fill(&item)
		for _, message := range c.faults {
			fault("command", message)
		}
	}
	if len(item.Faults) > 0 && in.URL == nil {
		// What could not be read is said; it is not missing.
		item.Faults = append(item.Faults, apperr.Field{Name: "url", Message: "could not be read from the command"})
		in.URL = new("http://unread.invalid/")
	}
	r.items = append(r.items, item)
}

// splitLine parts a line into its pattern and its command. Six fields are taken
// where the sixth cannot be a command.
func splitLine(line string) (pattern, command string) {
	rest := line
	var fields []string
	most := 5
	if line[0] == '@' {
		most = 1
	}
	for len(fields) < most {
		field, after := nextField(rest)
		if field == "" {
			break
		}
		fields, rest = append(fields, field), after
	}
	if field, after := nextField(rest); most == 5 && sixthField.MatchString(field) {
		fields, rest = append(fields, field), after
	}
	return strings.Join(fields, " "), rest
}

// sixthField is what a field for the day of the week looks like, and no command
// does.
var sixthField = regexp.MustCompile(`^(?i:[0-9*?][-0-9*,/?#L]*|(?:SUN|MON|TUE|WED|THU|FRI|SAT)(?:[-,].*)?)$`)

func nextField(line string) (field, rest string) {
	line = strings.TrimLeft(line, " \t")
	if end := strings.IndexAny(line, " \t"); end >= 0 {
		return line[:end], strings.TrimLeft(line[end:], " \t")
	}
	return line, ""
}

// commandWords are the words of a command once cron and the shell have read it.
func commandWords(command string) ([]string, error) {
	if command == "" {
		return nil, errNoCommand
	}
	passed, err := unescapePercent(command)
	if err != nil {
		return nil, err
	}
	return splitWords(passed)
}

// unescapePercent does what cron does before it calls the shell: \% becomes %;
// a bare % would end the command.
func unescapePercent(command string) (string, error) {
	if strings.IndexByte(command, '%') < 0 {
		return command, nil
	}
	var out []byte
	escaped := false
	for i := range len(command) {
		c := command[i]
		switch {
		case escaped && c == '%':
			out = out[:len(out)-1]
			escaped = false
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '%':
			return "", errPercent
		}
		out = append(out, c)
	}
	return string(out), nil
}

// fill gives an item what the call asks for.
func (c *call) fill(item *job.ImportItem) {
	in := &item.Input
	if url := c.target(); url != "" {
		in.URL = &url
	}
	in.Method = new(c.verb())
	if headers := c.headerMap(); len(headers) > 0 {
		in.Headers = job.Nullable[map[string]string]{Given: true, Value: &headers}
		if masked := maskedHeaders(headers); len(masked) > 0 {
			in.SecretHeaders = &masked
		}
	}
	if data, found := c.body(); found && data != "" {
		body, ok := bodyOf(data)
		if !ok {
			c.fault("sends data that is not valid UTF-8")
		}
		in.Body = job.Nullable[json.RawMessage]{Given: true, Value: &body}
		in.BodySecret = new(data == job.Mask)
	}
	if c.timeout != 0 {
		in.Timeout = &c.timeout
	}
	in.RetryAttempts = &c.retries
	switch {
	case c.retryDelay != 0:
		in.RetryDelay = &c.retryDelay
	case c.retries > 0:
		in.RetryBackoff = new("exponential") // curl's, from a second on
	}
	if c.location {
		redirects := int64(mostRedirects)
		if c.maxRedirects >= 0 {
			redirects = c.maxRedirects
		}
		in.MaxRedirects = &redirects
	}
	var names []string
	for name := range c.ignored {
		if !strings.HasPrefix(name, removed) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		item.Warnings = append(item.Warnings, job.Warning{
			Code: WarnOptionIgnored, Message: "The option --" + name + " is left out: a job does not keep it.",
		})
	}
}

// maskedHeaders names the headers that an export has masked because their job
// lists them: others that are secret are so by their names.
func maskedHeaders(headers map[string]string) []string {
	var names []string
	for name, value := range headers {
		if value == job.Mask && !job.IsSecretHeader(name, nil) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// mostNested is how deep data may be nested to be kept as JSON rather than as
// the text that it also is.
const mostNested = 32

// bodyOf is the data as a job keeps a body: JSON as it is, any other text as a
// string, so that the very same bytes are sent.
func bodyOf(data string) (json.RawMessage, bool) {
	raw := []byte(data)
	first := data[0]
	trimmed := strings.TrimSpace(data) == data
	if trimmed && first != '"' && data != "null" && json.Valid(raw) && strings.Count(data, "[")+strings.Count(data, "{") <= mostNested {
		return raw, true
	}
	if !utf8.ValidString(data) {
		return raw, false
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(data) // a string can always be encoded
	return json.RawMessage(strings.TrimSuffix(text.String(), "\n")), true
}
