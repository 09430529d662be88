package job

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// A request names a secret of the workspace as {{secret.NAME}}, in its url,
// headers and body. The value takes the name's place when the call is made, and
// is stored with no job and no execution.
const (
	nameOpens  = "{{secret."
	nameCloses = "}}"
	// maxSecretName bounds a secret's name, in characters.
	maxSecretName = 64
)

func isSecretName(name string) bool {
	if name == "" || len(name) > maxSecretName || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// nextSecret finds the first name of a secret in a text: before, name, after.
// Where what opens like one is none, ok is false and malformed true.
func nextSecret(text string) (before, name, after string, ok, malformed bool) {
	before, rest, found := strings.Cut(text, nameOpens)
	if !found {
		return text, "", "", false, false
	}
	name, _, closed := strings.Cut(rest[:min(len(rest), maxSecretName+len(nameCloses))], nameCloses)
	if !closed || !isSecretName(name) {
		return before, "", rest, false, true
	}
	return before, name, rest[len(name)+len(nameCloses):], true, false
}

// eachSecret calls visit with every secret that a text names.
func eachSecret(text string, visit func(name string)) {
	for text != "" {
		_, name, after, ok, malformed := nextSecret(text)
		if !ok && !malformed {
			return
		}
		if ok {
			visit(name)
		}
		text = after
	}
}

// checkSecretNames refuses what looks like the name of a secret and is none: it
// would be sent as it stands.
func checkSecretNames(f *apperr.Faults, field, text string) {
	for text != "" {
		_, _, after, _, malformed := nextSecret(text)
		if malformed {
			f.Add(field, badSecretName)
			return
		}
		text = after
	}
}

const badSecretName = "must name a secret as {{secret.NAME}}, of letters, digits and _, at most 64 and no digit first" //nolint:gosec // no credential

// SecretNames lists the secrets of the workspace that the request names.
func (r Request) SecretNames() []string {
	var names []string
	add := func(name string) { names = append(names, name) }
	eachSecret(r.URL, add)
	for _, value := range r.Headers {
		eachSecret(value, add)
	}
	if bytes.Contains(r.Body, []byte(nameOpens)) { // hardly ever; no copy otherwise
		eachSecret(string(r.Body), add)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// onlyNamesSecrets reports a value in which nothing is secret: it names secrets
// of the workspace, with no more than the name of a scheme before them.
func onlyNamesSecrets(value string) bool {
	if !strings.Contains(value, nameOpens) {
		return false
	}
	rest := ""
	for text := value; text != ""; {
		before, _, after, ok, malformed := nextSecret(text)
		if malformed {
			return false
		}
		rest += before
		if !ok {
			break
		}
		text = after
	}
	scheme, behind, spaced := strings.Cut(rest, " ")
	isWord := len(scheme) <= 20 && strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
	return rest == "" || spaced && isWord && strings.TrimSpace(behind) == ""
}

// Fill puts values in the places of the secrets that a text names.
func Fill(text string, value func(name string) string) string {
	if !strings.Contains(text, nameOpens) {
		return text
	}
	var out strings.Builder
	for text != "" {
		before, name, after, ok, malformed := nextSecret(text)
		out.WriteString(before)
		switch {
		case ok:
			out.WriteString(value(name))
		case malformed:
			out.WriteString(nameOpens)
		}
		text = after
	}
	return out.String()
}

// storedURL is a URL as it is stored: in parseURL's one form, with the names of
// secrets as they were written. A secret cannot be the host, or a part of it:
// hosts are what secrets are bound to.
func storedURL(raw string) (string, error) {
	if !strings.Contains(raw, nameOpens) {
		return parsedURL(raw)
	}
	if strings.Contains(authority(raw), "{{") {
		return "", errors.New("must not name a secret in its host")
	}
	var f apperr.Faults
	if checkSecretNames(&f, "url", raw); f.Err() != nil {
		return "", errors.New(badSecretName)
	}
	// Letters that the URL does not hold stand in for the names meanwhile.
	stand := "secret"
	for strings.Contains(raw, stand) {
		stand += "x"
	}
	var names []string
	marked := Fill(raw, func(name string) string {
		names = append(names, name)
		return stand + strconv.Itoa(len(names)) + "-"
	})
	stored, err := parsedURL(marked)
	if err != nil {
		return "", err
	}
	// Behind the host alone: what is written in capitals or in other letters there
	// may have become what stands in.
	host := len(stored) - len(afterHost(stored))
	rest := stored[host:]
	for i, name := range names {
		rest = strings.Replace(rest, stand+strconv.Itoa(i+1)+"-", nameOpens+name+nameCloses, 1)
	}
	stored = stored[:host] + rest
	if len(stored) > maxURL {
		return "", errURLTooLong
	}
	return stored, nil
}

func parsedURL(raw string) (string, error) {
	parsed, err := parseURL(raw)
	if err != nil {
		return "", err
	}
	return parsed.String(), nil
}
