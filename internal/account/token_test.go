package account

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var issuedAt = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func testKey(t *testing.T, letter string) signingKey {
	t.Helper()
	key, err := newSigningKey([]byte(strings.Repeat(letter, MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeysMustBeLong(t *testing.T) {
	t.Parallel()
	if _, err := newSigningKey(bytes.Repeat([]byte("k"), MinKeyBytes-1)); err == nil {
		t.Error("a key of 31 bytes is taken")
	}
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	key := testKey(t, "k")
	tokens := accessTokens{keys: []signingKey{key}, lifetime: 15 * time.Minute}
	good, err := tokens.issue(User{ID: 7, TokenVersion: 3}, 42, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(method jwt.SigningMethod, with any, header, claims map[string]any) string {
		all := jwt.MapClaims{
			"iss": issuer, "aud": apiAudience, "sub": "7", "sid": 42, "ver": 3,
			"iat": issuedAt.Unix(), "nbf": issuedAt.Unix(), "exp": issuedAt.Add(15 * time.Minute).Unix(),
		}
		for name, value := range claims {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		token := jwt.NewWithClaims(method, all)
		token.Header["typ"], token.Header["kid"] = jwtType, key.id
		for name, value := range header {
			token.Header[name] = value
		}
		signed, err := token.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	hs := func(header, claims map[string]any) string {
		return forge(jwt.SigningMethodHS256, key.access, header, claims)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := testKey(t, "o")
	type claims = map[string]any
	for name, tc := range map[string]struct {
		token   string
		at      time.Duration // after it was issued
		good    bool
		expired bool
	}{
		"as issued":             {token: good, good: true},
		"forged like it":        {token: hs(nil, nil), good: true}, // shows that the forger works
		"in its last second":    {token: good, at: 15*time.Minute - time.Second, good: true},
		"within the leeway":     {token: good, at: 15*time.Minute + 4*time.Second, good: true},
		"expired":               {token: good, at: 15*time.Minute + 6*time.Second, good: true, expired: true},
		"not yet":               {token: good, at: -time.Minute},
		"empty":                 {token: ""},
		"nonsense":              {token: "a.b.c"},
		"endless":               {token: strings.Repeat("a", 1<<20)},
		"signature cut":         {token: good[:len(good)-1]},
		"signature dropped":     {token: good[:strings.LastIndex(good, ".")+1]},
		"expired and unsigned":  {token: good[:len(good)-4] + "AAAA", at: time.Hour},
		"none":                  {token: forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil)},
		"RS256":                 {token: forge(jwt.SigningMethodRS256, rsaKey, nil, nil)},
		"HS512 with our key":    {token: forge(jwt.SigningMethodHS512, key.access, nil, nil)},
		"another key":           {token: forge(jwt.SigningMethodHS256, other.access, nil, nil)},
		"the refresh key":       {token: forge(jwt.SigningMethodHS256, key.refresh, nil, nil)},
		"the bare secret":       {token: forge(jwt.SigningMethodHS256, []byte(strings.Repeat("k", MinKeyBytes)), nil, nil)},
		"another key's id":      {token: hs(claims{"kid": other.id}, nil)},
		"no key id":             {token: hs(claims{"kid": nil}, nil)},
		"typ JWT":               {token: hs(claims{"typ": "JWT"}, nil)},
		"critical extension":    {token: hs(claims{"crit": []string{"b64"}}, nil)},
		"another issuer":        {token: hs(nil, claims{"iss": "elsewhere"})},
		"no issuer":             {token: hs(nil, claims{"iss": nil})},
		"another apiAudience":   {token: hs(nil, claims{"aud": "elsewhere"})},
		"no apiAudience":        {token: hs(nil, claims{"aud": nil})},
		"no expiry":             {token: hs(nil, claims{"exp": nil})},
		"no nbf":                {token: hs(nil, claims{"nbf": nil})},
		"expired and elsewhere": {token: hs(nil, claims{"iss": "elsewhere"}), at: time.Hour},
		"no subject":            {token: hs(nil, claims{"sub": nil})},
		"subject is no number":  {token: hs(nil, claims{"sub": "admin"})},
		"no session":            {token: hs(nil, claims{"sid": nil})},
	} {
		got, err := tokens.read(tc.token, issuedAt.Add(tc.at))
		if (err == nil) != tc.good {
			t.Errorf("%s: err = %v", name, err)
			continue
		}
		if want := (accessToken{userID: 7, sessionID: 42, tokenVersion: 3, expired: tc.expired}); tc.good && got != want {
			t.Errorf("%s: read %+v", name, got)
		}
	}
}

func TestAKeyIsReplacedWithoutSigningAnyoneOut(t *testing.T) {
	t.Parallel()
	old, fresh := testKey(t, "o"), testKey(t, "f")
	before := accessTokens{keys: []signingKey{old}, lifetime: time.Minute}
	during := accessTokens{keys: []signingKey{fresh, old}, lifetime: time.Minute}
	after := accessTokens{keys: []signingKey{fresh}, lifetime: time.Minute}
	issue := func(by accessTokens) string {
		token, err := by.issue(User{ID: 1}, 1, issuedAt)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, tc := range map[string]struct {
		token string
		by    accessTokens
		good  bool
	}{
		"old token during":     {issue(before), during, true},
		"new token during":     {issue(during), during, true},
		"new token after":      {issue(during), after, true}, // the previous key never signs
		"old token after":      {issue(before), after, false},
		"new token to the old": {issue(during), before, false},
	} {
		if _, err := tc.by.read(tc.token, issuedAt); (err == nil) != tc.good {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}
