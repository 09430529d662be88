package executor

import "bytes"

// lookEncoded finds the patterns in what of a text may be base64 or hexadecimal,
// wherever it begins, both as it stands there and without escapes.
func (s *search) lookEncoded(text []byte, incomplete bool) {
	encodings := [...]encoding{
		{values: &sextets, bits: 6, group: 4, least: (8*s.shortest + 5) / 6},
		{values: &nibbles, bits: 4, group: 2, least: 2 * s.shortest},
	}
	for i := range encodings {
		s.lookFor(&encodings[i], reader{text: text}, 0, incomplete)
		if bytes.ContainsAny(text, `%\&`) {
			s.lookFor(&encodings[i], reader{text: text}, maxEscapes, incomplete)
		}
	}
}

// encoding is a way to write bytes by digits.
type encoding struct {
	values *[256]byte
	bits   int // of a digit
	group  int // how many digits make whole bytes
	least  int // as many digits as a pattern takes
}

// noDigit and ignored are no values of digits: a byte that ends a run of them, and
// one that does not.
const (
	noDigit = 0xff
	ignored = 0xfe
)

// lookFor looks into the runs of digits in a text whose escapes are undone so many
// times. What looks like an escape may be none: where it reads as a letter, which
// hardly anybody escapes, or as no digit at all, a run may begin within it.
func (s *search) lookFor(e *encoding, r reader, times int, incomplete bool) {
	begins, n := 0, 0
	var within []int // where runs may begin besides
	behind := 0      // the last such escape
	end := func(ends int) {
		open := incomplete && ends > len(r.text)-longestEscape
		s.lookInRun(e, r, begins, ends, n, times, open)
		for _, place := range within {
			s.lookInRun(e, r, place, ends, n, times, open)
		}
		n, within = 0, within[:0]
	}
	values, rest := e.values, len(r.text)-longestEscape
	for place := 0; place < len(r.text) && s.left >= 0; {
		if b := r.text[place]; times == 0 || !beginsEscape[b] { // nearly always
			switch value := values[b]; {
			case value < ignored:
				n++
			case value == ignored:
			case n < e.least && place <= rest && len(within) == 0:
				n, begins = 0, place+1
			default:
				end(place)
				begins = place + 1
			}
			place++
			continue
		}
		value, next := e.digit(&r, place, times)
		switch {
		case value == ignored:
		case value == noDigit:
			end(place)
			next = place + 1
			begins = next
		default:
			n++
			if next-place == 1 || value >= firstSign {
				break
			}
			if len(within) > 0 && behind == place {
				within = within[:len(within)-1] // of a row of them, the last is enough
			}
			within, behind = append(within, place+1), next
		}
		place = next
		s.left -= r.work
		r.work = 0
	}
	end(len(r.text))
	s.left -= len(r.text) / 4
}

// firstSign is the first digit of base64 that is neither a letter nor a number.
const firstSign = 62

// digit is the value of what stands at a place.
func (e *encoding) digit(r *reader, place, times int) (value byte, next int) {
	first := r.text[place]
	if times == 0 || !beginsEscape[first] {
		return e.values[first], place + 1
	}
	char, next := r.at(place, times)
	if char < 0 || char > 0x7f {
		return noDigit, next
	}
	return e.values[char], next
}

// lookInRun looks into a run of n digits, if it is long enough or open: cut off.
func (s *search) lookInRun(e *encoding, r reader, begins, ends, n, times int, open bool) {
	if n < e.least && (!open || n == 0) || s.left < 0 {
		return
	}
	s.left -= n
	s.digits, s.digitPlaces = s.digits[:0], s.digitPlaces[:0]
	for place := begins; place < ends; {
		value, next := e.digit(&r, place, times)
		if value < ignored {
			s.digits, s.digitPlaces = append(s.digits, value), append(s.digitPlaces, span{place, next})
		}
		place = next
	}
	// Where bytes begin is not known: at any digit of a group.
	for skip := 0; skip < e.group && s.left >= 0; skip++ {
		s.lookInto(e, skip, open)
	}
}

// lookInto decodes a run but for its first digits.
func (s *search) lookInto(e *encoding, skip int, open bool) {
	s.decoded, s.places = s.decoded[:0], s.places[:0]
	held, bits := 0, 0
	for i := skip; i < len(s.digits); i++ {
		held, bits = held<<e.bits|int(s.digits[i]), bits+e.bits
		if bits < 8 {
			continue
		}
		bits -= 8
		s.decoded = append(s.decoded, byte(held>>bits))
		held &= 1<<bits - 1
		first := skip + len(s.places)*8/e.bits
		s.places = append(s.places, span{s.digitPlaces[first].from, s.digitPlaces[i].to})
	}
	s.look(reader{text: s.decoded}, s.places, open)
}

// sextets are the digits of base64 in both its alphabets, nibbles those of
// hexadecimal.
var sextets, nibbles = func() (sextets, nibbles [256]byte) {
	for i := range sextets {
		sextets[i], nibbles[i] = noDigit, noDigit
		if digit := digitOf(character(i)); digit < 16 {
			nibbles[i] = byte(digit)
		}
		if isIgnored(character(i)) {
			sextets[i], nibbles[i] = ignored, ignored
		}
	}
	for i, char := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		sextets[char] = byte(i)
	}
	sextets['-'], sextets['_'] = sextets['+'], sextets['/']
	return sextets, nibbles
}()
