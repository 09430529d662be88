package executor_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// each writes a text by its characters.
func each(write func(r rune) string) func(string) string {
	return func(text string) string {
		var out strings.Builder
		for _, r := range text {
			out.WriteString(write(r))
		}
		return out.String()
	}
}

// eachByte writes a text by its bytes.
func eachByte(format string) func(string) string {
	return func(text string) string {
		var out strings.Builder
		for _, b := range []byte(text) {
			fmt.Fprintf(&out, format, b)
		}
		return out.String()
	}
}

// beyondASCII writes what is not ASCII in a way of its own.
func beyondASCII(format string) func(string) string {
	return each(func(r rune) string {
		if r < 0x80 {
			return string(r)
		}
		var out strings.Builder
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, format, unit)
		}
		return out.String()
	})
}

// halves writes a text as JSON does without anything but ASCII.
func halves(text string) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&out, `\u%04X`, unit)
	}
	return out.String()
}

func inJSON(text string) string {
	out, _ := json.Marshal(text)
	return string(out[1 : len(out)-1])
}

func plainJSON(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text)
}

// taking composes ways to write; the first is the innermost.
func taking(ways ...func(string) string) func(string) string {
	return func(text string) string {
		for _, way := range ways {
			text = way(text)
		}
		return text
	}
}

func lines(text string) string {
	var out strings.Builder
	for len(text) > 76 {
		out.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return out.String() + text
}

// ways are how texts write what they repeat.
var ways = map[string]func(string) string{
	"as it is":                    func(s string) string { return s },
	"a path":                      url.PathEscape,
	"a query":                     url.QueryEscape,
	"a query with small escapes":  taking(url.QueryEscape, smallEscapes),
	"a query in a query":          taking(url.QueryEscape, url.QueryEscape),
	"escaped six times":           taking(url.QueryEscape, url.QueryEscape, url.QueryEscape, url.QueryEscape, url.QueryEscape, url.QueryEscape),
	"every byte with a percent":   eachByte("%%%02x"),
	"some bytes with a percent":   func(s string) string { return eachByte("%%%02X")(s[:3]) + s[3:] },
	"Go's JSON":                   inJSON,
	"plain JSON":                  plainJSON,
	"Python's JSON":               taking(plainJSON, beyondASCII(`\u%04x`)),
	"PHP's JSON":                  taking(plainJSON, func(s string) string { return strings.ReplaceAll(s, "/", `\/`) }, beyondASCII(`\u%04x`)),
	"Gson's JSON":                 taking(plainJSON, strings.NewReplacer("=", `\u003d`, "<", `\u003c`, ">", `\u003E`, "&", `\u0026`, "'", `\u0027`).Replace),
	"JSON of escapes alone":       halves,
	"JSON in JSON":                taking(inJSON, inJSON),
	"JSON in a query":             taking(inJSON, url.QueryEscape),
	"a query in JSON in HTML":     taking(url.QueryEscape, inJSON, html.EscapeString),
	"Go's HTML":                   html.EscapeString,
	"HTML by names":               strings.NewReplacer(`"`, "&quot;", "<", "&lt;", ">", "&gt;", "&", "&amp;", "'", "&apos;", "é", "&eacute;", "/", "&sol;", "=", "&equals;").Replace,
	"HTML by numbers":             each(func(r rune) string { return fmt.Sprintf("&#%d;", r) }),
	"HTML by hexadecimal numbers": each(func(r rune) string { return fmt.Sprintf("&#x%X;", r) }),
	"HTML that was escaped twice": taking(html.EscapeString, html.EscapeString),
	"bytes of Python":             eachByte(`\x%02x`),
	"octal":                       eachByte(`\%03o`),
	"JavaScript":                  each(func(r rune) string { return fmt.Sprintf(`\u{%x}`, r) }),
	"hexadecimal":                 eachByte("%02x"),
	"large hexadecimal":           eachByte("%02X"),
	"capitals":                    strings.ToUpper,
	"UTF-16": func(s string) string {
		return string(must(binary.Append(nil, binary.LittleEndian, utf16.Encode([]rune(strings.ReplaceAll(s, "é", "e"))))))
	},
	"misread as Latin":          each2(func(s string) string { return s }),
	"misread as Latin, in JSON": each2(beyondASCII(`\u%04x`)),
	"Latin": each(func(r rune) string {
		if r > 0xff {
			return string(r)
		}
		return string([]byte{byte(r)})
	}),
	"base64":               func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 behind a byte": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(":" + s)) },
	"base64 behind two":    func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("::" + s + "tail")) },
	"base64 in lines": func(s string) string {
		return lines(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(".", 70) + s + s)))
	},
	"base64 in lines in JSON": func(s string) string {
		return inJSON(lines(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(".", 70) + s))))
	},
	"base64 in a query": func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
	"base64 in PHP's JSON": func(s string) string {
		return strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(s)), "/", `\/`)
	},
	"a query in base64":           func(s string) string { return base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(s))) },
	"JSON in base64":              func(s string) string { return base64.StdEncoding.EncodeToString([]byte(inJSON(s))) },
	"hexadecimal of JSON":         taking(inJSON, func(s string) string { return hex.EncodeToString([]byte(s)) }),
	"a query's, the rest decoded": func(s string) string { return strings.ReplaceAll(s, " ", "+") },
}

