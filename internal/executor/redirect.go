package executor

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/cronjobs/cronjobs/internal/job"
)

func isRedirect(response *http.Response) bool {
	return isRedirectStatus(response.StatusCode) && response.Header.Get("Location") != ""
}

func isRedirectStatus(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}

// redirectError is a redirect that cannot be followed.
type redirectError struct{ message string }

func (e redirectError) Error() string { return e.message }

// secretError is a redirect that would carry a secret to another host.
type secretError struct{ message string }

func (e secretError) Error() string { return e.message }

// redirected builds the request that a redirect asks for. To another origin
// only headers that describe the content travel; whatever a job sends besides
// may be a credential.
//
// Nor does an address travel there that holds a secret: whoever writes jobs would
// get at secrets by any host that redirects to where its address says.
func redirected(request *http.Request, response *http.Response, spec job.Request, scrub func() *scrubber) (*http.Request, error) {
	target, err := request.URL.Parse(response.Header.Get("Location"))
	if err != nil || (target.Scheme != "http" && target.Scheme != "https") || target.Hostname() == "" || target.User != nil {
		return nil, redirectError{"The target redirected to an address that cannot be called."}
	}
	hadBody := request.ContentLength > 0
	next := request.Clone(request.Context())
	next.URL, next.Host = target, target.Host
	sameOrigin := origin(target) == origin(request.URL)
	if !sameOrigin {
		if scrub().holds(target.String()) {
			return nil, secretError{"The target redirected to another host, with a secret in the address."}
		}
		dropCredentials(next.Header, spec)
	}
	if response.StatusCode != http.StatusTemporaryRedirect && response.StatusCode != http.StatusPermanentRedirect {
		// As browsers do it: what follows is a plain read.
		if next.Method != http.MethodHead {
			next.Method = http.MethodGet
		}
		for name := range next.Header {
			if strings.HasPrefix(name, "Content-") {
				delete(next.Header, name)
			}
		}
		setBody(next, nil)
		return next, nil
	}
	if !hadBody {
		// There was none, or an earlier redirect has dropped it.
		setBody(next, nil)
		return next, nil
	}
	if !sameOrigin && spec.BodySecret {
		return nil, secretError{"The target redirected to another host, and the body is secret."}
	}
	setBody(next, payload(spec.Body))
	return next, nil
}

// origin is what a secret is bound to.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// dropCredentials leaves what another host may see.
func dropCredentials(header http.Header, spec job.Request) {
	for name := range header {
		if isOwnHeader(name) || isContentHeader(name) && !job.IsSecretHeader(name, spec.SecretHeaders) {
			continue
		}
		delete(header, name)
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", UserAgent)
	}
}

func isContentHeader(name string) bool {
	switch name {
	case "Accept", "Accept-Language", "Content-Type", "User-Agent":
		return true
	default:
		return false
	}
}

func isOwnHeader(name string) bool {
	switch name {
	case "idempotency-key", "X-Cron-Job-Id", "X-Cron-Execution-Id", "X-Cron-Attempt", "X-Cron-Scheduled-For", "Accept-Encoding":
		return true
	default:
		return false
	}
}
