package job

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// MaxSecretParts bounds the secret that is taken apart, in bytes.
const MaxSecretParts = 160 << 10

const (
	// maxNested is how deep a secret is taken apart: JSON in a form in JSON.
	maxNested = 4
	// minDigits is from how many digits on a number counts as a secret.
	minDigits = 4
)

// SecretParts are the secrets that a secret is made of, which targets take apart
// and give back one by one: the values of a JSON text, a form, an XML document, or
// of pairs such as a cookie's. What is too long to be one is not taken apart.
func SecretParts(secret string) []string { return (&parts{}).of(secret, 0) }

// credentialParts are SecretParts of a header's value, for which HTTP has forms of
// its own: a scheme and a credential.
func credentialParts(value string) []string {
	found := SecretParts(value)
	scheme, credential, spaced := strings.Cut(value, " ")
	if credential = strings.TrimSpace(credential); !spaced || credential == "" || strings.ContainsAny(scheme, "=;,") {
		return found
	}
	p := parts{public: publicParameters}
	found = append(p.of(credential, 0), credential)
	if strings.EqualFold(scheme, "Basic") {
		found = append(found, basicParts(credential)...)
	}
	return found
}

// publicParameters of a credential say who asks for what; they prove nothing.
var publicParameters = []string{"username", "realm", "uri", "qop", "algorithm", "charset", "signedheaders", "oauth_version", "oauth_signature_method", "version"}

// basicParts are what the credential of HTTP's Basic scheme is made of: the pair
// and the password. A user's name alone is no secret.
func basicParts(credential string) []string {
	pair, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(credential, "="))
	if err != nil {
		return nil
	}
	_, password, found := strings.Cut(string(pair), ":")
	if !found || password == "" {
		return nil
	}
	return append(SecretParts(password), string(pair), password)
}

// parts takes secrets apart.
type parts struct {
	public []string // names of pairs whose values are no secret
}

func (p *parts) of(text string, depth int) []string {
	text = strings.TrimSpace(text)
	if depth == maxNested || len(text) > MaxSecretParts || text == "" {
		return nil
	}
	switch text[0] {
	case '{', '[', '"':
		if found, ok := p.ofJSON(text, depth); ok {
			return found
		}
	case '<':
		if found := p.ofXML(text, depth); len(found) > 0 {
			return found
		}
	}
	if !strings.Contains(text, "=") {
		return p.ofNumber(text, depth)
	}
	return p.ofPairs(text, depth)
}

// value is a part, and what that is made of.
func (p *parts) value(text string, depth int) []string {
	if text == "" {
		return nil
	}
	return append(p.of(text, depth+1), text)
}

func (p *parts) ofJSON(text string, depth int) ([]string, bool) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil || decoder.More() {
		return nil, false
	}
	var found []string
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case string:
			found = append(found, p.value(value, depth)...)
		case json.Number:
			found = append(found, numberForms(string(value))...)
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
	return found, true
}

// ofNumber is for a body that is a number alone.
func (p *parts) ofNumber(text string, depth int) []string {
	if depth > 0 || !json.Valid([]byte(text)) {
		return nil
	}
	return numberForms(text)
}

// numberForms are a number as it was written, and as others write it.
func numberForms(text string) []string {
	if len(text)-len(strings.Map(withoutDigits, text)) < minDigits {
		return nil
	}
	found := []string{text}
	if value, err := strconv.ParseFloat(text, 64); err == nil {
		if plain := strconv.FormatFloat(value, 'f', -1, 64); plain != text && len(plain) >= minDigits && len(plain) < 40 {
			found = append(found, plain)
		}
	}
	return found
}

func withoutDigits(r rune) rune {
	if unicode.IsDigit(r) {
		return -1
	}
	return r
}

// ofXML are the texts and attributes of a document, as far as it can be read.
func (p *parts) ofXML(text string, depth int) []string {
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Strict = false
	decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var found []string
	for {
		token, err := decoder.Token()
		if err != nil {
			return found
		}
		switch token := token.(type) {
		case xml.CharData:
			found = append(found, p.value(strings.TrimSpace(string(token)), depth)...)
		case xml.StartElement:
			for _, one := range token.Attr {
				if one.Name.Space != "xmlns" && one.Name.Local != "xmlns" {
					found = append(found, p.value(one.Value, depth)...)
				}
			}
		}
	}
}

// ofPairs are the values of a form, a cookie, or a header's parameters.
func (p *parts) ofPairs(text string, depth int) []string {
	separators := ";, \t\r\n"
	if strings.Contains(text, "&") {
		separators = "&"
	}
	var found []string
	for _, pair := range split(text, separators) {
		name, value, isPair := strings.Cut(pair, "=")
		if !isPair || slices.Contains(p.public, strings.ToLower(strings.TrimSpace(name))) {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = strings.ReplaceAll(value[1:len(value)-1], `\"`, `"`)
		}
		found = append(found, p.value(value, depth)...)
		if plain, err := url.QueryUnescape(value); err == nil && plain != value {
			found = append(found, p.value(plain, depth)...)
		}
	}
	return found
}

// split cuts a text at separators that do not stand within quotes.
func split(text, separators string) []string {
	quoted := false
	var last rune
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' && last != '\\' {
			quoted = !quoted
		}
		last = r
		return !quoted && strings.ContainsRune(separators, r)
	})
}
