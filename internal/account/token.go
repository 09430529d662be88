package account

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MinKeyBytes is the shortest key that tokens may be signed with.
const MinKeyBytes = 32

// What the product's access tokens say of themselves.
const (
	issuer      = "cron-jobs"
	apiAudience = "cron-jobs-api"
	jwtType     = "at+jwt"
	// And its tickets for the stream of the history.
	ticketAudience = "cron-jobs-stream"
	ticketType     = "ticket+jwt"
	// tokenLeeway is how far the clocks of two servers may be apart.
	tokenLeeway = 5 * time.Second
	// maxToken bounds what is decoded of a client's header; ours have some 300
	// bytes.
	maxToken = 2048
)

// errToken is any fault of a token: a client learns no more than that.
var errToken = errors.New("account: the token is not valid")

// errUnknownKey is the fault of a token that names a key that is not known; to a
// client it is any other.
var errUnknownKey = fmt.Errorf("%w: its key is not known", errToken)

// signingKey is a secret with the keys that are derived from it, one for each
// purpose.
type signingKey struct {
	id      string // kid: tells keys apart and nothing about them
	access  []byte
	refresh []byte
	ticket  []byte
}

func newSigningKey(secret []byte) (signingKey, error) {
	if len(secret) < MinKeyBytes {
		return signingKey{}, fmt.Errorf("account: a signing key needs at least %d bytes", MinKeyBytes)
	}
	var key signingKey
	for purpose, into := range map[string]*[]byte{"access token": &key.access, "refresh token": &key.refresh, "stream ticket": &key.ticket} {
		derived, err := hkdf.Key(sha256.New, secret, nil, "cron-jobs "+purpose, sha256.Size)
		if err != nil {
			return signingKey{}, fmt.Errorf("account: derive key: %w", err)
		}
		*into = derived
	}
	sum := hmac.New(sha256.New, secret)
	sum.Write([]byte("cron-jobs key id"))
	key.id = base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:6])
	return key, nil
}

// accessClaims are what an access token claims. Role, name and address are not
// among them: they are read from the database at every request.
type accessClaims struct {
	SessionID    int64 `json:"sid"`
	TokenVersion int   `json:"ver"`
	jwt.RegisteredClaims
}

// accessTokens issues access tokens and reads them.
type accessTokens struct {
	keys     []signingKey // the first signs, all verify
	lifetime time.Duration
	// tickets makes them tickets instead: of another type, for another
	// audience and signed with another key, so that neither serves as the other.
	tickets bool
}

func (t accessTokens) typ() (typ, audience string) {
	if t.tickets {
		return ticketType, ticketAudience
	}
	return jwtType, apiAudience
}

func (t accessTokens) key(of signingKey) []byte {
	if t.tickets {
		return of.ticket
	}
	return of.access
}

func (t accessTokens) issue(user User, sessionID int64, now time.Time) (string, error) {
	typ, audience := t.typ()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, accessClaims{
		SessionID:    sessionID,
		TokenVersion: user.TokenVersion,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    issuer,
			Audience:  jwt.ClaimStrings{audience},
			Subject:   strconv.FormatInt(user.ID, 10),
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(t.lifetime)),
		},
	})
	token.Header["typ"] = typ
	token.Header["kid"] = t.keys[0].id
	signed, err := token.SignedString(t.key(t.keys[0]))
	if err != nil {
		return "", fmt.Errorf("account: sign token: %w", err)
	}
	return signed, nil
}

// accessToken is what a well-signed token says.
type accessToken struct {
	userID       int64
	sessionID    int64
	tokenVersion int
	// expired marks a token that was good once: it authenticates nobody, but
	// names a session that may be ended.
	expired bool
}

func (t accessTokens) read(token string, now time.Time) (accessToken, error) {
	if len(token) == 0 || len(token) > maxToken || strings.ContainsFunc(token, notInToken) {
		return accessToken{}, errToken
	}
	_, audience := t.typ()
	var claims accessClaims
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithNotBeforeRequired(),
		jwt.WithLeeway(tokenLeeway),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return now }),
	).ParseWithClaims(token, &claims, t.verifyingKey)
	expired := false
	if err != nil {
		if errors.Is(err, errUnknownKey) {
			return accessToken{}, errUnknownKey
		}
		// The parser joins all that it found: expiry must be the only fault.
		if !errors.Is(err, jwt.ErrTokenExpired) || errors.Is(err, jwt.ErrTokenInvalidIssuer) ||
			errors.Is(err, jwt.ErrTokenInvalidAudience) || errors.Is(err, jwt.ErrTokenNotValidYet) ||
			errors.Is(err, jwt.ErrTokenRequiredClaimMissing) {
			return accessToken{}, errToken
		}
		expired = true
	}
	userID, err := strconv.ParseInt(claims.Subject, 10, 64)
	if err != nil || userID < 1 || claims.SessionID < 1 {
		return accessToken{}, errToken
	}
	return accessToken{
		userID: userID, sessionID: claims.SessionID, tokenVersion: claims.TokenVersion, expired: expired,
	}, nil
}

// notInToken reports what is neither base64 for URLs nor a dot: decoders pass over
// ends of lines, and one token would have many spellings.
func notInToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// verifyingKey picks the key that the token names.
func (t accessTokens) verifyingKey(token *jwt.Token) (any, error) {
	wanted, _ := t.typ()
	if typ, _ := token.Header["typ"].(string); typ != wanted {
		return nil, errToken
	}
	if _, critical := token.Header["crit"]; critical {
		return nil, errToken
	}
	kid, _ := token.Header["kid"].(string)
	for _, key := range t.keys {
		if key.id == kid {
			return t.key(key), nil
		}
	}
	return nil, errUnknownKey
}
