package crontab

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cronjobs/cronjobs/internal/job"
)

// maxName is how long the name of a job may be.
const maxName = 100

// nameTheRest names the jobs that no comment names after the host and path of
// their URL. The same crontab always yields the same names, so that it can be
// imported again.
func (r *reader) nameTheRest() {
	taken := map[string]bool{}
	for _, item := range r.items {
		if item.Input.Name != nil {
			taken[job.NameKey(strings.TrimSpace(*item.Input.Name))] = true
		}
	}
	next := map[string]int{}
	for i := range r.items {
		in := &r.items[i].Input
		if in.Name != nil {
			continue
		}
		base := nameOf(*in.URL)
		if base == "" {
			base = "job-" + strings.TrimPrefix(r.items[i].Place, "line ")
		}
		name := base
		for n := max(next[job.NameKey(base)], 2); taken[job.NameKey(name)]; n++ {
			suffix := "-" + strconv.Itoa(n)
			name = base[:min(len(base), maxName-len(suffix))] + suffix
			next[job.NameKey(base)] = n + 1
		}
		taken[job.NameKey(name)] = true
		in.Name = &name
	}
}

// nameOf is the host and path of a URL in the characters of names.
func nameOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // credentials, a fault
		rest = rest[at+1:]
	}
	words := strings.FieldsFunc(rest, func(r rune) bool {
		return !(r < 0x80 && (isLetter(byte(r)) || isDigit(byte(r)) || r == '_'))
	})
	name := strings.Join(words, "-")
	return strings.Trim(name[:min(len(name), maxName)], "-")
}

var (
	errNoCommand = fmt.Errorf("is missing: a line is a pattern and a curl command")
	errPercent   = fmt.Errorf(`holds a %% that is not escaped; cron would end the command there: write \%%`)
)
