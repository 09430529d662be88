package executor

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cronjobs/cronjobs/internal/job"
)

const (
	// minSecret is the length from which a secret is scrubbed, in bytes. Shorter
	// strings occur everywhere by chance: replacing them would ruin the answer and
	// hide nothing.
	minSecret = 4
	// maxSecrets and maxSecretBytes bound what is looked for in one answer.
	// Requests hold a handful of secrets; only a body that is secret as a whole
	// can hold many, and then so is what repeats it.
	maxSecrets     = 256
	maxSecretBytes = job.MaxSecretParts
	// pieceOf is the length of the pieces by which longer secrets are looked for,
	// in bytes: what repeats a part of one is hidden too.
	pieceOf = 64
)

// What takes the place of an answer that cannot be shown in part.
const (
	hiddenMany       = job.Mask + " The whole answer is hidden: the request holds more secrets than can be looked for in it."
	hiddenEndless    = job.Mask + " The whole answer is hidden: looking for secrets in it would take too long."
	hiddenCompressed = job.Mask + " The whole answer is hidden: it is compressed, which was not asked for, and holds what the request sent or cannot be looked into."
)

// scrubber takes the secrets that a call sends out of the answer to it: many
// targets repeat what they were sent. A nil scrubber changes nothing.
type scrubber struct {
	find *automaton
	all  bool // there are more secrets than can be looked for
}

// newScrubber looks for the secrets, however an answer writes them.
func newScrubber(secrets []string) *scrubber {
	var patterns []string
	known, size := map[string]bool{}, 0
	for _, secret := range secrets {
		if len(secret) > maxSecretBytes { // and so is not taken apart
			return &scrubber{all: true}
		}
		for _, spelling := range spellings(secret) {
			pattern := folded(spelling)
			if len(pattern) < minSecret || known[pattern] {
				continue
			}
			known[pattern], patterns = true, append(patterns, pattern)
			if size += len(pattern); len(patterns) > maxSecrets || size > maxSecretBytes {
				return &scrubber{all: true}
			}
		}
	}
	if len(patterns) == 0 {
		return nil
	}
	find := newAutomaton()
	for _, pattern := range patterns {
		for len(pattern) > 2*pieceOf {
			find.add(pattern[:pieceOf])
			pattern = pattern[pieceOf:]
		}
		find.add(pattern[:min(pieceOf, len(pattern))])
		find.add(pattern[max(0, len(pattern)-pieceOf):])
	}
	find.link()
	return &scrubber{find: find}
}

// spellings are a secret and what targets make of it before they write it down:
// without the escapes that it holds itself, and with its bytes taken for another
// character set's.
func spellings(secret string) []string {
	secret = strings.TrimSpace(secret) // HTTP trims too
	all := []string{secret}
	if plain := withoutPercents(secret); plain != secret {
		all = append(all, plain)
	}
	for _, text := range all {
		if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
			continue
		}
		for _, text := range []string{text, strings.ToUpper(text), strings.ToLower(text)} {
			var misread []rune
			for _, b := range []byte(text) {
				misread = append(misread, rune(b))
			}
			all = append(all, text, string(misread))
			if latin, ok := inLatin(text); ok {
				all = append(all, latin)
			}
		}
	}
	return all
}

// inLatin writes a text in ISO 8859-1, where that can.
func inLatin(text string) (string, bool) {
	var out []byte
	for _, r := range text {
		if r > 0xff {
			return "", false
		}
		out = append(out, byte(r))
	}
	return string(out), true
}

// withoutPercents decodes percent escapes, and leaves what looks like one and is
// none.
func withoutPercents(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	out := make([]byte, 0, len(text))
	for at := 0; at < len(text); {
		if char, next := readPercent([]byte(text), at+1, 0); text[at] == '%' && next > 0 {
			out, at = append(out, char.bytes()...), next
			continue
		}
		out = append(out, text[at])
		at++
	}
	return string(out)
}

// span is a part of a text.
type span struct{ from, to int }

// body returns the body without secrets. Of an incomplete one, what may be the
// beginning of a secret is cut off as well.
func (s *scrubber) body(body []byte, incomplete bool) []byte {
	if s == nil || len(body) == 0 {
		return body
	}
	if s.all {
		return []byte(hiddenMany)
	}
	found, end, ok := s.find.in(body, incomplete)
	if !ok {
		return []byte(hiddenEndless)
	}
	return masked(body[:end], found)
}

// masked replaces spans, which are in order and apart, by the mask.
func masked(text []byte, hidden []span) []byte {
	if len(hidden) == 0 {
		return text
	}
	out := make([]byte, 0, len(text)+len(job.Mask)*len(hidden))
	shown := 0
	for _, one := range hidden {
		if one.from >= len(text) {
			break
		}
		out = append(append(out, text[shown:one.from]...), job.Mask...)
		shown = min(one.to, len(text))
	}
	return append(out, text[shown:]...)
}

// holds reports whether a text has, or may have, a secret in it.
func (s *scrubber) holds(text string) bool {
	if s == nil {
		return false
	}
	if s.all {
		return true
	}
	found, _, ok := s.find.in([]byte(text), false)
	return !ok || len(found) > 0
}

// header returns the header without secrets. Names stay as they are.
func (s *scrubber) header(header http.Header) http.Header {
	if s == nil {
		return header
	}
	clean := header.Clone()
	for _, values := range clean {
		for i, value := range values {
			values[i] = s.value(value)
		}
	}
	return clean
}

// value is a header's value without secrets.
func (s *scrubber) value(value string) string {
	if s.all {
		return job.Mask
	}
	found, _, ok := s.find.in([]byte(value), false)
	switch {
	case !ok:
		return job.Mask
	case len(found) == 0:
		return value
	}
	return string(masked([]byte(value), found))
}

// inOrder sorts spans, and makes one of those that overlap or touch.
func inOrder(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	joined := spans[:0]
	for _, one := range spans {
		if last := len(joined) - 1; last >= 0 && one.from <= joined[last].to {
			joined[last].to = max(joined[last].to, one.to)
			continue
		}
		joined = append(joined, one)
	}
	return joined
}
