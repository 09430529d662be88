package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// VaultSecret is a secret of the workspace as a call needs it.
type VaultSecret struct {
	Value        string
	AllowedHosts []string
	// Broken is why the value cannot be read; nil normally.
	Broken error
}

// maxRendered bounds a request's URL, headers and body once the secrets are in
// it, in bytes each: a request may name one many times.
const maxRendered = 1 << 20

// render puts the workspace's secrets into a work's request, and tells which
// values it holds besides its own. Where that cannot be, or must not, nothing
// is to be sent.
func render(work Work) (job.Request, []string, *execution.Failure) {
	request := work.Request
	names := request.SecretNames()
	if len(names) == 0 {
		return request, nil, nil
	}
	if failure := mayRender(work, names); failure != nil {
		return request, nil, failure
	}
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = work.Vault[name].Value
	}
	r := rendering{vault: work.Vault}
	path, query, hasQuery := strings.Cut(request.URL, "?")
	request.URL = r.fill(path, escapePath)
	if hasQuery {
		request.URL += "?" + r.fill(query, escapeQuery)
	}
	headers := make(map[string]string, len(request.Headers))
	secretHeaders := request.SecretHeaders[:len(request.SecretHeaders):len(request.SecretHeaders)]
	for name, value := range request.Headers {
		headers[name] = r.fill(value, func(value string) string { return value })
		if headers[name] == value {
			continue
		}
		if !httpguts.ValidHeaderFieldValue(headers[name]) {
			return request, nil, unsendable("A secret that the job names holds characters that no header may hold; nothing was sent.")
		}
		// Whatever it is called, it does not travel to another host now.
		secretHeaders = append(secretHeaders, name)
	}
	request.Headers, request.SecretHeaders = headers, secretHeaders
	if body := r.fill(string(request.Body), escapeJSON); request.Body != nil && body != string(request.Body) {
		request.Body, request.BodySecret = []byte(body), true
	}
	if r.tooLarge {
		return request, nil, unsendable("With its secrets in place the request is too large; nothing was sent.")
	}
	return request, values, nil
}

// mayRender says why the secrets that a request names must not be sent.
func mayRender(work Work, names []string) *execution.Failure {
	target, err := url.Parse(work.Request.URL)
	if err != nil {
		return unsendable("The stored request cannot be sent.")
	}
	for _, name := range names {
		one, exists := work.Vault[name]
		switch {
		case !exists:
			return &execution.Failure{Kind: execution.ErrBlockedSecret, Message: fmt.Sprintf("There is no secret %s; nothing was sent.", name)}
		case !job.HostAllowed(one.AllowedHosts, target):
			return &execution.Failure{Kind: execution.ErrBlockedSecret, Message: fmt.Sprintf("The secret %s may not be sent to this host, or not by this scheme or port; nothing was sent.", name)}
		case one.Broken != nil:
			return unsendable(fmt.Sprintf("The secret %s cannot be decrypted; nothing was sent.", name))
		}
	}
	return nil
}

func unsendable(message string) *execution.Failure {
	return &execution.Failure{Kind: execution.ErrInternal, Message: message}
}

// brokenFailure says why a work whose request cannot be read is not called.
func brokenFailure(broken error) *execution.Failure {
	if errors.Is(broken, secret.ErrUnreadable) {
		return unsendable("The job's secrets cannot be decrypted; nothing was sent. Enter them again, or restore the key that they were stored under.")
	}
	return unsendable("The stored request cannot be read; enter the headers of the job again.")
}

// rendering fills texts until they become too large together.
type rendering struct {
	vault    map[string]VaultSecret
	size     int
	tooLarge bool
}

func (r *rendering) fill(text string, escape func(string) string) string {
	filled := job.Fill(text, func(name string) string {
		value := escape(r.vault[name].Value)
		if r.size += len(value); r.size > maxRendered {
			r.tooLarge = true
			return ""
		}
		return value
	})
	return filled
}

// escapeQuery leaves what stands for itself everywhere in a URL.
func escapeQuery(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

// escapePath is escapeQuery, but that a slash remains one: secrets in paths
// often are several segments.
func escapePath(value string) string { return strings.ReplaceAll(escapeQuery(value), "%2F", "/") }

// escapeJSON is a value inside the quotes of a JSON string.
func escapeJSON(value string) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text[1 : len(text)-1])
}
