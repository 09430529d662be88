package executor

import (
	"bytes"
	"math"
)

// automaton looks for many patterns at once, by Aho and Corasick's method. What
// stands at a place of a text may be read in several ways, see reader; all of them
// are gone on with, so no neighbouring character can spoil how a secret is read.
// It is not changed once it is linked.
type automaton struct {
	states []state
	// first are the states behind one byte, from the root.
	first    [256]int32
	shortest int // of the patterns, in bytes
}

// state is what a text may end with: the beginning of a pattern.
type state struct {
	// child is the first of the states that are a byte longer, sibling the next of
	// those that have the same parent; 0: none.
	child, sibling int32
	fallback       int32 // the longest other state that this one ends with
	// otherwise is the longest such state that some byte leads on from which does
	// not lead on from this one.
	otherwise int32
	length    uint8
	longest   uint8 // the longest pattern that this state ends with; 0: none
	last      byte
}

func newAutomaton() *automaton {
	return &automaton{states: make([]state, 1, 256), shortest: math.MaxInt}
}

// fold makes one byte of those that count as the same: letters of either case, for
// names of hosts and hexadecimal change it, and the two ways in which a query
// writes a space.
var fold = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
	}
	for letter := 'A'; letter <= 'Z'; letter++ {
		table[letter] = byte(letter) + 'a' - 'A'
	}
	table['+'] = ' '
	return table
}()

// isIgnored tells the bytes that do not count: line breaks, which long texts get,
// and what stands between the letters of UTF-16.
func isIgnored(char character) bool { return char == '\r' || char == '\n' || char == 0 }

// folded is a text as patterns are written.
func folded(text string) string {
	out := make([]byte, 0, len(text))
	for _, b := range []byte(text) {
		if !isIgnored(character(b)) {
			out = append(out, fold[b])
		}
	}
	return string(out)
}

// add takes a folded pattern of at most pieceOf bytes in.
func (a *automaton) add(pattern string) {
	a.shortest = min(a.shortest, len(pattern))
	at := int32(0)
	for _, b := range []byte(pattern) {
		next, _ := a.child(at, b)
		if next == 0 {
			next = int32(len(a.states))
			one := state{last: b, length: a.states[at].length + 1}
			if at == 0 {
				a.first[b] = next
			} else {
				one.sibling = a.states[at].child
				a.states[at].child = next
			}
			a.states = append(a.states, one)
		}
		at = next
	}
	a.states[at].longest = a.states[at].length
}

// child is the state that a byte leads to without a fallback, and what it took to
// find it; 0: none.
func (a *automaton) child(of int32, b byte) (state int32, work int) {
	if of == 0 {
		return a.first[b], 1
	}
	work = 1
	for next := a.states[of].child; next != 0; next = a.states[next].sibling {
		if a.states[next].last == b {
			return next, work
		}
		work++
	}
	return 0, work
}

// link finds the fallbacks, of shorter states first.
func (a *automaton) link() {
	queue := make([]int32, 0, len(a.states))
	for _, next := range a.first {
		if next != 0 {
			queue = append(queue, next)
		}
	}
	for i := 0; i < len(queue); i++ {
		parent := queue[i]
		a.states[parent].otherwise = a.states[parent].fallback
		if fallback := a.states[parent].fallback; fallback != 0 && a.leadsOnAs(parent, fallback) {
			a.states[parent].otherwise = a.states[fallback].otherwise
		}
		for next := a.states[parent].child; next != 0; next = a.states[next].sibling {
			fallback, _ := a.step(a.states[parent].fallback, a.states[next].last) // all of which are linked
			a.states[next].fallback = fallback
			a.states[next].longest = max(a.states[next].longest, a.states[fallback].longest)
			queue = append(queue, next)
		}
	}
}

// step is the state that a byte leads to, and what it took to find it.
func (a *automaton) step(from int32, b byte) (to int32, work int) {
	for {
		to, tried := a.child(from, b)
		if work += tried; to != 0 || from == 0 {
			return to, work
		}
		from = a.states[from].otherwise
	}
}

// leadsOnAs reports whether each byte leads on from a state that does from another.
func (a *automaton) leadsOnAs(of, other int32) bool {
	for next := a.states[other].child; next != 0; next = a.states[next].sibling {
		if same, _ := a.child(of, a.states[next].last); same == 0 {
			return false
		}
	}
	return true
}

// in finds the patterns in a text, in order and joined. end is where the text is to
// be cut off: of one that is not complete, where the beginning of a pattern stands
// at its end; else at its end. Not ok: it would take too long.
func (a *automaton) in(text []byte, incomplete bool) (found []span, end int, ok bool) {
	s := a.search(text, incomplete)
	return inOrder(s.found), s.end, s.left >= 0
}

func (a *automaton) search(text []byte, incomplete bool) *search {
	s := &search{automaton: a, left: workFor(text), end: len(text)}
	s.look(reader{text: text}, nil, incomplete)
	s.lookEncoded(text, incomplete)
	return s
}

// workFor is the work that may be done for a text.
func workFor(text []byte) int { return min(workPerByte*(len(text)+1<<10), maxWork) }

// What a search may do, in steps of a few nanoseconds. Ordinary texts take 4 for a
// byte and base64 7; only what was made for it takes more than 15.
const (
	workPerByte = 64
	maxWork     = 8 << 20
	nodesInByte = 4
)

