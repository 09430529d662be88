package crontab

import (
	"encoding/base64"
	"fmt"
	"path"
	"strings"
)

// call is what the arguments of curl ask for.
type call struct {
	urls                []string
	method              string
	headers             []header
	data                []string
	hasData, isJSON     bool
	get, head, location bool
	globOff             bool
	user, bearer        string
	timeout             int64 // milliseconds; 0: not given
	retries             int64
	retryDelay          int64 // milliseconds; 0: not given
	maxRedirects        int64 // -1: not given
	ignored             map[string]bool
	faults              []string
}

type header struct{ name, value string }

func (c *call) fault(format string, args ...any) {
	if len(c.faults) == maxFaults {
		return
	}
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// parseCall reads the words of a curl command. Its faults never repeat a word,
// but for the names of known options.
func parseCall(words []string) *call {
	c := &call{maxRedirects: -1, ignored: map[string]bool{}}
	if len(words) == 0 || path.Base(words[0]) != "curl" {
		c.fault("must be a curl command")
		return c
	}
	args := words[1:]
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			c.urls = append(c.urls, args[i+1:]...)
			return c
		case strings.HasPrefix(arg, "--"):
			i += c.option(arg[2:], args[i+1:], i+1)
		case len(arg) > 1 && arg[0] == '-':
			i += c.flags(arg[1:], args[i+1:], i+1)
		default:
			c.urls = append(c.urls, arg)
		}
	}
	return c
}

// flags reads short options, of which the last may have its value in the same
// word or in the next. It returns how many of the rest it took.
func (c *call) flags(letters string, rest []string, place int) int {
	for n := 0; n < len(letters); n++ {
		name, known := shortOptions[letters[n]]
		if !known {
			c.fault("its argument %d holds an option that a job cannot keep", place)
			return 0
		}
		if !options[name].takesValue {
			c.option(name, nil, place)
			continue
		}
		if value := letters[n+1:]; value != "" {
			c.option(name, []string{value}, place)
			return 0
		}
		return c.option(name, rest, place)
	}
	return 0
}

// option carries out one option, named in full, and returns how many of the
// rest it took as its value.
func (c *call) option(name string, rest []string, place int) int {
	known, ok := options[name]
	switch {
	case !ok:
		c.fault("its argument %d is an option that a job cannot keep", place)
		return 0
	case !known.takesValue:
		known.apply(c, "")
		return 0
	case len(rest) == 0:
		c.fault("--%s lacks its value", name)
		return 0
	}
	known.apply(c, rest[0])
	return 1
}

// addHeader takes a header as -H does: "Name: value", "Name;" for one without a
// value, "Name:" to leave out one of curl's own.
func (c *call) addHeader(text string) {
	if strings.HasPrefix(text, "@") {
		c.fault("--header reads a file, which a job cannot do")
		return
	}
	name, value, found := strings.Cut(text, ":")
	if !found {
		if name, found = strings.CutSuffix(strings.TrimSpace(text), ";"); !found {
			c.fault("has a --header without a colon")
			return
		}
		c.headers = append(c.headers, header{strings.TrimSpace(name), ""})
		return
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if value == "" {
		c.ignored[removed+strings.ToLower(name)] = true
		return
	}
	c.headers = append(c.headers, header{name, value})
}

// removed marks a header that curl is told to leave out.
const removed = "removed "

// addData takes data as -d does. raw leaves an @ as it is.
func (c *call) addData(option, text string, raw bool) {
	if !raw && strings.HasPrefix(text, "@") {
		c.fault("--%s reads a file, which a job cannot do", option)
		return
	}
	c.hasData = true
	c.data = append(c.data, text)
}

// addEncoded takes data as --data-urlencode does: content, =content,
// name=content, and files, which are refused.
func (c *call) addEncoded(text string) {
	name, content, found := strings.Cut(text, "=")
	if !found {
		name, content = "", text
	}
	if strings.Contains(name, "@") || !found && strings.Contains(text, "@") {
		c.fault("--data-urlencode reads a file, which a job cannot do; write =text for text with an @")
		return
	}
	if name != "" {
		name += "="
	}
	c.hasData = true
	c.data = append(c.data, name+percentEncode(content))
}

// percentEncode is curl's: all but letters, digits and -._~.
func percentEncode(text string) string {
	var out strings.Builder
	for i := range len(text) {
		b := text[i]
		if isLetter(b) || isDigit(b) || strings.IndexByte("-._~", b) >= 0 {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

// headerMap is the headers as a job keeps them, with those that options stand
// for.
func (c *call) headerMap() map[string]string {
	all := map[string]string{}
	names := map[string]bool{}
	for _, h := range c.headers {
		lower := strings.ToLower(h.name)
		if names[lower] {
			c.fault("sends a header twice; a job has one of each name")
		}
		names[lower] = true
		all[h.name] = h.value
	}
	preset := func(name, value string) {
		lower := strings.ToLower(name)
		if !names[lower] && !c.ignored[removed+lower] {
			all[name] = value
			names[lower] = true
		}
	}
	if c.user != "" {
		preset("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.user)))
	}
	if c.bearer != "" {
		preset("Authorization", "Bearer "+c.bearer)
	}
	if c.hasData && !c.get {
		if c.isJSON {
			preset("Content-Type", "application/json")
			preset("Accept", "application/json")
		} else {
			preset("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	return all
}

// target is the URL, and what -G moves into its query.
func (c *call) target() string {
	switch len(c.urls) {
	case 0:
		c.fault("names no URL")
		return ""
	case 1:
	default:
		c.fault("has %d arguments that are no options; a job calls one URL", len(c.urls))
		return ""
	}
	url := c.urls[0]
	_, rest, found := strings.Cut(url, "://")
	if !found { // as curl takes it
		rest, url = url, "http://"+url
	}
	if !c.globOff {
		path := rest
		if strings.HasPrefix(path, "[") { // an IPv6 address
			_, path, _ = strings.Cut(path, "]")
		}
		if strings.ContainsAny(path, "{}[]") {
			c.fault("holds {} or [] in its URL, which curl expands to many; a job calls one URL (--globoff takes them as they are)")
		}
	}
	if c.get && c.hasData {
		url, fragment, _ := strings.Cut(url, "#")
		sign := "?"
		if strings.Contains(url, "?") {
			sign = "&"
		}
		if fragment != "" {
			fragment = "#" + fragment
		}
		return url + sign + strings.Join(c.data, "&") + fragment
	}
	return url
}

// verb is the method.
func (c *call) verb() string {
	switch {
	case c.head && c.hasData && !c.get:
		c.fault("sends data with --head, which curl refuses")
		return "HEAD"
	case c.method != "":
		return c.method
	case c.head:
		return "HEAD"
	case c.hasData && !c.get:
		return "POST"
	default:
		return "GET"
	}
}

// body is the data that is sent; found is false where none is.
func (c *call) body() (data string, found bool) {
	if !c.hasData || c.get {
		return "", false
	}
	if c.isJSON {
		return strings.Join(c.data, ""), true
	}
	return strings.Join(c.data, "&"), true
}
