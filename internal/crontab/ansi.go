package crontab

import (
	"strconv"
	"strings"
)

// simpleEscapes are those of $'…' that stand for one byte.
var simpleEscapes = map[byte]byte{
	'a': 7, 'b': 8, 'e': 27, 'E': 27, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11,
	'\\': '\\', '\'': '\'', '"': '"', '?': '?',
}

// ansi reads $'…' on from behind its opening quote.
func (l *lexer) ansi() error {
	l.inWord, l.quoted = true, true
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case c == 0:
			return errControl
		case c == '\'':
			l.pos++
			return nil
		case c != '\\':
			l.add(c)
			continue
		}
		l.pos++
		if err := l.escape(); err != nil {
			return err
		}
	}
	return errUnclosed
}

// escape reads what follows a backslash in $'…'.
func (l *lexer) escape() error {
	if l.pos == len(l.src) {
		return errUnclosed
	}
	c := l.src[l.pos]
	if simple, ok := simpleEscapes[c]; ok {
		l.word.WriteByte(simple)
		l.pos++
		return nil
	}
	switch {
	case c == 'x':
		return l.number(1, 2, 16, false)
	case c == 'u':
		return l.number(1, 4, 16, true)
	case c == 'U':
		return l.number(1, 8, 16, true)
	case c >= '0' && c <= '7':
		return l.number(0, 3, 8, false)
	case c == 'c' && l.pos+1 < len(l.src):
		l.pos++
		if control := l.src[l.pos] & 0x1f; control != 0 {
			l.word.WriteByte(control)
			l.pos++
			return nil
		}
		return errControl
	}
	l.word.WriteByte('\\')
	return nil // the byte itself is read next
}

// number reads an escape in digits of a base: a byte, or a character. Without
// a digit it is the text that it looks like.
func (l *lexer) number(prefix, most, base int, character bool) error {
	start := l.pos + prefix
	end := start
	digits := "0123456789abcdefABCDEF"
	if base == 8 {
		digits = "01234567"
	}
	for end < len(l.src) && end < start+most && strings.IndexByte(digits, l.src[end]) >= 0 {
		end++
	}
	if end == start {
		l.word.WriteByte('\\')
		l.add(l.src[l.pos])
		return nil
	}
	value, err := strconv.ParseUint(l.src[start:end], base, 32)
	l.pos = end
	switch {
	case err != nil || value == 0:
		return errControl
	case character:
		l.word.WriteRune(rune(min(value, 0x7fffffff)))
	default:
		l.word.WriteByte(byte(value))
	}
	return nil
}
