package job

import (
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Bounds of a job's headers.
const (
	maxHeaders = 50
	// maxHeaderBytes bounds the names and values of all headers together.
	maxHeaderBytes = 16 << 10
)

// ownHeaders are set by the product or by HTTP itself: a job that set them
// could smuggle a second request, or pretend to be another run. User-Agent is
// not among them, for many targets ask for a telling one; ours is a default.
// Accept-Encoding is: answers are kept as they come and never decompressed.
var ownHeaders = []string{
	"host", "content-length", "transfer-encoding", "connection", "expect",
	"keep-alive", "te", "trailer", "upgrade", "proxy-connection", "proxy-authenticate", "http2-settings", "alt-svc",
	"accept-encoding", "idempotency-key",
}

// ownPrefixes begin the names of headers that the product sets.
var ownPrefixes = []string{"x-cron-", "webhook-"}

// isOwnHeader knows them by underscores too, which CGI and its like make of
// hyphens: their targets would read X_Cron_Job_Id as X-Cron-Job-Id.
func isOwnHeader(name string) bool {
	lower := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.Contains(ownHeaders, lower) ||
		slices.ContainsFunc(ownPrefixes, func(prefix string) bool { return strings.HasPrefix(lower, prefix) })
}

// checkHeaders returns the headers without space around their values; nil
// where there is none. A mask among the values is left to the caller.
func checkHeaders(f *apperr.Faults, given map[string]string) map[string]string {
	if len(given) == 0 {
		return nil
	}
	if len(given) > maxHeaders {
		f.Addf("headers", "must have at most %d entries", maxHeaders)
		return nil
	}
	checked := make(map[string]string, len(given))
	seen := make(map[string]bool, len(given))
	size := 0
	for _, name := range sortedNames(given) {
		value := strings.Trim(given[name], " \t")
		checked[name] = value
		size += len(name) + len(value)
		if !httpguts.ValidHeaderFieldName(name) {
			f.Add("headers", "has a name that is not valid: letters, digits and !#$%&'*+-.^_`|~ only")
			continue
		}
		field, lower := "headers."+name, strings.ToLower(name)
		switch {
		case isOwnHeader(name):
			f.Add(field, "is set by the system and cannot be chosen")
		case seen[lower]:
			f.Add(field, "is there twice; case does not tell header names apart")
		case !httpguts.ValidHeaderFieldValue(value):
			f.Add(field, "must not hold control characters")
		default:
			checkSecretNames(f, field, value)
		}
		seen[lower] = true
	}
	if size > maxHeaderBytes {
		f.Addf("headers", "must have at most %d bytes together", maxHeaderBytes)
	}
	return checked
}

// checkSecretHeaders returns the list without repetitions; never nil.
func checkSecretHeaders(f *apperr.Faults, given []string) []string {
	names := []string{}
	if len(given) > maxHeaders {
		f.Addf("secretHeaders", "must have at most %d entries", maxHeaders)
		return names
	}
	for i, name := range given {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			f.Addf(index("secretHeaders", i), "must be a header's name")
		case len(name) > maxName:
			f.Addf(index("secretHeaders", i), "must have at most %d characters", maxName)
		case !slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(name, other) }):
			names = append(names, name)
		}
	}
	return names
}

// lookUp finds a header without regard to case.
func lookUp(headers map[string]string, name string) (value string, found bool) {
	for other, value := range headers {
		if strings.EqualFold(other, name) {
			return value, true
		}
	}
	return "", false
}
