package job

import (
	"bytes"
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
// scrubbing what comes back: the values of secret headers and a secret body, and
// what each of them is made of.
func (r Request) Secrets() []string {
	var secrets []string
	for name, value := range r.Headers {
		if IsSecretHeader(name, r.SecretHeaders) && value != "" {
			secrets = append(append(secrets, value), credentialParts(value)...)
		}
	}
	if r.BodySecret && r.Body != nil {
		secrets = append(append(secrets, string(r.Body)), SecretParts(string(r.Body))...)
	}
	slices.Sort(secrets)
	return slices.Compact(secrets)
}

// isMask reports whether a body is exactly the mask.
func isMask(body []byte) bool { return bytes.Equal(bytes.TrimSpace(body), maskedBody) }
