package crontab

import (
	"errors"
	"strings"
)

// What a command may not hold, said to whoever wrote it. None repeats a value.
var (
	errVariable   = errors.New("uses a shell variable; write its value, or quote a $ that is meant as such")
	errSubcommand = errors.New("runs a command inside the command, which a job cannot do")
	errPipe       = errors.New("is a pipe; a job is one call, and its answer is kept in the history")
	errChain      = errors.New("is more than one command, or holds a ; or & outside quotes; a job is one call")
	errGroup      = errors.New("holds parentheses outside quotes")
	errUnclosed   = errors.New("has a quote that is not closed")
	errBackslash  = errors.New("ends in a backslash; a crontab has no continued lines")
	errFile       = errors.New("reads or writes a file; only /dev/null may be named, and the answer is kept in the history")
	errTilde      = errors.New("names a home directory with ~")
	errControl    = errors.New("holds a NUL byte")
)

// splitWords splits a command into words as a POSIX shell does, with $'…' as
// well. Redirections to /dev/null, and of one stream to another, are left out.
func splitWords(command string) ([]string, error) {
	l := lexer{src: command}
	for l.pos < len(l.src) {
		if err := l.step(); err != nil {
			return nil, err
		}
	}
	if err := l.endWord(); err != nil {
		return nil, err
	}
	if l.target {
		return nil, errFile
	}
	return l.words, nil
}

// lexer goes over a command once, without recursion.
type lexer struct {
	src   string
	pos   int
	words []string

	word   strings.Builder
	inWord bool
	quoted bool // a part of the word was quoted
	// target says that the next word is where a stream goes.
	target bool
}

// peek is the byte so many places on; 0 past the end.
func (l *lexer) peek(ahead int) byte {
	if l.pos+ahead >= len(l.src) {
		return 0
	}
	return l.src[l.pos+ahead]
}

func (l *lexer) step() error {
	switch c := l.src[l.pos]; c {
	case 0:
		return errControl
	case ' ', '\t', '\r', '\n':
		l.pos++
		return l.endWord()
	case '#':
		if !l.inWord { // a comment
			l.pos = len(l.src)
			return nil
		}
		l.add(c)
	case '\'':
		return l.single()
	case '"':
		l.pos++
		return l.double()
	case '\\':
		if l.pos+1 == len(l.src) {
			return errBackslash
		}
		l.pos++
		l.quoted = true
		l.add(l.src[l.pos])
	case '$':
		return l.dollar(false)
	case '`':
		return errSubcommand
	case '|':
		if l.peek(1) == '|' {
			return errChain
		}
		return errPipe
	case ';':
		return errChain
	case '(', ')':
		return errGroup
	case '&':
		if l.peek(1) != '>' {
			return errChain
		}
		if err := l.endWord(); err != nil {
			return err
		}
		l.pos++
		return l.redirect()
	case '<', '>':
		if err := l.endStream(); err != nil {
			return err
		}
		return l.redirect()
	case '~':
		if next := l.peek(1); !l.inWord && (next == 0 || next == '/' || next == ' ') {
			return errTilde
		}
		l.add(c)
	default:
		l.add(c)
	}
	return nil
}

func (l *lexer) add(c byte) {
	l.word.WriteByte(c)
	l.inWord = true
	l.pos++
}

func (l *lexer) endWord() error {
	if !l.inWord {
		return nil
	}
	word := l.word.String()
	l.word.Reset()
	l.inWord, l.quoted = false, false
	if !l.target {
		l.words = append(l.words, word)
		return nil
	}
	l.target = false
	if word != "/dev/null" {
		return errFile
	}
	return nil
}

// endStream ends the word before a redirection; bare digits there are the
// number of a stream and no word.
func (l *lexer) endStream() error {
	if l.inWord && !l.quoted && !l.target && strings.Trim(l.word.String(), "0123456789") == "" {
		l.word.Reset()
		l.inWord = false
		return nil
	}
	return l.endWord()
}

// redirect reads an operator: what follows is a stream, or /dev/null.
func (l *lexer) redirect() error {
	if l.target {
		return errFile
	}
	operator := l.src[l.pos]
	l.pos++
	switch next := l.peek(0); {
	case next == '(':
		return errSubcommand
	case operator == '<' && (next == '<' || next == '>'):
		return errFile
	case operator == '>' && (next == '>' || next == '|'):
		l.pos++
	case next == '&':
		l.pos++
		start := l.pos
		for c := l.peek(0); c >= '0' && c <= '9' || c == '-'; c = l.peek(0) {
			l.pos++
		}
		if l.pos > start {
			return nil
		}
	}
	l.target = true
	return nil
}

func (l *lexer) single() error {
	l.pos++
	end := strings.IndexByte(l.src[l.pos:], '\'')
	if end < 0 {
		return errUnclosed
	}
	text := l.src[l.pos : l.pos+end]
	if strings.IndexByte(text, 0) >= 0 {
		return errControl
	}
	l.word.WriteString(text)
	l.inWord, l.quoted = true, true
	l.pos += end + 1
	return nil
}

// double reads on from behind the opening quote.
func (l *lexer) double() error {
	l.inWord, l.quoted = true, true
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; c {
		case 0:
			return errControl
		case '"':
			l.pos++
			return nil
		case '`':
			return errSubcommand
		case '$':
			if err := l.dollar(true); err != nil {
				return err
			}
		case '\\':
			if next := l.peek(1); next != 0 && strings.IndexByte("$`\"\\", next) >= 0 {
				l.pos++
				c = next
			}
			l.add(c)
		default:
			l.add(c)
		}
	}
	return errUnclosed
}

// dollar reads a $, which is itself only before what begins no expansion.
func (l *lexer) dollar(inQuotes bool) error {
	next := l.peek(1)
	switch {
	case next == '(':
		return errSubcommand
	case next == '{', next == '_', isLetter(next), isDigit(next), next != 0 && strings.IndexByte("@*#?-$!", next) >= 0:
		return errVariable
	case next == '\'' && !inQuotes:
		l.pos += 2
		return l.ansi()
	case next == '"' && !inQuotes: // a text to be translated: "…" where it is not
		l.pos += 2
		return l.double()
	}
	l.add('$')
	return nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
