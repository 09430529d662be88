package job

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	longest := "https://example.com/" + strings.Repeat("a", maxURL-len("https://example.com/"))
	tests := []struct {
		name string
		raw  string
		want string // "": refused
	}{
		{"plain", "https://example.com/hook?a=1&b=2", "https://example.com/hook?a=1&b=2"},
		{"no path", "https://example.com", "https://example.com"},
		{"no path but a query", "https://example.com?a=1", "https://example.com/?a=1"},
		{"scheme and host in capitals", "HTTPS://Example.COM/Path", "https://example.com/Path"},
		{"port", "http://example.com:8080/", "http://example.com:8080/"},
		{"highest port", "http://example.com:65535/", "http://example.com:65535/"},
		{"fragment is dropped", "http://example.com/a#b", "http://example.com/a"},
		{"single label", "http://localhost:3000/x", "http://localhost:3000/x"},
		{"underscore", "http://my_service/x", "http://my_service/x"},
		{"IPv4", "http://127.0.0.1/x", "http://127.0.0.1/x"},
		{"IPv6", "http://[2001:DB8::0001]:80/x", "http://[2001:db8::1]:80/x"},
		{"international host", "https://bücher.example/ä?q=ä", "https://xn--bcher-kva.example/%C3%A4?q=%C3%A4"},
		{"international host decomposed", "https://bu\u0308cher.example/", "https://xn--bcher-kva.example/"},
		{"escaped slash stays", "https://example.com/a%2Fb", "https://example.com/a%2Fb"},
		{"label that begins with a number", "http://1password.example/", "http://1password.example/"},
		{"trailing dot", "http://example.com./x", "http://example.com./x"},
		{"longest", longest, longest},

		{"too long", longest + "a", ""},
		{"too long once encoded", "https://example.com/" + strings.Repeat("ä", 1000), ""},
		{"empty", "", ""},
		{"no scheme", "example.com/x", ""},
		{"relative scheme", "//example.com/x", ""},
		{"other scheme", "ftp://example.com/", ""},
		{"file", "file:///etc/passwd", ""},
		{"javascript", "javascript:alert(1)", ""},
		{"opaque", "http:example.com", ""},
		{"no host", "http:///x", ""},
		{"port without host", "http://:80/", ""},
		{"user", "http://user@example.com/", ""},
		{"user and password", "http://user:pass@example.com/", ""},
		{"empty user", "http://@example.com/", ""},
		{"at sign hides the host", "http://example.com@127.0.0.1/", ""},
		{"backslash", `http://example.com\@127.0.0.1/`, ""},
		{"backslashes for slashes", `http:\\example.com\x`, ""},
		{"space", "http://example.com/a b", ""},
		{"backslash in a path", `http://example.com/a\b`, ""},
		{"backslash in a query", `http://example.com/?a\b`, ""},
		{"control of Unicode", "http://example.com/\u0080", ""},
		{"control in a query", "http://example.com/?a=\u009f", ""},
		{"leading space", " http://example.com/", ""},
		{"line end", "http://example.com/\r\nHost: other", ""},
		{"tab in host", "http://exa\tmple.com/", ""},
		{"NUL", "http://example.com/\x00", ""},
		{"zero width space in host", "http://exam\u200bple.com/", ""},
		{"right to left override", "http://example.com/\u202egpj", ""},
		{"not UTF-8", "http://example.com/\xff", ""},
		{"percent in host", "http://%31%32%37.0.0.1/", ""},
		{"encoded host", "http://ex%C3%A4mple.com/", ""},
		{"bad escape in path", "http://example.com/%zz", ""},
		{"octal", "http://0177.0.0.1/", ""},
		{"hexadecimal", "http://0x7f.0.0.1/", ""},
		{"hexadecimal in one", "http://0x7f000001/", ""},
		{"bare 0x", "http://0x/", ""},
		{"decimal in one", "http://2130706433/", ""},
		{"two parts", "http://127.1/", ""},
		{"number too large", "http://127.0.0.256/", ""},
		{"five parts", "http://127.0.0.1.1/", ""},
		{"IPv4 with a trailing dot", "http://127.0.0.1./", ""},
		{"full-width digits", "http://１２７.０.０.１/", ""},
		{"ideographic full stop", "http://127。0。0。1/", ""},
		{"name that ends in a number", "http://example.1/", ""},
		{"IPv6 zone", "http://[fe80::1%25eth0]/", ""},
		{"IPv6 unclosed", "http://[::1/", ""},
		{"IPv4 in brackets", "http://[127.0.0.1]/", ""},
		{"text after brackets", "http://[::1]x:80/", ""},
		{"port 0", "http://example.com:0/", ""},
		{"port too large", "http://example.com:65536/", ""},
		{"empty port", "http://example.com:/", ""},
		{"signed port", "http://example.com:+80/", ""},
		{"port with zeros", "http://example.com:0080/", ""},
		{"two ports", "http://example.com:80:80/", ""},
		{"empty label", "http://example..com/", ""},
		{"only a dot", "http://./", ""},
		{"long label", "http://" + strings.Repeat("a", 64) + ".com/", ""},
		{"long host", "http://" + strings.Repeat("abcdefgh.", 29) + "com/", ""},
		{"semicolon in host", "http://example.com;x/", ""},
		{"quote in host", "http://example.com'/", ""},
		{"broken punycode", "http://xn--a/", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseURL(test.raw)
			switch {
			case test.want == "" && err == nil:
				t.Fatalf("accepted as %s", got)
			case test.want == "":
				if len(test.raw) > 20 && strings.Contains(err.Error(), test.raw[:20]) {
					t.Errorf("the message echoes the value: %v", err)
				}
			case err != nil:
				t.Fatal(err)
			case got.String() != test.want:
				t.Errorf("got %s, want %s", got, test.want)
			default:
				again, err := parseURL(got.String())
				if err != nil || again.String() != test.want {
					t.Errorf("the stored form is not a fixed point: %v, %v", again, err)
				}
			}
		})
	}
}

func TestOriginMoved(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, before, after string
		want                bool
	}{
		{"same", "https://a.example/x", "https://a.example/y?z", false},
		{"default port written out", "https://a.example/", "https://a.example:443/", false},
		{"host", "https://a.example/", "https://b.example/", true},
		{"subdomain", "https://a.example/", "https://x.a.example/", true},
		{"scheme", "https://a.example/", "http://a.example/", true},
		{"scheme with the same port", "https://a.example:80/", "http://a.example/", true},
		{"port", "https://a.example/", "https://a.example:8443/", true},
		{"new job", "", "https://a.example/", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := originMoved(test.before, test.after); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
