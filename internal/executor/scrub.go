package executor

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cronjobs/cronjobs/internal/job"
)

// minSecret is the length from which a secret is scrubbed, in bytes. Shorter
// strings occur everywhere by chance: replacing them would ruin the answer and
// hide nothing.
const minSecret = 4

// scrubber takes the secrets that a call sends out of the answer to it: many
// targets repeat what they were sent. A nil scrubber changes nothing.
type scrubber struct {
	secrets  []string
	replacer *strings.Replacer
}

// newScrubber looks for the secrets, as they are and as other texts write them.
func newScrubber(secrets []string) *scrubber {
	var forms []string
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		forms = append(forms, written(secret)...)
	}
	if len(forms) == 0 {
		return nil
	}
	// The longest first: of two that begin alike, it must be found.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	forms = slices.Compact(forms)
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, job.Mask)
	}
	return &scrubber{secrets: forms, replacer: strings.NewReplacer(pairs...)}
}

// maxEncoded is the length up to which a secret is looked for in the rarer
// encodings too, in bytes: credentials are shorter, and whole bodies are not.
const maxEncoded = 8 << 10

// written are the ways in which an answer may write a secret: as it is, in a URL,
// in JSON, in HTML, in hexadecimal, and in base64, where it may also stand in the
// middle of something longer.
func written(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), asJSON(secret, true), asJSON(secret, false)}
	if len(secret) > maxEncoded {
		return forms
	}
	inPath := url.PathEscape(secret)
	everywhere := strings.ReplaceAll(url.QueryEscape(secret), "+", "%20")
	inHex := hex.EncodeToString([]byte(secret))
	// As render writes it, which leaves slashes as they are.
	rendered := escapePath(secret)
	forms = append(forms, inPath, everywhere, lowerEscapes(everywhere), rendered, lowerEscapes(rendered), lowerEscapes(url.QueryEscape(secret)), html.EscapeString(secret),
		strings.ReplaceAll(asJSON(secret, false), "/", `\/`), inHex, strings.ToUpper(inHex))
	if len(secret) < minEncoded {
		return forms
	}
	// What is put into base64 may be a URL or a JSON text that holds the secret.
	for _, text := range []string{secret, url.QueryEscape(secret), everywhere, asJSON(secret, false)} {
		for before := range 3 {
			// What stands in whole groups of three bytes is written alike, whatever
			// surrounds it.
			whole := text[(3-before)%3:]
			whole = whole[:len(whole)/3*3]
			forms = append(forms, base64.StdEncoding.EncodeToString([]byte(whole)), base64.URLEncoding.EncodeToString([]byte(whole)))
		}
	}
	return forms
}

// minEncoded is the length from which a secret is looked for in base64, in bytes:
// of a shorter one too few groups are left.
const minEncoded = 8

// lowerEscapes writes percent escapes with small letters.
func lowerEscapes(escaped string) string {
	out := []byte(escaped)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i+1:], bytes.ToLower(out[i+1:i+3]))
		}
	}
	return string(out)
}

// asJSON is a string as it stands between the quotes of a JSON text.
func asJSON(text string, escapeHTML bool) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(escapeHTML)
	if err := encoder.Encode(text); err != nil {
		return text
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), `"`), `"`)
}

// body returns the body without secrets. Of an incomplete one, what may be the
// beginning of a secret is cut off as well.
func (s *scrubber) body(body []byte, incomplete bool) []byte {
	if s == nil {
		return body
	}
	if incomplete {
		longest := 0
		for _, secret := range s.secrets {
			longest = max(longest, begun(body, secret))
		}
		body = body[:len(body)-longest]
	}
	return []byte(s.replacer.Replace(string(body)))
}

// holds reports whether a text has a secret in it.
func (s *scrubber) holds(text string) bool { return s != nil && s.replacer.Replace(text) != text }

// header returns the header without secrets.
func (s *scrubber) header(header http.Header) http.Header {
	if s == nil {
		return header
	}
	clean := header.Clone()
	for _, values := range clean {
		for i, value := range values {
			values[i] = s.replacer.Replace(value)
		}
	}
	return clean
}

// begun is how many bytes at the end of text are the beginning of a secret that
// goes on beyond it. It takes time in proportion to the secret, whatever the
// text: a secret may be as long as a body.
func begun(text []byte, secret string) int {
	text = text[max(0, len(text)-len(secret)+1):]
	// border[i] is the length of the longest part that both begins and ends
	// secret[:i+1], the whole excepted.
	border := make([]int, len(secret))
	extend := func(matched int, next byte) int {
		for matched > 0 && secret[matched] != next {
			matched = border[matched-1]
		}
		if secret[matched] == next {
			matched++
		}
		return matched
	}
	for i := 1; i < len(secret); i++ {
		border[i] = extend(border[i-1], secret[i])
	}
	matched := 0
	for _, next := range text {
		matched = extend(matched, next)
	}
	return matched
}
