package job

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Mask is what a secret value reads as. Written back, it means "as stored".
const Mask = "********"

// maskedBody is Mask as a JSON value.
var maskedBody = []byte(`"` + Mask + `"`)

// IsSecretHeader reports whether a header's value is write-only: by its
// well-known name, by a telling word in it, or because the job lists it.
func IsSecretHeader(name string, listed []string) bool {
	lower := strings.ToLower(name)
	switch lower {
	case "authorization", "proxy-authorization", "cookie", "x-api-key":
		return true
	}
	for _, word := range []string{"token", "secret", "password"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return slices.ContainsFunc(listed, func(other string) bool { return strings.EqualFold(name, other) })
}

// IsSecretValue is IsSecretHeader for a header with a value: one that only names
// a secret of the workspace, "Bearer {{secret.NAME}}", holds nothing to hide.
func IsSecretValue(name, value string, listed []string) bool {
	return IsSecretHeader(name, listed) && !onlyNamesSecrets(value)
}

// MaskedBody is Mask as a body: what a secret one reads as.
func MaskedBody() []byte { return bytes.Clone(maskedBody) }

// Masked returns the request as a person may read it: every secret replaced by
// Mask. The receiver is not changed.
func (r Request) Masked() Request {
	r.Headers = maps.Clone(r.Headers)
	for name, value := range r.Headers {
		if IsSecretValue(name, value, r.SecretHeaders) {
			r.Headers[name] = Mask
		}
	}
	if r.BodySecret && r.Body != nil {
		r.Body = MaskedBody()
	}
	return r
}

// Secrets returns the secret values that a call with this request sends, for
// scrubbing what comes back: the values of secret headers, and for a secret
// body each string in it (a body that is not JSON counts as one).
func (r Request) Secrets() []string {
	var secrets []string
	for name, value := range r.Headers {
		if !IsSecretHeader(name, r.SecretHeaders) || value == "" {
			continue
		}
		secrets = append(secrets, value)
		// "Bearer abc": the credential alone must not come back either.
		scheme, credential, found := strings.Cut(value, " ")
		if credential = strings.TrimSpace(credential); !found || credential == "" {
			continue
		}
		secrets = append(secrets, credential)
		if strings.EqualFold(scheme, "Basic") {
			secrets = append(secrets, basicParts(credential)...)
		}
	}
	if r.BodySecret && r.Body != nil {
		secrets = append(secrets, bodyStrings(r.Body)...)
	}
	slices.Sort(secrets)
	return slices.Compact(secrets)
}

// basicParts are what the credential of HTTP's Basic scheme is made of: the pair
// and the password. A user's name alone is no secret.
func basicParts(credential string) []string {
	pair, err := base64.StdEncoding.DecodeString(credential)
	if err != nil {
		return nil
	}
	_, password, found := strings.Cut(string(pair), ":")
	if !found || password == "" {
		return nil
	}
	return []string{string(pair), password}
}

// bodyStrings is the body and every string value in it; names of fields are no
// secret.
func bodyStrings(body []byte) []string {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return []string{string(body)}
	}
	found := []string{string(body)}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case string:
			if value != "" {
				found = append(found, value)
			}
		case []any:
			for _, one := range value {
				walk(one)
			}
		case map[string]any:
			for _, one := range value {
				walk(one)
			}
		}
	}
	walk(value)
	return found
}

// isMask reports whether a body is exactly the mask.
func isMask(body []byte) bool { return bytes.Equal(bytes.TrimSpace(body), maskedBody) }
