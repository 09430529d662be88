package account

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
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
	// written signs a header and claims as they are spelled.
	written := func(header, payload string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		code := hmac.New(sha256.New, key.access)
		code.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(code.Sum(nil))
	}
	header := fmt.Sprintf(`{"alg":"HS256","typ":"at+jwt","kid":%q}`, key.id)
	payload := func(change string) string {
		return fmt.Sprintf(`{"iss":"cron-jobs","aud":"cron-jobs-api","sub":"7","sid":42,"ver":3,"iat":%d,"nbf":%d,"exp":%d%s}`,
			issuedAt.Unix(), issuedAt.Unix(), issuedAt.Add(15*time.Minute).Unix(), change)
	}
	parts := strings.Split(good, ".")
	ticket, err := accessTokens{keys: []signingKey{key}, lifetime: 15 * time.Minute, tickets: true}.issue(User{ID: 7, TokenVersion: 3}, 42, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	session := Session{ID: 42, UserID: 7, Nonce: make([]byte, 16), Generation: 1, CreatedAt: issuedAt}
	refresh := refreshTokens{keys: []signingKey{key}, remember: time.Hour}.issue(&session, issuedAt)
	// The key that an attacker knows: what an address or a header of their own
	// names, or a file that is the same everywhere.
	known := func(header claims) string { return forge(jwt.SigningMethodHS256, []byte("known"), header, nil) }
	empty := func(header claims) string { return forge(jwt.SigningMethodHS256, []byte{}, header, nil) }
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

		"spelled like it": {token: written(header, payload("")), good: true}, // shows that the speller works

		// Keys of the attacker's choice.
		"jwk":                            {token: known(claims{"jwk": claims{"kty": "oct", "k": "a25vd24", "kid": key.id}})},
		"jku":                            {token: known(claims{"jku": "https://evil.example/keys.json"})},
		"x5u":                            {token: known(claims{"x5u": "https://evil.example/cert.pem"})},
		"x5c":                            {token: known(claims{"x5c": []string{"a25vd24="}})},
		"kid that is a path":             {token: empty(claims{"kid": "../../../../dev/null"})},
		"kid that is a statement":        {token: empty(claims{"kid": "' UNION SELECT '' -- "})},
		"kid that is an address":         {token: known(claims{"kid": "https://evil.example/key"})},
		"kid that is empty":              {token: empty(claims{"kid": ""})},
		"kid that is a number":           {token: empty(claims{"kid": 0})},
		"kid that is a list":             {token: known(claims{"kid": []string{key.id}})},
		"kid with a NUL":                 {token: known(claims{"kid": key.id + "\x00"})},
		"our kid and the attacker's key": {token: known(nil)},
		"our kid and an empty key":       {token: empty(nil)},
		"our kid for a key":              {token: forge(jwt.SigningMethodHS256, []byte(key.id), nil, nil)},

		// Algorithms.
		"None":        {token: written(strings.Replace(header, "HS256", "None", 1), payload(""))},
		"nOnE, empty": {token: base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(header, "HS256", "nOnE", 1))) + "." + parts[1] + "."},
		"hs256":       {token: written(strings.Replace(header, "HS256", "hs256", 1), payload(""))},
		"no alg":      {token: written(strings.Replace(header, `"alg":"HS256",`, "", 1), payload(""))},
		"alg a list":  {token: written(strings.Replace(header, `"HS256"`, `["HS256"]`, 1), payload(""))},
		"ES256":       {token: written(strings.Replace(header, "HS256", "ES256", 1), payload(""))},
		"HS384":       {token: forge(jwt.SigningMethodHS384, key.access, nil, nil)},
		"alg twice":   {token: written(strings.Replace(header, `{`, `{"alg":"none",`, 1), payload("")), good: true}, // the last counts, and was signed by us

		// Types, and tokens of other kinds.
		"no typ":             {token: hs(claims{"typ": nil}, nil)},
		"typ in capitals":    {token: hs(claims{"typ": "AT+JWT"}, nil)},
		"typ of a ticket":    {token: hs(claims{"typ": ticketType}, nil)},
		"a ticket":           {token: ticket},
		"a refresh token":    {token: refresh},
		"an API token":       {token: "cj_" + strings.Repeat("A", 43)},
		"a nested token":     {token: base64.RawURLEncoding.EncodeToString([]byte(good))},
		"the ticket key":     {token: forge(jwt.SigningMethodHS256, key.ticket, nil, nil)},
		"encrypted, in five": {token: good + ".a.b"},

		// Form.
		"another segment":      {token: good + ".AAAA"},
		"a dot behind":         {token: good + "."},
		"a dot before":         {token: "." + good},
		"two segments":         {token: parts[0] + "." + parts[1]},
		"padding":              {token: good + "="},
		"space behind":         {token: good + " "},
		"space inside":         {token: parts[0] + ". " + parts[1] + "." + parts[2]},
		"line end inside":      {token: parts[0] + "\n." + parts[1] + "." + parts[2]},
		"line end in the code": {token: good[:len(good)-5] + "\n" + good[len(good)-5:]},
		"unused bits":          {token: good[:len(good)-1] + nextInAlphabet(good[len(good)-1])},
		"standard alphabet":    {token: written(header, payload(`,"pad":"\u00ff~~~???"`)) + "+/"},
		"signed twice":         {token: good + parts[2]},
		"too long":             {token: hs(nil, claims{"pad": strings.Repeat("a", maxToken)})},
		"no JSON":              {token: written(header, "null and more")},
		"a list of claims":     {token: written(header, "["+payload("")+"]")},
		"two texts":            {token: written(header, payload("")+payload(""))},
		"header null":          {token: written("null", payload(""))},
		"deep claims":          {token: written(header, strings.Repeat(`{"a":`, 200)+"1"+strings.Repeat("}", 200))},

		// Times.
		"exp true":           {token: hs(nil, claims{"exp": true})},
		"exp 0":              {token: hs(nil, claims{"exp": 0}), good: true, expired: true},
		"exp negative":       {token: written(header, strings.Replace(payload(""), `"exp":`, `"exp":-`, 1)), good: true, expired: true},
		"exp null":           {token: written(header, payload(`,"exp":null`))},
		"exp without end":    {token: written(header, payload(`,"exp":1e400`))},
		"exp NaN":            {token: written(header, payload(`,"exp":NaN`))},
		"exp a list":         {token: written(header, payload(`,"exp":[9999999999]`))},
		"nbf in an hour":     {token: hs(nil, claims{"nbf": issuedAt.Add(time.Hour).Unix()})},
		"exp before nbf":     {token: hs(nil, claims{"exp": issuedAt.Add(-time.Hour).Unix(), "nbf": issuedAt.Add(time.Hour).Unix()})},
		"exp a moment later": {token: hs(nil, claims{"exp": float64(issuedAt.Unix()) + 0.5}), good: true},

		// Who, and for whom.
		"several audiences of others":  {token: hs(nil, claims{"aud": []string{"a", "b"}})},
		"audience a number":            {token: hs(nil, claims{"aud": 7})},
		"audience in capitals":         {token: hs(nil, claims{"aud": "CRON-JOBS-API"})},
		"audience of tickets":          {token: hs(nil, claims{"aud": ticketAudience})},
		"issuer with more":             {token: hs(nil, claims{"iss": issuer + ".evil"})},
		"issuer a list":                {token: hs(nil, claims{"iss": []string{issuer}})},
		"subject a number":             {token: hs(nil, claims{"sub": 7})},
		"subject 0":                    {token: hs(nil, claims{"sub": "0"})},
		"subject negative":             {token: hs(nil, claims{"sub": "-7"})},
		"subject too large":            {token: hs(nil, claims{"sub": "9223372036854775808"})},
		"session a text":               {token: hs(nil, claims{"sid": "42"})},
		"session negative":             {token: hs(nil, claims{"sid": -42})},
		"session with a fraction":      {token: hs(nil, claims{"sid": 42.5})},
		"session too large":            {token: written(header, payload(`,"sid":1e30`))},
		"expired and of another kind":  {token: hs(claims{"typ": ticketType}, nil), at: time.Hour},
		"expired and for others":       {token: hs(nil, claims{"aud": "elsewhere"}), at: time.Hour},
		"expired and never to be good": {token: hs(nil, claims{"nbf": issuedAt.Add(9 * time.Hour).Unix()}), at: time.Hour},
		"expired and without nbf":      {token: hs(nil, claims{"nbf": nil}), at: time.Hour},
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

// nextInAlphabet is the letter of base64 that differs from one in its last bit
// alone, which the end of a code does not use.
func nextInAlphabet(letter byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, letter)^1])
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

// TestRefreshTokensHaveOneSpelling sends one whose bytes are right, written in
// other ways.
func TestRefreshTokensHaveOneSpelling(t *testing.T) {
	t.Parallel()
	session := Session{ID: 42, Nonce: make([]byte, 16), Generation: 1, CreatedAt: issuedAt}
	text := refreshTokens{keys: []signingKey{testKey(t, "k")}, remember: time.Hour}.issue(&session, issuedAt)
	if token, ok := readRefreshToken(text); !ok || token.sessionID != 42 || token.generation != 1 {
		t.Fatalf("%+v, %t", token, ok)
	}
	for name, other := range map[string]string{
		"unused bits": text[:len(text)-1] + nextInAlphabet(text[len(text)-1]), "padding": text + "=", "a line end": text[:9] + "\n" + text[9:],
		"more": text + "A", "less": text[1:], "space": " " + text, "none": "", "id 0": strings.Repeat("A", len(text)),
	} {
		if token, ok := readRefreshToken(other); ok {
			t.Errorf("%s: read as %+v", name, token)
		}
	}
}
