package job

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostAllowed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		allowed, target string
		want            bool
	}{
		{"api.example.com", "https://api.example.com/x", true},
		{"api.example.com", "https://API.example.com:443/", true},
		{"http://api.example.com", "http://API.example.com/", true},
		{"http://api.example.com:8080", "http://api.example.com:8080/", true},
		{"http://*.example.com", "http://a.example.com/", true},
		{"api.example.com", "https://api.example.com./", true},
		{"api.example.com:8443", "https://api.example.com:8443/", true},
		{"api.example.com:443", "https://api.example.com/", true},
		{"*.example.com", "https://a.b.example.com/", true},
		{"*.example.com:8443", "https://a.example.com:8443/", true},
		{"http://[2001:db8::1]:80", "http://[2001:db8::1]/", true},
		{"[2001:db8::1]", "https://[2001:db8::1]/", true},
		{"127.0.0.1", "http://127.0.0.1:9/", true},
		{"127.0.0.1:9", "http://127.0.0.1:9/", true},
		{"127.0.0.1", "https://127.0.0.1/", true},
		{"[::1]", "http://[::1]:9/", true},
		{"localhost", "http://localhost:9/", true},

		{"api.example.com", "http://api.example.com/", false},
		{"api.example.com", "http://api.example.com:443/", false},
		{"api.example.com", "https://api.example.com:8080/", false},
		{"api.example.com:8443", "http://api.example.com:8443/", false},
		{"http://api.example.com", "https://api.example.com/", false},
		{"http://api.example.com", "http://api.example.com:8080/", false},
		{"http://api.example.com", "http://x.api.example.com/", false},
		{"*.example.com", "http://a.example.com/", false},
		{"10.0.0.1", "http://10.0.0.1/", false},
		{"127.0.0.1:9", "http://127.0.0.1:10/", false},
		{"http://127.0.0.1", "https://127.0.0.1/", false},
		{"localhost", "http://localhost.example.com/", false},

		{"api.example.com", "https://example.com/", false},
		{"api.example.com", "https://x.api.example.com/", false},
		{"api.example.com", "https://api.example.com.evil.test/", false},
		{"api.example.com", "https://evilapi.example.com/", false},
		{"api.example.com", "https://evil.test/api.example.com", false},
		{"api.example.com", "https://evil.test/?api.example.com", false},
		{"api.example.com:8443", "https://api.example.com/", false},
		{"api.example.com:443", "http://api.example.com/", false},
		{"*.example.com", "https://example.com/", false},
		{"*.example.com", "https://evilexample.com/", false},
		{"*.example.com", "https://x.example.com.evil.test/", false},
		{"*.example.com:8443", "https://a.example.com/", false},
		{"127.0.0.1", "http://127.0.0.11/", false},
	} {
		target, err := url.Parse(test.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := HostAllowed([]string{"other.test", test.allowed}, target); got != test.want {
			t.Errorf("%s at %s: %t", test.allowed, test.target, got)
		}
	}
	if HostAllowed(nil, &url.URL{Scheme: "https", Host: "example.com"}) {
		t.Error("no host is allowed, and one is")
	}
}

func TestWorkspaceSecretFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secret WorkspaceSecret
		field  string // "": fine
	}{
		"fine":               {WorkspaceSecret{Name: "A_1", Value: "v", AllowedHosts: []string{"Example.com", "*.example.com", "[::1]:80"}}, ""},
		"longest":            {WorkspaceSecret{Name: strings.Repeat("a", 64), Value: strings.Repeat("ä", MaxSecretValue), AllowedHosts: []string{"a"}}, ""},
		"no name":            {WorkspaceSecret{Value: "v", AllowedHosts: []string{"a"}}, "name"},
		"digit first":        {WorkspaceSecret{Name: "1A", Value: "v", AllowedHosts: []string{"a"}}, "name"},
		"odd letter":         {WorkspaceSecret{Name: "A-B", Value: "v", AllowedHosts: []string{"a"}}, "name"},
		"long name":          {WorkspaceSecret{Name: strings.Repeat("a", 65), Value: "v", AllowedHosts: []string{"a"}}, "name"},
		"no value":           {WorkspaceSecret{Name: "A", AllowedHosts: []string{"a"}}, "value"},
		"too long":           {WorkspaceSecret{Name: "A", Value: strings.Repeat("v", MaxSecretValue+1), AllowedHosts: []string{"a"}}, "value"},
		"not text":           {WorkspaceSecret{Name: "A", Value: "\xff", AllowedHosts: []string{"a"}}, "value"},
		"NUL":                {WorkspaceSecret{Name: "A", Value: "a\x00", AllowedHosts: []string{"a"}}, "value"},
		"the mask":           {WorkspaceSecret{Name: "A", Value: Mask, AllowedHosts: []string{"a"}}, "value"},
		"another's name":     {WorkspaceSecret{Name: "A", Value: "x{{secret.B}}", AllowedHosts: []string{"a"}}, "value"},
		"no host":            {WorkspaceSecret{Name: "A", Value: "v"}, "allowedHosts"},
		"too many hosts":     {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: make([]string, MaxAllowedHosts+1)}, "allowedHosts"},
		"everybody":          {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"*"}}, "allowedHosts[0]"},
		"a whole domain":     {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"*.com"}}, "allowedHosts[0]"},
		"with a final dot":   {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"*.com."}}, "allowedHosts[0]"},
		"below an address":   {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"*.10.0.0.1"}}, "allowedHosts[0]"},
		"a star inside":      {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"a.*.example.com"}}, "allowedHosts[0]"},
		"two stars":          {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"*.*.example.com"}}, "allowedHosts[0]"},
		"a user":             {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"u@example.com"}}, "allowedHosts[0]"},
		"a path":             {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"example.com/x"}}, "allowedHosts[0]"},
		"with a scheme":      {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"https://example.com", "HTTP://example.com:8080", "http://*.example.com"}}, ""},
		"another scheme":     {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"ftp://example.com"}}, "allowedHosts[0]"},
		"no scheme":          {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"://example.com"}}, "allowedHosts[0]"},
		"two schemes":        {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"http://http://example.com"}}, "allowedHosts[0]"},
		"a scheme alone":     {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"http://"}}, "allowedHosts[0]"},
		"everybody, plainly": {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"http://*.com"}}, "allowedHosts[0]"},
		"a URL":              {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"https://example.com/"}}, "allowedHosts[0]"},
		"an octal address":   {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"0177.0.0.1"}}, "allowedHosts[0]"},
		"one of several bad": {WorkspaceSecret{Name: "A", Value: "v", AllowedHosts: []string{"a.test", ""}}, "allowedHosts[1]"},
	} {
		fields := []string{}
		for _, f := range fieldsOf(test.secret.Check()) {
			fields = append(fields, f.Name)
		}
		want := []string{}
		if test.field != "" {
			want = append(want, test.field)
		}
		if diff := cmp.Diff(want, fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAllowedHostsHaveOneForm(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		" Example.com ": "example.com", "https://Example.com": "example.com", "HTTPS://*.example.com:8443": "*.example.com:8443",
		"HTTP://Example.com": "http://example.com", "http://*.Example.com": "http://*.example.com", "http://[::1]:80": "http://[::1]:80",
	} {
		if got, ok := allowedHost(entry); got != want || !ok {
			t.Errorf("%q became %q, %t", entry, got, ok)
		}
	}
}

func TestURLsThatNameSecrets(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{ // "": refused
		"https://Example.com/{{secret.A}}/x?k={{secret.B}}&l={{secret.A}}": "https://example.com/{{secret.A}}/x?k={{secret.B}}&l={{secret.A}}",
		"https://example.com?k={{secret.A}}":                               "https://example.com/?k={{secret.A}}",
		"https://example.com/secret1-/{{secret.A}}":                        "https://example.com/secret1-/{{secret.A}}",
		"https://SECRETX1-evil.example/secret/{{secret.A}}":                "https://secretx1-evil.example/secret/{{secret.A}}",
		"https://\uff53ecretx1-evil.example/{{secret.A}}":                  "https://secretx1-evil.example/{{secret.A}}",
		"https://example.com/#{{secret.A}}":                                "https://example.com/",

		"https://{{secret.A}}/":                           "",
		"https://{{secret.A}}.example.com/":               "",
		"https://example.com:{{secret.A}}/":               "",
		"https://example.com{{secret.A}}/":                "",
		"https://{{secret.A}}@example.com/":               "",
		"https://user:{{secret.A}}@example.com/":          "",
		"{{secret.A}}://example.com/":                     "",
		"{{secret.A}}":                                    "",
		"https:{{secret.A}}":                              "",
		"https:/{{secret.A}}":                             "",
		`https:\\{{secret.A}}`:                            "",
		"https://example.com/{{secret.}}":                 "",
		"https://example.com/{{secret.1A}}":               "",
		"https://example.com/{{secret.A B}}":              "",
		"https://example.com/{{secret.A":                  "",
		"https://example.com/{{secret.{{secret.A}}}}":     "",
		"ftp://example.com/{{secret.A}}":                  "",
		"https://127.1/{{secret.A}}":                      "",
		"https://example.com/\r\n{{secret.A}}":            "",
		"https://example.com/{{secret.A}}" + longPath():   "",
		"https://example.com/" + "{{secret.\u0410}}":      "",
		"https://example.com\\@evil.test/{{secret.A}}":    "",
		"https://example.com/a\\b?k={{secret.A}}":         "",
		"https://evil.test?@example.com/\x00{{secret.A}}": "",
	} {
		got, err := storedURL(raw)
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken, as %q", raw, got)
			}
			continue
		}
		again, err2 := storedURL(got)
		if err != nil || got != want || err2 != nil || again != got {
			t.Errorf("%q: %q, %v; again %q, %v", raw, got, err, again, err2)
		}
	}
}

func longPath() string { return strings.Repeat("a", maxURL) }

// TestWhatIsShownOfASecretHeader shows what only names secrets, and hides what may
// be one.
func TestWhatIsShownOfASecretHeader(t *testing.T) {
	t.Parallel()
	for value, shown := range map[string]bool{
		"{{secret.A}}": true, "Bearer {{secret.A}}": true, "{{secret.A}}{{secret.B}}": true, "Basic {{secret.A}}{{secret.B}}": true,
		"":                            false,
		"hunter2":                     false,
		"hunter2{{secret.A}}":         false,
		"{{secret.A}}hunter2":         false,
		"Bearer hunter2 {{secret.A}}": false,
		"Bearer {{secret.A}} hunter2": false,
		"hunter2 {{secret.A}}":        false,
		"{{secret.A}} hunter2":        false,
		"{{secret.}}":                 false,
		"{{secret.A}}{{secret.":       false,
		"averylongwordthatmaybeaword {{secret.A}}": false,
		"{{secret.A}}:hunter2":                     false,
	} {
		request := Request{Headers: map[string]string{"Authorization": value}}
		if got := request.Masked().Headers["Authorization"]; (got == value && value != Mask) != shown {
			t.Errorf("%q reads as %q", value, got)
		}
	}
}
