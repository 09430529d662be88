package crontab

import (
	"math"
	"strconv"
	"strings"
)

// option is one of curl's. Those that are not in the table are refused: a job
// that left one out would make another call than the line does.
type option struct {
	takesValue bool
	apply      func(c *call, value string)
}

// The kinds of options.
func flag(apply func(c *call)) option {
	return option{false, func(c *call, _ string) { apply(c) }}
}

func valued(apply func(c *call, value string)) option { return option{true, apply} }

// silent options change only what curl shows.
var (
	silent      = option{false, func(*call, string) {}}
	silentValue = option{true, func(*call, string) {}}
)

// dropped options change how the call is made in a way that a job does not
// keep, and that seldom matters: it is warned of.
func dropped(name string, takesValue bool) option {
	return option{takesValue, func(c *call, _ string) { c.ignored[name] = true }}
}

// refused options change the call in a way that matters.
func refused(name string, takesValue bool, why string) option {
	return option{takesValue, func(c *call, _ string) { c.fault("has --%s: %s", name, why) }}
}

// options are those that are known, by their long names.
var options = map[string]option{
	"request": valued(func(c *call, v string) { c.method = v }),
	"url":     valued(func(c *call, v string) { c.urls = append(c.urls, v) }),
	"header":  valued((*call).addHeader),
	"get":     flag(func(c *call) { c.get = true }),
	"head":    flag(func(c *call) { c.head = true }),
	"globoff": flag(func(c *call) { c.globOff = true }),

	"data":           valued(func(c *call, v string) { c.addData("data", v, false) }),
	"data-ascii":     valued(func(c *call, v string) { c.addData("data-ascii", v, false) }),
	"data-binary":    valued(func(c *call, v string) { c.addData("data-binary", v, false) }),
	"data-raw":       valued(func(c *call, v string) { c.addData("data-raw", v, true) }),
	"data-urlencode": valued((*call).addEncoded),
	"json": valued(func(c *call, v string) {
		c.isJSON = true
		c.addData("json", v, false)
	}),

	"user":          valued((*call).setUser),
	"basic":         silent,
	"oauth2-bearer": valued(func(c *call, v string) { c.bearer = v }),
	"user-agent":    valued(func(c *call, v string) { c.setHeader("User-Agent", v) }),
	"referer":       valued(func(c *call, v string) { c.setHeader("Referer", strings.TrimSuffix(v, ";auto")) }),
	"cookie":        valued((*call).setCookie),

	"max-time":          valued(func(c *call, v string) { c.timeout = c.seconds("max-time", v) }),
	"retry":             valued(func(c *call, v string) { c.retries = c.count("retry", v) }),
	"retry-delay":       valued(func(c *call, v string) { c.retryDelay = c.seconds("retry-delay", v) }),
	"retry-all-errors":  silent, // every failure is tried again
	"retry-connrefused": silent,
	"retry-max-time":    dropped("retry-max-time", true),
	"connect-timeout":   dropped("connect-timeout", true),
	"location":          flag(func(c *call) { c.location = true }),
	"max-redirs":        valued(func(c *call, v string) { c.maxRedirects = c.redirects(v) }),

	"silent": silent, "show-error": silent, "fail": silent, "fail-with-body": silent, "fail-early": silent, "verbose": silent,
	"include": silent, "show-headers": silent, "no-progress-meter": silent, "progress-bar": silent, "no-buffer": silent,
	"write-out": silentValue, "stderr": valued(func(c *call, v string) { c.setOutput(v) }),
	"output": valued(func(c *call, v string) { c.setOutput(v) }),

	"compressed": dropped("compressed", false), "ipv4": dropped("ipv4", false), "ipv6": dropped("ipv6", false),
	"http1.1": dropped("http1.1", false), "http2": dropped("http2", false), "tlsv1.2": dropped("tlsv1.2", false),
	"tlsv1.3": dropped("tlsv1.3", false), "keepalive-time": dropped("keepalive-time", true), "limit-rate": dropped("limit-rate", true),

	"insecure":         refused("insecure", false, "a job always checks the certificate"),
	"remote-name":      refused("remote-name", false, "a job writes no file; the answer is kept in the history"),
	"form":             refused("form", true, "a job sends no forms with files; use --data"),
	"form-string":      refused("form-string", true, "a job sends no multipart forms; use --data"),
	"upload-file":      refused("upload-file", true, "a job reads no file"),
	"config":           refused("config", true, "a job reads no file"),
	"netrc":            refused("netrc", false, "a job reads no file; use --user"),
	"cookie-jar":       refused("cookie-jar", true, "a job writes no file"),
	"cert":             refused("cert", true, "a job has no certificate of its own"),
	"key":              refused("key", true, "a job has no certificate of its own"),
	"cacert":           refused("cacert", true, "a job trusts public authorities alone"),
	"proxy":            refused("proxy", true, "a job calls its host itself"),
	"resolve":          refused("resolve", true, "a job calls the host that its URL names"),
	"connect-to":       refused("connect-to", true, "a job calls the host that its URL names"),
	"unix-socket":      refused("unix-socket", true, "a job calls the host that its URL names"),
	"location-trusted": refused("location-trusted", false, "credentials stay with the host; use --location"),
	"digest":           refused("digest", false, "only --basic is kept"),
	"ntlm":             refused("ntlm", false, "only --basic is kept"),
	"negotiate":        refused("negotiate", false, "only --basic is kept"),
	"anyauth":          refused("anyauth", false, "only --basic is kept"),
	"next":             refused("next", false, "a job is one call"),
}

