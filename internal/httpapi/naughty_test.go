package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// naughty are texts that some program once broke on, each as it stands between
// the quotes of a JSON string.
var naughty = map[string]string{
	"empty":               ``,
	"a space":             ` `,
	"NUL":                 `a\u0000b`,
	"control characters":  `a\u0001\u001b[31m\u007f`,
	"line breaks":         `a\r\nX-Evil: yes\r\n\r\n`,
	"a quote":             `'`,
	"quotes":              `\"'` + "`" + `\\`,
	"SQL comment":         `x' -- `,
	"SQL union":           `x' UNION SELECT password_hash FROM users -- `,
	"SQL true":            `1 OR 1=1`,
	"SQL true, quoted":    `' OR '1'='1`,
	"SQL sleep":           `x'; SELECT SLEEP(5); -- `,
	"SQL backslash":       `\\' OR 1=1 -- `,
	"GBK quote":           "\u00bf'",
	"LIKE wildcards":      `%_%`,
	"format verbs":        `%s%n%d%!v(PANIC=x)`,
	"template":            `{{.}}{{7*7}}${7*7}#{7*7}<%= 7*7 %>`,
	"log4j":               `${jndi:ldap://127.0.0.1/a}`,
	"shell":               "$(id)`id`;id|id&&id",
	"markup":              `<script>alert(1)</script><img src=x onerror=alert(1)>`,
	"entity":              `<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>&b;`,
	"paths":               `../../../../etc/passwd`,
	"percent path":        `..%2f..%252f%00`,
	"emoji":               `👩‍👩‍👧‍👦🏳️‍🌈`,
	"flags":               `🇩🇪🇺`,
	"right to left":       `\u202eevil\u202c שלום مرحبا`,
	"zero width":          `a\u200b\u200c\u200d\ufeffb`,
	"combining":           `Z̷̢̧̛̗̰̹a̵̡̛̖l̶̡̛g̴̢o̵̡`,
	"decomposed":          `e\u0301 \u212b \ufb01`,
	"case folding":        `İıſßΐ`,
	"beyond the BMP":      `𠜎𝕏\ud83d\ude00`,
	"noncharacter":        `\uffff\ufffe\ufdd0`,
	"lone high surrogate": `a\ud800b`,
	"lone low surrogate":  `a\udc00b`,
	"swapped surrogates":  `\ude00\ud83d`,
	"private use":         `\ue000\uf8ff`,
	"number":              `1e999`,
	"NaN":                 `NaN`,
	"null":                `null`,
	"undefined":           `undefined`,
	"true":                `true`,
	"prototype":           `__proto__`,
	"mask":                `********`,
	"a date":              `0000-00-00T00:00:00Z`,
	"a late date":         `9999-12-31T23:59:60Z`,
	"an early date":       `-0001-01-01T00:00:00Z`,
	"a URL":               `http://user:pass@[::1%25lo]:99999/\u0000`,
	"cron":                `@every 0s`,
	"cron, endless":       `0-59/0 * * * *`,
	"zone path":           `../../etc/localtime`,
	"secret reference":    `{{secret.NOPE}}{{secret.}}{{`,
	"long":                strings.Repeat("ä", 300),
	"very long":           strings.Repeat("x", 70_000),
	"deep":                strings.Repeat("[", 500),
}

// rawNaughty are bytes that are no UTF-8; a body with them is no JSON.
var rawNaughty = map[string]string{
	"no UTF-8": "a\xff\xfe", "overlong": "a\xc0\xaf", "UTF-8 of a surrogate": "a\xed\xa0\x80", "cut": "a\xf0\x9f",
}

// TestNaughtyStrings puts each of the texts into each text of each body, into
// each parameter of each query and path, and into each header that routes read,
// as the router's own document names them. Whatever comes of it is no fault of
// the server, and a text that was taken reads as it was written.
func TestNaughtyStrings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	home := h.make("/categories", `{"name":"home","color":"#123456"}`)
	jobID := h.make("/jobs", houseJob("first", home))
	userID := h.make("/users", `{"email":"u@example.com","name":"U","password":"battery staple","role":"viewer"}`)
	ids := map[string]string{"categories": home, "jobs": jobID, "users": userID}

	texts := maps.Clone(naughty)
	maps.Copy(texts, rawNaughty)
	doc := h.document()
	sent, taken := 0, 0
	for _, path := range slices.Sorted(maps.Keys(doc.paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.paths[path])) {
			op := doc.paths[path][method]
			first, _, _ := strings.Cut(path[1:], "/")
			target := strings.ReplaceAll(path, "{id}", ids[first])
			for name, text := range texts {
				var plain string
				if json.Unmarshal([]byte(`"`+text+`"`), &plain) != nil || rawNaughty[name] != "" {
					plain = text
				}
				try := func(place, target, body string, headers ...string) reply {
					t.Helper()
					sent++
					got := h.call(h.token, strings.ToUpper(method), target, body, headers...)
					if got.StatusCode >= 500 || got.StatusCode < 200 {
						t.Errorf("%s %s, %s in %s: %d\n%.300s", method, path, name, place, got.StatusCode, got.raw)
					}
					return got
				}
				for _, p := range op.Parameters {
					switch p.In {
					case "query":
						query := "?" + p.Name + "=" + url.QueryEscape(plain)
						if p.Name != "wait" && (strings.HasSuffix(path, "/execute") || strings.HasSuffix(path, "/replay")) {
							query += "&wait=0"
						}
						try("query "+p.Name, target+query, "")
					case "path":
						try("path", strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(plain)), "")
					case "header":
						if !strings.ContainsAny(plain, "\x00\r\n") {
							try("header "+p.Name, target, "", p.Name, plain)
						}
					}
				}
				example := op.example()
				if example == nil || len(text) > 1000 && strings.HasPrefix(path, "/auth") {
					continue
				}
				for _, field := range textsOf(example, nil) {
					// What changes passwords or ends the session is tried with the rest.
					body := withText(example, field, text, home)
					got := try(strings.Join(field, "."), target, body)
					if got.StatusCode >= 300 || got.data() == nil {
						continue
					}
					taken++
					if shown, ok := lookUp(got.data(), field); ok && !kept(field[len(field)-1], plain, shown) {
						t.Errorf("%s %s, %s in %v: stored as %q", method, path, name, field, shown)
					}
				}
			}
		}
	}
	if sent < 3000 || taken < 100 {
		t.Errorf("only %d requests were sent and %d taken: the document was not read", sent, taken)
	}
	if got := h.call(h.token, "GET", "/jobs/"+jobID, ""); got.StatusCode != 200 && got.StatusCode != 404 {
		t.Errorf("afterwards: %d %s", got.StatusCode, got.raw)
	}
	t.Logf("%d requests, of which %d stored a text", sent, taken)
}