// each2 is what becomes of a text whose bytes are taken for characters.
func each2(then func(string) string) func(string) string {
	return func(text string) string {
		var out []rune
		for _, b := range []byte(text) {
			out = append(out, rune(b))
		}
		return then(string(out))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// TestHoweverItIsWritten finds secrets in every way that texts write them, whatever
// stands before and behind.
func TestHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{
		"hunter2hunter2", "s3cr", "pa ss/w+rd&1=2", `se"cr&et/Va<lue>+1'x=`, "pässwörd-géhéim", "c2VjcmV0LXNlY3JldA==", `back\slash\n"`,
		"de%41d%2fbeef", "\U0001f511schlüssel", "a&amp;b&#65;cdef", strings.Repeat("0123456789abcdef/+", 20),
	} {
		for name, write := range ways {
			written := write(secret)
			if (name == "UTF-16" || name == "Latin") && strings.ContainsAny(secret, "ä\U0001f511") && name+secret[:1] != "Latinp" {
				continue // which these do not have, or write in two ways
			}
			for _, around := range [][2]string{{"", ""}, {"before ", " behind"}, {`{"a":"`, `"}`}, {"%", "%"}, {`\`, `\`}, {"&", ";"}, {"%2", "5"}, {"&#x3", "4;"}, {"%4", "1"}, {`\u00`, "41"}} {
				text := around[0] + written + around[1]
				got := string(executor.Scrub([]string{secret}, []byte(text), false))
				if !strings.Contains(got, job.Mask) {
					t.Errorf("%s of %q is kept: %q", name, secret, got)
					break
				}
				if strings.HasPrefix(name, "base64") || strings.Contains(name, "in base64") {
					continue // its ends belong to what surrounds it, too
				}
				if want := around[0] + job.Mask + around[1]; strings.ReplaceAll(got, "\x00", "") != want && around[0] == "before " {
					t.Errorf("%s of %q: %q became %q", name, secret, text, got)
				}
			}
		}
	}
}

// TestBase64IsHiddenToItsEnds leaves of a secret in base64 no group that is its own.
func TestBase64IsHiddenToItsEnds(t *testing.T) {
	t.Parallel()
	for n := 4; n < 40; n++ {
		secret := "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"[:n]
		for before := range 7 {
			text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("~", before) + secret + strings.Repeat("~", 9)))
			got := string(executor.Scrub([]string{secret}, []byte(text), false))
			shown := strings.Split(got, job.Mask)
			if len(shown) != 2 {
				t.Errorf("%d bytes behind %d: %q", n, before, got)
				continue
			}
			// What is shown of its ends are groups of other bytes.
			if most := (before*8 + 5) / 6; len(shown[0]) > most {
				t.Errorf("%d bytes behind %d: %q is shown before", n, before, shown[0])
			}
			if most := 12 + 2; len(shown[1]) > most {
				t.Errorf("%d bytes behind %d: %q is shown behind", n, before, shown[1])
			}
		}
	}
}

// TestOtherTextsStay changes nothing that holds no secret.
func TestOtherTextsStay(t *testing.T) {
	t.Parallel()
	secrets := []string{"hunter2hunter2", "Bearer hunter2hunter2", "pa ss/w+rd", "1234"}
	for _, text := range []string{
		"", "hunter2", "hunter2hunter", "hunter2 hunter2", "unter2hunter2", "123", "12 34", "%31%32%33", "%31%32%33%3", `12\u00334`[:7], "&#49;&#50;&#51;&#52", "%zz%", `\`, "&", "&#", "&#x;", "&;", "&#99999999;", `\u`, `\ud83d\u0041`, `\u{}`, `\u{110000}`, "\xff\xfe",
		base64.StdEncoding.EncodeToString([]byte("hunter2hunter")), hex.EncodeToString([]byte("hunter2hunter")), strings.Repeat("A", 1000),
	} {
		if got := string(executor.Scrub(secrets, []byte(text), false)); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestPartsOfLongSecretsAreHidden repeats less than the whole.
func TestPartsOfLongSecretsAreHidden(t *testing.T) {
	t.Parallel()
	var secret strings.Builder
	for i := range 200 {
		fmt.Fprintf(&secret, "%d,", i*i)
	}
	whole := secret.String()
	if got := string(executor.Scrub([]string{whole}, []byte("<"+whole+">"), false)); got != "<"+job.Mask+">" {
		t.Errorf("the whole became %q", got)
	}
	if got := string(executor.Scrub([]string{whole}, []byte(whole[:len(whole)-10]), false)); len(got) > len(job.Mask)+64 {
		t.Errorf("its beginning became %q", got)
	}
	if got := string(executor.Scrub([]string{whole}, []byte(whole[300:]), false)); len(got) > len(job.Mask)+64 {
		t.Errorf("its end became %q", got)
	}
}

// longestCharacter is what a character takes in the longest way, in bytes.
const longestCharacter = 18

// TestEscapesAcrossTheCut cuts an answer off in the middle of a secret, wherever it
// is, and within its escapes too.
func TestEscapesAcrossTheCut(t *testing.T) {
	t.Parallel()
	const secret = `k9"ü/+<q ~z5`
	for name, write := range ways {
		if name == "UTF-16" || strings.Contains(name, "in lines") || name == "base64 behind two" {
			continue // what remains may be of what surrounds it
		}
		written := write(secret)
		for cut := 1; cut <= len(written); cut++ {
			got := string(executor.Scrub([]string{secret}, []byte("xx "+written[:cut]), true))
			rest := strings.TrimPrefix(got, "xx ")
			// What stands for less than a character of it may stay.
			if rest = strings.TrimSuffix(rest, job.Mask); len(rest) > 3 && cut >= len(write(secret[:1])) || len(rest) > longestCharacter {
				t.Errorf("%s, cut off after %d: %q is kept of %q", name, cut, got, written)
			}
		}
	}
}