// shortOptions are the letters of options.
var shortOptions = map[byte]string{
	'X': "request", 'H': "header", 'G': "get", 'I': "head", 'g': "globoff", 'd': "data", 'u': "user",
	'A': "user-agent", 'e': "referer", 'b': "cookie", 'm': "max-time", 'L': "location",
	's': "silent", 'S': "show-error", 'f': "fail", 'v': "verbose", 'i': "include", '#': "progress-bar", 'N': "no-buffer",
	'w': "write-out", 'o': "output", '4': "ipv4", '6': "ipv6", '0': "http1.1",
	'k': "insecure", 'O': "remote-name", 'F': "form", 'T': "upload-file", 'K': "config", 'n': "netrc", 'c': "cookie-jar",
	'E': "cert", 'x': "proxy", ':': "next",
}

func (c *call) setHeader(name, value string) {
	if value != "" {
		c.headers = append(c.headers, header{name, value})
	}
}

func (c *call) setUser(value string) {
	if !strings.Contains(value, ":") {
		c.fault("--user lacks a password, which curl would ask for")
		return
	}
	c.user = value
}

func (c *call) setCookie(value string) {
	if !strings.Contains(value, "=") {
		c.fault("--cookie reads a file, which a job cannot do")
		return
	}
	c.setHeader("Cookie", value)
}

func (c *call) setOutput(value string) {
	if value != "/dev/null" && value != "-" {
		c.fault("writes its output to a file; only /dev/null may be named, and the answer is kept in the history")
	}
}

// seconds reads a number of seconds, which may have a fraction, as
// milliseconds. Its bounds are the job's.
func (c *call) seconds(option, value string) int64 {
	number, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(number) || number < 0 || number > math.MaxInt32 {
		c.fault("--%s must be a number of seconds", option)
		return 0
	}
	return int64(math.Round(number * 1000))
}

func (c *call) count(option, value string) int64 {
	number, err := strconv.ParseInt(value, 10, 32)
	if err != nil || number < 0 {
		c.fault("--%s must be a whole number", option)
	}
	return number
}

// redirects reads the most redirects that are followed; -1 is no bound.
func (c *call) redirects(value string) int64 {
	if value == "-1" {
		return mostRedirects
	}
	return min(c.count("max-redirs", value), mostRedirects)
}

// mostRedirects is how many a job follows at most; curl's own bound is 50.
const mostRedirects = 5