// TestExamplesAreTaken sends the examples of the document as they stand there.
func TestExamplesAreTaken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	// The examples name category 2.
	if _, err := h.db.ExecContext(t.Context(), "UPDATE categories SET id = 2 WHERE id = ?", h.make("/categories", `{"name":"Second","color":"#123456"}`)); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for path, methods := range h.document().paths {
		for method, op := range methods {
			example := op.example()
			if example == nil || path == "/auth/tokens" { // the time in its example passes
				continue
			}
			body, err := json.Marshal(example)
			if err != nil {
				t.Fatal(err)
			}
			sent++
			target := strings.NewReplacer("{id}", "9007199254740991", "{name}", "NAME").Replace(path)
			if got := h.call(h.token, strings.ToUpper(method), target, string(body)); got.StatusCode == 400 || got.StatusCode >= 500 {
				t.Errorf("%s %s, %s: %d %s", method, path, body, got.StatusCode, got.raw)
			}
		}
	}
	if sent < 12 {
		t.Errorf("only %d examples were sent: the document was not read", sent)
	}
}

// kept reports whether a text that was taken reads as it was written: but for
// space around it, the normal form of addresses, and what is a secret.
func kept(field, written, shown string) bool {
	switch field {
	case "email", "url", "password", "currentPassword", "newPassword", "token", "secret", "refreshToken":
		return true // rewritten in a normal form, or never shown
	}
	return shown == strings.TrimSpace(written) || shown == written || shown == "********"
}

// houseDocument is as much of the API's document as the pass needs.
type houseDocument struct {
	paths map[string]map[string]houseOperation
}

type houseOperation struct {
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct{ Example any }
	}
}

func (o houseOperation) example() any { return o.RequestBody.Content["application/json"].Example }

func (h *house) document() houseDocument {
	h.t.Helper()
	var doc struct {
		Paths map[string]map[string]houseOperation
	}
	if err := json.Unmarshal([]byte(h.call("", "GET", "/api/docs-json", "").raw), &doc); err != nil {
		h.t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		// What signs out, or changes the password, would end the pass; a stream
		// of wrong sign-ins is tried by its own fields all the same.
		if path == "/auth/logout" || path == "/auth/change-password" || path == "/auth/sessions/{id}" {
			delete(doc.Paths, path)
		}
		if path == "/auth/me" {
			delete(methods, "patch")
		}
	}
	return houseDocument{doc.Paths}
}

// textsOf are the places of all texts in a JSON value.
func textsOf(value any, at []string) (places [][]string) {
	switch value := value.(type) {
	case string:
		return [][]string{slices.Clone(at)}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			places = append(places, textsOf(value[name], append(at, name))...)
		}
	case []any:
		for i, one := range value {
			places = append(places, textsOf(one, append(at, fmt.Sprint(i)))...)
		}
	}
	return places
}

const placeholder = "put-the-text-here"

// withText is the value as JSON with another text in one place, in a category
// that exists and under a name that is free.
func withText(example any, at []string, text, category string) string {
	var set func(value any, at []string, path string) any
	set = func(value any, rest []string, field string) any {
		switch value := value.(type) {
		case map[string]any:
			copied := map[string]any{}
			for name, one := range value {
				next := []string(nil)
				if len(rest) > 0 && rest[0] == name {
					next = rest[1:]
					if len(next) == 0 {
						copied[name] = placeholder
						continue
					}
				}
				copied[name] = set(one, next, name)
			}
			return copied
		case []any:
			copied := make([]any, len(value))
			for i, one := range value {
				next := []string(nil)
				if len(rest) > 0 && rest[0] == fmt.Sprint(i) {
					next = rest[1:]
					if len(next) == 0 {
						copied[i] = placeholder
						continue
					}
				}
				copied[i] = set(one, next, field)
			}
			return copied
		case string:
			switch field {
			case "name":
				naughtyNames++
				return fmt.Sprintf("name %d", naughtyNames)
			case "email":
				naughtyNames++
				return fmt.Sprintf("e%d@example.com", naughtyNames)
			}
		case float64:
			if field == "categoryId" {
				return json.Number(category)
			}
		}
		return value
	}
	encoded, err := json.Marshal(set(example, at, ""))
	if err != nil {
		panic(err)
	}
	return strings.ReplaceAll(string(encoded), placeholder, text)
}

// naughtyNames makes names that are free; the pass is the only one that counts.
var naughtyNames int

// lookUp reads a text by its place.
func lookUp(value map[string]any, at []string) (string, bool) {
	for ; len(at) > 1; at = at[1:] {
		next, ok := value[at[0]].(map[string]any)
		if !ok {
			return "", false
		}
		value = next
	}
	text, ok := value[at[0]].(string)
	return text, ok
}
