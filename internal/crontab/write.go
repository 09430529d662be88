package crontab

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// Writer writes jobs as lines of a crontab. Their secrets must be masked.
type Writer struct {
	out  strings.Builder
	zone string // in force
}

// NewWriter makes a writer.
func NewWriter() *Writer { return &Writer{} }

// String is what has been written.
func (w *Writer) String() string { return w.out.String() }

// Comment writes a comment.
func (w *Writer) Comment(text string) { fmt.Fprintf(&w.out, "# %s\n", oneLine(text)) }

// Measure is how many bytes a job takes at most.
func (w *Writer) Measure(j job.Job) int {
	probe := Writer{zone: "-"}
	probe.Add(j)
	return probe.out.Len()
}

// Add writes a job: its name and description, and its line. Where a crontab
// cannot express it, or it is not active, its line is a comment, which an
// import leaves out.
func (w *Writer) Add(j job.Job) {
	pattern, known := plainPattern(j)
	command, ok := command(j)
	switch {
	case !ok:
		w.Comment(j.Name + ": its body cannot be written in a crontab")
		return
	case !known:
		w.Comment(j.Name + ": its pattern is none of crontab's")
		w.Comment(j.CronPattern + " " + command)
		return
	}
	if w.zone != j.Timezone {
		fmt.Fprintf(&w.out, "CRON_TZ=%s\n", j.Timezone)
		w.zone = j.Timezone
	}
	line := pattern + " " + command
	if j.Status != job.Active {
		w.Comment(j.Name + ": not active")
		w.Comment(line)
		return
	}
	fmt.Fprintf(&w.out, "# name: %s\n# description: %s\n%s\n", j.Name, oneLine(j.Description), line)
}

// oneLine puts text into one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// plainPattern is the job's pattern if cron knows such ones: five fields, or a
// macro, without the signs that are extensions.
func plainPattern(j job.Job) (string, bool) {
	parsed, err := job.ParseSchedule(j.CronPattern, j.Timezone)
	if err != nil {
		return "", false
	}
	canonical := parsed.String()
	if len(strings.Fields(canonical)) != 5 || strings.ContainsAny(canonical, "LW#?") {
		return "", false
	}
	if strings.HasPrefix(j.CronPattern, "@") || len(strings.Fields(j.CronPattern)) == 5 && !strings.Contains(j.CronPattern, "?") {
		return j.CronPattern, true
	}
	return canonical, true
}

const (
	methodGet  = "GET"
	methodHead = "HEAD"
)

// command is the curl command of a job; false where a line cannot hold it.
func command(j job.Job) (string, bool) {
	r := j.Request
	parts := []string{"curl", "-fsS"}
	add := func(option, value string) { parts = append(parts, option, quote(value)) }
	switch {
	case r.Method == methodHead && r.Body == nil:
		parts = append(parts, "-I")
	case r.Method != methodGet, r.Body != nil:
		parts = append(parts, "-X", r.Method)
	}
	contentType := false
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		contentType = contentType || strings.EqualFold(name, "Content-Type")
		if value := r.Headers[name]; value == "" {
			add("-H", name+";")
		} else {
			add("-H", name+": "+value)
		}
	}
	if r.Body != nil {
		data, isJSON := dataOf(r.Body)
		switch {
		case contentType:
		case r.BodySecret: // nobody sees what it is: no type, rather than a wrong one
			add("-H", "Content-Type:")
		case isJSON:
			add("-H", "Content-Type: application/json")
		default:
			add("-H", "Content-Type: text/plain; charset=utf-8")
		}
		add("--data-raw", data)
	}
	add("-m", strconv.FormatFloat(r.Timeout.Seconds(), 'f', -1, 64))
	if r.Retry.Attempts > 0 {
		add("--retry", strconv.Itoa(r.Retry.Attempts))
		if r.Retry.Backoff == execution.Fixed && r.Retry.Delay > 0 {
			add("--retry-delay", strconv.FormatFloat(r.Retry.Delay.Seconds(), 'f', -1, 64))
		}
	}
	if r.MaxRedirects > 0 {
		parts = append(parts, "-L", "--max-redirs", strconv.Itoa(r.MaxRedirects))
	}
	if strings.ContainsAny(r.URL, "{}[]") {
		parts = append(parts, "-g")
	}
	parts = append(parts, quote(r.URL))
	line := strings.Join(parts, " ")
	return line, strings.IndexFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) < 0 && len(line) < maxLine
}

// dataOf is what a body sends: the text of a string, other JSON as it is.
func dataOf(body []byte) (data string, isJSON bool) {
	var text string
	if err := json.Unmarshal(body, &text); err == nil {
		return text, json.Valid([]byte(text))
	}
	return string(body), true
}

// quote writes a word for a shell in a crontab, where a % is written \%.
func quote(word string) string {
	plain := word != "" && strings.IndexFunc(word, func(c rune) bool {
		return c >= 0x80 || !isLetter(byte(c)) && !isDigit(byte(c)) && !strings.ContainsRune("-._/:=,+", c)
	}) < 0
	if plain {
		return word
	}
	quoted := strings.ReplaceAll(word, "'", `'\''`)
	// Cron looks at the backslash before a %, so the two are kept apart.
	quoted = strings.ReplaceAll(quoted, `\%`, `\''%`)
	quoted = strings.ReplaceAll(quoted, "%", `\%`)
	return "'" + quoted + "'"
}
