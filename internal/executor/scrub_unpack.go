package executor

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxUnpacked is how much of a compressed answer is looked into, in bytes. One that
// holds more is hidden.
const maxUnpacked = 1 << 20

// answer returns an answer's body without secrets. Of an incomplete one, what may
// be the beginning of a secret is cut off as well. A compressed body is kept as it
// came where no secret is in it, and hidden otherwise.
func (s *scrubber) answer(header http.Header, body []byte, incomplete bool) []byte {
	if s == nil || len(body) == 0 {
		return body
	}
	codings := codingsOf(header, body)
	if len(codings) == 0 || s.all {
		return s.body(body, incomplete)
	}
	plain, ok := unpacked(codings, body, incomplete)
	if !ok || !s.spares(plain, incomplete) {
		return []byte(hiddenCompressed)
	}
	return s.body(body, incomplete) // and neither as it stands
}

// spares reports whether nothing of a text had to be hidden.
func (s *scrubber) spares(text []byte, incomplete bool) bool {
	found, end, ok := s.find.in(text, incomplete)
	return ok && len(found) == 0 && end == len(text)
}

// codingsOf are the ways in which a body is compressed, as the header says or the
// body shows.
func codingsOf(header http.Header, body []byte) []string {
	var codings []string
	for _, value := range header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			codings = append(codings, strings.ToLower(strings.TrimSpace(coding)))
		}
	}
	codings = slices.DeleteFunc(codings, func(coding string) bool { return coding == "" || coding == "identity" })
	if len(codings) == 0 && isGzip(body) {
		codings = append(codings, "gzip")
	}
	return codings
}

func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte{0x1f, 0x8b}) }

// unpacked decompresses a body. It fails where it cannot be looked into, and for
// what is compressed more than once.
func unpacked(codings []string, body []byte, incomplete bool) ([]byte, bool) {
	if len(codings) != 1 {
		return nil, false
	}
	var reader io.Reader
	var err error
	switch codings[0] {
	case "gzip", "x-gzip":
		reader, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		if reader, err = zlib.NewReader(bytes.NewReader(body)); err != nil { // as many send it
			reader, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	plain, err := io.ReadAll(io.LimitReader(reader, maxUnpacked+1))
	if len(plain) > maxUnpacked || isGzip(plain) {
		return nil, false
	}
	if err != nil && (!incomplete || !errors.Is(err, io.ErrUnexpectedEOF)) {
		return nil, false
	}
	return plain, true
}
