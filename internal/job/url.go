package job

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxURL bounds the URL as it was written and as it is stored.
const maxURL = 2048

// parseURL reads a target's URL once, strictly, and returns it with the host
// in its one canonical form. The string of the result is what is stored and
// called: nothing reads the user's text again. Errors are safe to show.
//
// Whether the host's address may be called is decided when a connection is
// made, not here: a name can point anywhere by then. Refused here is what
// different parsers read differently.
func parseURL(raw string) (*url.URL, error) {
	switch {
	case raw == "":
		return nil, errors.New("must not be empty")
	case utf8.RuneCountInString(raw) > maxURL:
		return nil, errURLTooLong
	case !utf8.ValidString(raw), strings.IndexFunc(raw, notInURL) >= 0:
		return nil, errors.New("must not hold spaces, control characters or backslashes; percent-encode them")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("is not a valid URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("must begin with http:// or https://")
	}
	if u.Opaque != "" || u.Host == "" {
		return nil, errors.New("must name a host")
	}
	if u.User != nil {
		return nil, errors.New("must not hold a user name or password; send an Authorization header instead")
	}
	if u.Host, err = canonicalHost(authority(raw)); err != nil {
		return nil, err
	}
	u.Fragment, u.RawFragment = "", "" // never sent
	u.RawQuery = encodeQuery(u.RawQuery)
	if u.Path == "" && u.RawQuery != "" {
		u.Path = "/" // as it is sent; the host ends at the first slash
	}
	if len(u.String()) > maxURL {
		return nil, errURLTooLong
	}
	return u, nil
}

var errURLTooLong = errors.New("must have at most " + strconv.Itoa(maxURL) + " characters")

func notInURL(r rune) bool {
	return r == '\\' || r == utf8.RuneError || unicode.IsControl(r) || unicode.IsSpace(r) ||
		unicode.Is(unicode.Cf, r)
}

// authority is the text between the scheme and the path, as it was written:
// url.Parse has decoded percent signs in its own host.
func authority(raw string) string {
	_, rest, _ := strings.Cut(raw, "//")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// afterHost is a URL's text from the path on.
func afterHost(stored string) string {
	_, rest, _ := strings.Cut(stored, "//")
	return strings.TrimPrefix(rest, authority(stored))
}

// canonicalHost returns host, or host:port, in the one form that is stored.
func canonicalHost(text string) (string, error) {
	if strings.ContainsAny(text, "%@") {
		return "", errors.New("must not hold percent signs or @ in its host")
	}
	if strings.HasPrefix(text, "[") {
		return canonicalIPv6(text)
	}
	name, port, hasPort := strings.Cut(text, ":")
	if hasPort {
		if err := checkPort(port); err != nil {
			return "", err
		}
		port = ":" + port
	}
	name, err := canonicalName(name)
	return name + port, err
}

func canonicalIPv6(text string) (string, error) {
	literal, rest, closed := strings.Cut(text[1:], "]")
	addr, err := netip.ParseAddr(literal)
	if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", errors.New("holds an IPv6 address that is not valid")
	}
	if rest != "" {
		if !strings.HasPrefix(rest, ":") {
			return "", errors.New("must not hold anything between its host and its port")
		}
		if err := checkPort(rest[1:]); err != nil {
			return "", err
		}
	}
	return "[" + addr.String() + "]" + rest, nil
}

func checkPort(port string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
		return errors.New("must have a port between 1 and 65535")
	}
	return nil
}

// unicodeHost maps and checks an international name as a browser would.
var unicodeHost = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(true))

// canonicalName returns a DNS name in lower case, an international one in its
// ASCII form, or a plain dotted IPv4 address.
func canonicalName(text string) (string, error) {
	name, international := strings.ToLower(text), false
	for _, r := range text {
		international = international || r >= utf8.RuneSelf
	}
	if international || strings.Contains(name, "xn--") {
		ascii, err := unicodeHost.ToASCII(name)
		if err != nil {
			return "", errors.New("has an international host name that is not valid")
		}
		name = ascii
	}
	relative := strings.TrimSuffix(name, ".")
	labels := strings.Split(relative, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", errors.New("must have a valid host name")
		}
	}
	if len(relative) > 253 {
		return "", errors.New("must have a host name of at most 253 characters")
	}
	if !isNumber(labels[len(labels)-1]) {
		return name, nil
	}
	// A host that ends in a number is an IPv4 address. Only the plain dotted
	// form is taken; 0177.0.0.1, 0x7f.1 and 2130706433 mean different things to
	// different readers, and so does a name that turns into one by mapping.
	if _, err := netip.ParseAddr(name); err != nil || international {
		return "", errors.New("must write an IPv4 address as four decimal numbers")
	}
	return name, nil
}

// isNumber reports a label that some parser takes for a number.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// encodeQuery percent-encodes what must not stand in a request line and leaves
// everything else as it was written.
func encodeQuery(query string) string {
	var out strings.Builder
	for _, b := range []byte(query) {
		if b >= utf8.RuneSelf || b == '"' || b == '<' || b == '>' {
			const digits = "0123456789ABCDEF"
			out.WriteString("%" + string(digits[b>>4]) + string(digits[b&15]))
			continue
		}
		out.WriteByte(b)
	}
	return out.String()
}

// sameOrigin reports whether two URLs that parseURL made share scheme, host
// and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Hostname() == b.Hostname() && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
