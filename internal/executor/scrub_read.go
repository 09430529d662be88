package executor

import (
	"html"
	"unicode/utf8"
)

// Texts write a character in many ways: as itself, %41, \u0041, \x41, \101, &#65;,
// &#x41; or &Aacute;, and these again escaped, when a URL stands in a URL or JSON
// in JSON. A reading is what stands at a place of a text, to somebody who undoes
// escapes so many times.

// maxEscapes is how often escapes within escapes are undone: an address is escaped
// once by the job, and once more by each of the five redirects that may follow.
const maxEscapes = 6

// character is what was read: a code point, or where it is negative, a byte that is
// part of one.
type character int32

func ofByte(b byte) character {
	if b < utf8.RuneSelf {
		return character(b)
	}
	return -character(b)
}

func (c character) bytes() []byte {
	if c < 0 {
		return []byte{byte(-c)}
	}
	return utf8.AppendRune(nil, rune(c))
}

// beginsEscape tells the bytes that escapes begin with.
var beginsEscape = [256]bool{'%': true, '\\': true, '&': true}

// longestEscape is how much of a text an escape may take that was escaped again and
// is cut off at the text's end, in bytes; what is longer nobody writes.
const longestEscape = 64

// shortEscape is as long as an escape can be that no other one is part of, in bytes:
// two halves of a character in JSON.
const shortEscape = 12

// reader reads a text, and counts what it does.
type reader struct {
	text []byte
	work int
}

// at reads the character at a place, undoing escapes so many times, and tells where
// the next one stands. The place is within the text.
func (r *reader) at(place, times int) (character, int) {
	r.work++
	first := r.text[place]
	if times == 0 || !beginsEscape[first] {
		return ofByte(first), place + 1
	}
	char, next := r.at(place, times-1)
	var escaped character
	end := 0
	switch char {
	case '%':
		escaped, end = r.number(next, times-1, 2, 16)
	case '\\':
		escaped, end = r.backslashed(next, times-1)
	case '&':
		escaped, end = r.entity(next, times-1)
	}
	if end > 0 {
		return escaped, end
	}
	return char, next
}

// readPercent reads the two digits of a percent escape; next is 0 where there are none.
func readPercent(text []byte, place, times int) (char character, next int) {
	r := reader{text: text}
	return r.number(place, times, 2, 16)
}

// number reads a byte of so many digits.
func (r *reader) number(place, times, digits, base int) (character, int) {
	value, place := r.digits(place, times, digits, base)
	if place == 0 || value > 0xff {
		return 0, 0
	}
	return ofByte(byte(value)), place
}

// digits reads a number of exactly so many digits.
func (r *reader) digits(place, times, digits, base int) (value, next int) {
	for range digits {
		if place >= len(r.text) {
			return 0, 0
		}
		var char character
		char, place = r.at(place, times)
		digit := digitOf(char)
		if digit >= base {
			return 0, 0
		}
		value = value*base + digit
	}
	return value, place
}

// digitOf is the value of a digit, or a large number.
func digitOf(char character) int {
	switch {
	case char >= '0' && char <= '9':
		return int(char - '0')
	case char >= 'a' && char <= 'f':
		return int(char-'a') + 10
	case char >= 'A' && char <= 'F':
		return int(char-'A') + 10
	default:
		return 1 << 10
	}
}

// backslashed reads what stands behind a backslash, as JSON and programming
// languages mean it.
func (r *reader) backslashed(place, times int) (character, int) {
	if place >= len(r.text) {
		return 0, 0
	}
	char, next := r.at(place, times)
	switch {
	case char == 'u':
		return r.unicode(next, times)
	case char == 'x':
		return r.number(next, times, 2, 16)
	case char >= '0' && char <= '7':
		return r.number(place, times, 3, 8)
	case char == 'n':
		return '\n', next
	case char == 'r':
		return '\r', next
	case char == 't':
		return '\t', next
	case char > ' ' && char < utf8.RuneSelf && !isLetterOrDigit(char):
		return char, next
	default:
		return 0, 0
	}
}

func isLetterOrDigit(char character) bool {
	return char >= '0' && char <= '9' || char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z'
}

// unicode reads what stands behind \u: four digits, of which a second escape may be
// the other half, or some in braces.
func (r *reader) unicode(place, times int) (character, int) {
	if place < len(r.text) && r.text[place] == '{' {
		return r.until('}', place+1, times, 16)
	}
	value, next := r.digits(place, times, 4, 16)
	if next == 0 || value < 0xd800 || value >= 0xdc00 || next >= len(r.text) {
		return character(value), next
	}
	if char, behind := r.at(next, times); char == '\\' && behind < len(r.text) {
		if char, behind = r.at(behind, times); char == 'u' {
			if low, end := r.digits(behind, times, 4, 16); end > 0 && low >= 0xdc00 && low < 0xe000 {
				return character(0x10000 + (value-0xd800)<<10 + low - 0xdc00), end
			}
		}
	}
	return character(value), next
}

// until reads a number up to a character that closes it.
func (r *reader) until(closes character, place, times, base int) (character, int) {
	value := 0
	for range 8 {
		if place >= len(r.text) {
			return 0, 0
		}
		var char character
		if char, place = r.at(place, times); char == closes {
			return character(value), place
		}
		digit := digitOf(char)
		if digit >= base {
			return 0, 0
		}
		if value = value*base + digit; value > utf8.MaxRune {
			return 0, 0
		}
	}
	return 0, 0
}

// entity reads what stands behind an ampersand, as HTML and XML mean it.
func (r *reader) entity(place, times int) (character, int) {
	if place >= len(r.text) {
		return 0, 0
	}
	char, next := r.at(place, times)
	if char == '#' {
		if next < len(r.text) && r.text[next]|0x20 == 'x' {
			return r.until(';', next+1, times, 16)
		}
		return r.until(';', next, times, 10)
	}
	const longestName = 8
	name := []byte{'&'}
	for isLetterOrDigit(char) && len(name) <= longestName && next < len(r.text) {
		name = append(name, byte(char))
		if char, next = r.at(next, times); char != ';' {
			continue
		}
		if named := html.UnescapeString(string(name) + ";"); utf8.RuneCountInString(named) == 1 {
			meant, _ := utf8.DecodeRuneInString(named)
			return character(meant), next
		}
		return 0, 0
	}
	return 0, 0
}
