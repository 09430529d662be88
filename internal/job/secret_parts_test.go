package job

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// TestSecretsInParts takes apart what targets take apart, and give back so.
func TestSecretsInParts(t *testing.T) {
	t.Parallel()
	header := func(name, value string) Request { return Request{Headers: map[string]string{name: value}} }
	secretBody := func(text string) Request { return Request{Body: []byte(text), BodySecret: true} }
	for name, tc := range map[string]struct {
		request Request
		hidden  []string
		shown   []string
	}{
		"cookies":              {header("Cookie", "session=c00kie; theme=dark;q=\"quo\\\"ted\"; e=a%2Fb%20c"), []string{"c00kie", "dark", `quo"ted`, "a/b c", "session=c00kie; theme=dark;q=\"quo\\\"ted\"; e=a%2Fb%20c"}, []string{"session", "theme"}},
		"a bearer":             {header("Authorization", "Bearer abc.def"), []string{"Bearer abc.def", "abc.def"}, []string{"Bearer"}},
		"basic":                {header("Authorization", "bAsic "+base64.StdEncoding.EncodeToString([]byte("ada:pa:ss"))), []string{"ada:pa:ss", "pa:ss"}, []string{"ada"}},
		"basic, no padding":    {header("Authorization", "Basic "+base64.RawStdEncoding.EncodeToString([]byte("ada:pass"))), []string{"pass"}, nil},
		"a token's parameters": {header("Authorization", `Token token="hunter2", nonce="12,34"`), []string{"hunter2", "12,34"}, []string{"Token"}},
		"digest":               {header("Authorization", `Digest username="ada", realm="all", uri="/x", response="6629fae4"`), []string{"6629fae4"}, []string{"ada", "all", "/x"}},
		"AWS":                  {header("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/2026, SignedHeaders=host;date, Signature=fe5f80"), []string{"fe5f80", "AKIA/2026"}, []string{"host"}},
		"JSON in a header":     {header("X-Secret", `{"k":"inner"}`), []string{"inner"}, []string{"k"}},
		"a number":             {secretBody(`{"pin":83749261,"small":12,"far":1.50e6,"flag":true}`), []string{"83749261", "1500000"}, []string{"12", "true"}},
		"a number alone":       {secretBody(`83749261`), []string{"83749261"}, nil},
		"nested JSON":          {secretBody(`{"a":[{"b":"deep"},["deeper"]]}`), []string{"deep", "deeper", `{"a":[{"b":"deep"},["deeper"]]}`}, []string{"a", "b"}},
		"a form":               {secretBody(`"user=ada&password=hunter2+x%21"`), []string{"hunter2+x%21", "hunter2 x!", "ada", "user=ada&password=hunter2+x%21"}, []string{"password"}},
		"a form of one":        {secretBody(`"password=hunter2"`), []string{"hunter2"}, nil},
		"JSON in a text":       {secretBody(`"{\"password\": \"hunter2\"}"`), []string{"hunter2", `{"password": "hunter2"}`}, []string{"password"}},
		"JSON in a form":       {secretBody(`"payload=%7B%22k%22%3A%22hunter2%22%7D"`), []string{"hunter2"}, nil},
		"XML":                  {secretBody(`"<a xmlns='urn:x' b='attr'><p>hunter2</p> <q>a&amp;b</q></a>"`), []string{"hunter2", "attr", "a&b"}, []string{"urn:x", "p"}},
		"no XML":               {secretBody(`"<p=hunter2"`), []string{"hunter2"}, nil},
		"no JSON":              {secretBody(`"{p=hunter2"`), []string{"hunter2"}, nil},
		"not secret":           {header("X-Plain", "a=hunter2"), nil, []string{"hunter2", "a=hunter2"}},
		"deep":                 {secretBody(strings.Repeat("[", 5000) + `"hunter2"` + strings.Repeat("]", 5000)), []string{"hunter2"}, nil},
	} {
		got := tc.request.Secrets()
		for _, one := range tc.hidden {
			if !slices.Contains(got, one) {
				t.Errorf("%s: %q is not among %q", name, one, got)
			}
		}
		for _, one := range tc.shown {
			if slices.Contains(got, one) {
				t.Errorf("%s: %q is among %q", name, one, got)
			}
		}
	}
}