// search is what is known of a text while patterns are looked for in it.
type search struct {
	*automaton
	left  int // of the work that may be done
	found []span
	end   int
	nodes []node
	at    []int32 // the last node of a place, counted from 1
	// What is used again and again while encoded text is decoded.
	digits, decoded []byte
	digitPlaces     []span
	places          places
}

// node is a state that was reached at a place of a text, by one way to read it.
type node struct {
	state    int32
	from, to int32 // what was read last
	parent   int32 // from where, counted from 1; 0: from the root
	other    int32 // the next node that has reached this place, counted from 1
	hide     int32 // how many bytes of patterns end here
	width    int8  // how many bytes were read; 0: one that is ignored
}

// places tells where a decoded text's bytes stand in the answer; nil: it is the
// answer itself.
type places []span

func (p places) of(from, to int) span {
	if p == nil {
		return span{from, to}
	}
	return span{p[from].from, p[to-1].to}
}

// look finds the patterns in a text. open says that it goes on beyond its end.
func (s *search) look(r reader, where places, open bool) {
	n := len(r.text)
	s.nodes = s.nodes[:0]
	if len(s.at) <= n {
		s.at = make([]int32, n+1)
	}
	for place := 0; place < n && s.left >= 0; place++ {
		b := r.text[place]
		s.left--
		if s.at[place] == 0 && s.first[fold[b]] == 0 && !beginsEscape[b] {
			continue
		}
		s.readAt(&r, place)
		if len(s.nodes) > nodesInByte*(n+1<<10) {
			s.left = -1
		}
	}
	if s.left >= 0 && open {
		s.cut(r.text, where)
	}
	s.hide(where)
	for _, one := range s.nodes {
		s.at[one.to] = 0
	}
}

// readAt goes on from a place by every way to read what stands there.
func (s *search) readAt(r *reader, place int) {
	type reading struct {
		char character
		next int
	}
	var readings [maxEscapes + 1]reading
	var last, before reading
	n := 0
	for times := range maxEscapes + 1 {
		r.work = 0
		last.char, last.next = r.at(place, times)
		s.left -= r.work
		if times == 0 || last != before {
			readings[n] = last
			n++
		}
		before = last
		if last.char < 0 || last.char > 0x7f || !beginsEscape[last.char] {
			break // so it remains
		}
		if times == 1 && n == 1 && !bytes.ContainsAny(r.text[place+1:min(len(r.text), place+shortEscape)], `%\&`) {
			break // no escape, and none that could become one
		}
	}
	for _, one := range readings[:n] {
		if s.at[place] == 0 {
			s.advance(0, 0, place, one.char, one.next)
			continue
		}
		for i := s.at[place]; i != 0; i = s.nodes[i-1].other {
			s.advance(i, s.nodes[i-1].state, place, one.char, one.next)
		}
	}
}

// advance goes on from a state by a character.
func (s *search) advance(parent, from int32, place int, char character, next int) {
	one := node{state: from, from: int32(place), to: int32(next), parent: parent}
	switch {
	case isIgnored(char):
	case char >= 0 && char < 0x80:
		one.width = 1
		one.state = s.step(from, fold[char])
	default:
		for _, b := range char.bytes() {
			one.width++
			one.state = s.step(one.state, fold[b])
		}
	}
	if one.state == 0 {
		return
	}
	for i := s.at[next]; i != 0; i = s.nodes[i-1].other {
		s.left--
		if s.nodes[i-1].state == one.state {
			return
		}
	}
	one.other = s.at[next]
	s.nodes = append(s.nodes, one)
	s.at[next] = int32(len(s.nodes))
}

func (s *search) step(from int32, b byte) int32 {
	to, work := s.automaton.step(from, b)
	s.left -= work
	return to
}

// hide collects what patterns cover: from the end, each node tells its parent how
// much of it is left to cover.
func (s *search) hide(where places) {
	for i := len(s.nodes) - 1; i >= 0; i-- {
		one := &s.nodes[i]
		if one.width > 0 {
			one.hide = max(one.hide, int32(s.states[one.state].longest))
		}
		if one.hide <= 0 {
			continue
		}
		hidden := where.of(int(one.from), int(one.to))
		if last := len(s.found) - 1; last >= 0 && s.found[last].from <= hidden.to && s.found[last].to >= hidden.to {
			s.found[last].from = min(s.found[last].from, hidden.from)
		} else {
			s.found = append(s.found, hidden)
		}
		if one.parent != 0 {
			parent := &s.nodes[one.parent-1]
			parent.hide = max(parent.hide, one.hide-int32(one.width))
		}
	}
}

// cut moves the end to before what may be the beginning of a pattern: what has been
// read up to the end, or up to an escape that is not complete.
func (s *search) cut(text []byte, where places) {
	n := len(text)
	for place := max(0, n-longestEscape); place <= n; place++ {
		if place < n && !beginsEscape[text[place]] {
			continue
		}
		for i := s.at[place]; i != 0; i = s.nodes[i-1].other {
			one := s.nodes[i-1]
			for left := int(s.states[one.state].length) - int(one.width); left > 0 && one.parent != 0; left -= int(one.width) {
				one = s.nodes[one.parent-1]
			}
			s.end = min(s.end, where.of(int(one.from), int(one.to)).from)
		}
	}
}
