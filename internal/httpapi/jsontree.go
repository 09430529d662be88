package httpapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// nodeKind is the type of a JSON value.
type nodeKind byte

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	arrayNode
	objectNode
)

// node is a JSON value with its place in the source, so that faults can be
// found, and faulty parts left out, without touching the rest. What an object or
// an array consists of is read by open, and so costs nothing where nobody asks.
type node struct {
	kind   nodeKind
	raw    []byte // the value's own bytes
	text   string // stringNode: decoded
	broken bool   // stringNode: holds half of a surrogate pair
	faulty bool   // set by validation; the value is left out of what is bound

	opened  bool
	members []member // objectNode, in the order of the source
	items   []*node  // arrayNode
}

type member struct {
	name  string
	value *node
	// repeated marks a name that an earlier member has.
	repeated bool
}

// maxDepth bounds nesting; no input of the API needs more than a few levels,
// and a job's body is given the same room.
const maxDepth = 100

// syntaxFault says why text is not the JSON that is accepted here.
type syntaxFault string

const (
	notUTF8  syntaxFault = "The body is not valid UTF-8."
	notJSON  syntaxFault = "The body is not valid JSON."
	marked   syntaxFault = "The body begins with a byte order mark, which is no JSON; send it without."
	tooDeep  syntaxFault = "The body is nested more than 100 levels deep."
	noBody   syntaxFault = "A JSON body is required."
	noFaults syntaxFault = ""
)

var byteOrderMark = []byte("\ufeff")

// parseJSON reads exactly one JSON value. The grammar is encoding/json's; what
// that accepts silently (invalid UTF-8, repeated names, halves of surrogate
// pairs) is refused or marked.
func parseJSON(src []byte) (*node, syntaxFault) {
	if len(bytes.TrimLeft(src, " \t\r\n")) == 0 {
		return nil, noBody
	}
	if !utf8.Valid(src) {
		return nil, notUTF8
	}
	if bytes.HasPrefix(src, byteOrderMark) {
		return nil, marked
	}
	if nestsDeeperThan(src, maxDepth) {
		return nil, tooDeep
	}
	if !json.Valid(src) {
		return nil, notJSON
	}
	return readNode(src), noFaults
}

// readNode is the value that text begins with, which is known to be valid JSON.
func readNode(src []byte) *node {
	s := treeScanner{src: src}
	return s.value()
}

// open reads what an object or array consists of, at most so many of its parts;
// false where there are more.
func (n *node) open(most int) (whole bool) {
	s := treeScanner{src: n.raw, pos: 1}
	switch n.kind {
	case objectNode:
		n.members, whole = s.object(most)
	case arrayNode:
		n.items, whole = s.array(most)
	default:
		return true
	}
	n.opened = true
	return whole
}

// nestsDeeperThan counts brackets outside strings.
func nestsDeeperThan(src []byte, limit int) bool {
	depth, inString := 0, false
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// treeScanner goes over text that is known to be valid JSON.
type treeScanner struct {
	src []byte
	pos int
}

func (s *treeScanner) skipSpace() {
	for s.pos < len(s.src) && strings.IndexByte(" \t\r\n", s.src[s.pos]) >= 0 {
		s.pos++
	}
}

func (s *treeScanner) value() *node {
	s.skipSpace()
	start := s.pos
	n := &node{}
	switch s.src[s.pos] {
	case '{':
		n.kind = objectNode
		s.brackets()
	case '[':
		n.kind = arrayNode
		s.brackets()
	case '"':
		n.kind = stringNode
		n.text, n.broken = s.str()
	case 't', 'f':
		n.kind = boolNode
		s.literal()
	case 'n':
		s.literal()
	default:
		n.kind = numberNode
		s.literal()
	}
	n.raw = s.src[start:s.pos]
	return n
}

// brackets passes over an object or array.
func (s *treeScanner) brackets() {
	for depth := 0; ; {
		switch s.src[s.pos] {
		case '"':
			s.quotes()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.pos++
		if depth == 0 {
			return
		}
	}
}

// quotes passes over a string.
func (s *treeScanner) quotes() {
	for s.pos++; s.src[s.pos] != '"'; s.pos++ {
		if s.src[s.pos] == '\\' {
			s.pos++
		}
	}
	s.pos++
}

// object reads at most so many members; false where there are more.
func (s *treeScanner) object(most int) (members []member, whole bool) {
	seen := map[string]bool{}
	for {
		s.skipSpace()
		switch s.src[s.pos] {
		case '}':
			return members, true
		case ',':
			s.pos++
			s.skipSpace()
		}
		if len(members) >= most {
			return members, false
		}
		name, _ := s.str()
		s.skipSpace()
		s.pos++ // :
		members = append(members, member{name: name, value: s.value(), repeated: seen[name]})
		seen[name] = true
	}
}

// array reads at most so many items; false where there are more.
func (s *treeScanner) array(most int) (items []*node, whole bool) {
	for {
		s.skipSpace()
		switch s.src[s.pos] {
		case ']':
			return items, true
		case ',':
			s.pos++
		}
		if len(items) >= most {
			return items, false
		}
		items = append(items, s.value())
	}
}

func (s *treeScanner) str() (text string, broken bool) {
	start := s.pos
	s.quotes()
	raw := s.src[start:s.pos]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), false
	}
	_ = json.Unmarshal(raw, &text) // known to be valid
	// Half a pair decodes to the replacement character, as if it had been sent.
	sent := bytes.ContainsRune(raw, utf8.RuneError) || bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`))
	return text, strings.ContainsRune(text, utf8.RuneError) && !sent
}

func (s *treeScanner) literal() {
	for s.pos < len(s.src) && strings.IndexByte(" \t\r\n,]}", s.src[s.pos]) < 0 {
		s.pos++
	}
}

// sound writes the value without its faulty parts: what is left binds, so that
// the rules of the domain can be checked on it too. False where nothing is
// left. An array with a faulty item is left out as a whole, since an item's
// place names it.
func (n *node) sound(buf *bytes.Buffer) bool {
	if n.faulty {
		return false
	}
	switch {
	case n.opened && n.kind == objectNode:
		buf.WriteByte('{')
		first := true
		for _, m := range n.members {
			mark := buf.Len()
			if !first {
				buf.WriteByte(',')
			}
			name, _ := json.Marshal(m.name)
			buf.Write(name)
			buf.WriteByte(':')
			if m.repeated || !m.value.sound(buf) {
				buf.Truncate(mark)
				continue
			}
			first = false
		}
		buf.WriteByte('}')
	case n.opened && n.kind == arrayNode:
		mark := buf.Len()
		buf.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				buf.WriteByte(',')
			}
			if !item.sound(buf) {
				buf.Truncate(mark)
				return false
			}
		}
		buf.WriteByte(']')
	default:
		buf.Write(n.raw)
	}
	return true
}
