package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// Session is one sign-in: a chain of refresh tokens, of which the newest alone
// is good.
type Session struct {
	ID     int64 // random; names the session in tokens and in the API
	UserID int64
	// Nonce makes the tokens of two sessions differ, whatever their ids.
	Nonce []byte
	// Generation counts the refresh tokens; RefreshHash is the newest one's.
	Generation  int
	RefreshHash []byte
	Remember    bool
	Client      Client
	CreatedAt   time.Time
	RotatedAt   time.Time // when the newest refresh token was issued
	ExpiresAt   time.Time
	EndedAt     *time.Time
}

// EndReason is why a session ended.
type EndReason string

// The reasons.
const (
	EndLogout   EndReason = "logout"
	EndReuse    EndReason = "reuse"    // an old refresh token came back
	EndPassword EndReason = "password" // the password was changed
	EndTooMany  EndReason = "too_many" // others were started, beyond MaxSessions

	EndDeactivated EndReason = "deactivated"
	EndRole        EndReason = "role" // the user was given another role
)

// EndsTokens reports whether what an admin does to a user also ends the user's
// API tokens. A new role does not: tokens follow it.
func (r EndReason) EndsTokens() bool { return r == EndDeactivated || r == EndPassword }

const (
	// MaxSessions is how many sessions of a user are alive at once.
	MaxSessions = 200
	// shortSession is how long a session lasts unused unless it is remembered.
	shortSession = 24 * time.Hour
	// longestSession ends every session, however often it is used.
	longestSession = 30 * 24 * time.Hour
	// retryGrace is how long a refresh token that was just used still answers
	// with its successor: the answer may have been lost on its way.
	retryGrace = 10 * time.Second
)

// alive reports whether the session may be used.
func (s Session) alive(now time.Time) bool { return s.EndedAt == nil && now.Before(s.ExpiresAt) }

// newSession makes a session with a random id and nonce.
func newSession(userID int64, remember bool, client Client, now time.Time) (Session, error) {
	random := make([]byte, 8+16)
	if _, err := rand.Read(random); err != nil {
		return Session{}, fmt.Errorf("account: session id: %w", err)
	}
	const maxID = 1<<53 - 1
	return Session{
		ID:         int64(binary.BigEndian.Uint64(random)%maxID) + 1,
		UserID:     userID,
		Nonce:      random[8:],
		Generation: 1,
		Remember:   remember,
		Client:     client,
		CreatedAt:  now,
		RotatedAt:  now,
	}, nil
}

// refreshTokens derives refresh tokens and recognises them. A token is the
// session's id, a generation, and a code that only a holder of the key can
// have made; what is stored is its hash.
type refreshTokens struct {
	keys     []signingKey // the first derives, all recognise
	remember time.Duration
}

const refreshTokenBytes = 8 + 4 + sha256.Size

// derive makes the token of a session's present generation.
func (t refreshTokens) derive(key signingKey, s Session) []byte {
	token := binary.BigEndian.AppendUint64(nil, uint64(s.ID))
	token = binary.BigEndian.AppendUint32(token, uint32(s.Generation))
	code := hmac.New(sha256.New, key.refresh)
	code.Write(token)
	code.Write(s.Nonce)
	return code.Sum(token)
}

// issue sets the session's hash and its expiry, and returns the token.
func (t refreshTokens) issue(s *Session, now time.Time) string {
	token := t.derive(t.keys[0], *s)
	sum := sha256.Sum256(token)
	s.RefreshHash = sum[:]
	s.RotatedAt = now
	s.ExpiresAt = now.Add(min(shortSession, t.remember))
	if s.Remember {
		s.ExpiresAt = now.Add(t.remember)
	}
	if last := s.CreatedAt.Add(longestSession); s.ExpiresAt.After(last) {
		s.ExpiresAt = last
	}
	return base64.RawURLEncoding.EncodeToString(token)
}

// present returns the token that is good now, derived again; false where no
// known key makes it.
func (t refreshTokens) present(s Session) (string, bool) {
	for _, key := range t.keys {
		token := t.derive(key, s)
		sum := sha256.Sum256(token)
		if hmac.Equal(sum[:], s.RefreshHash) {
			return base64.RawURLEncoding.EncodeToString(token), true
		}
	}
	return "", false
}

// refreshToken is a token as a client sent it, not yet believed.
type refreshToken struct {
	sessionID  int64
	generation int
	bytes      []byte
}

// readRefreshToken is false for what is no token by its form.
func readRefreshToken(text string) (refreshToken, bool) {
	if base64.RawURLEncoding.DecodedLen(len(text)) != refreshTokenBytes {
		return refreshToken{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != refreshTokenBytes {
		return refreshToken{}, false
	}
	token := refreshToken{
		sessionID:  int64(binary.BigEndian.Uint64(raw)),
		generation: int(binary.BigEndian.Uint32(raw[8:])),
		bytes:      raw,
	}
	return token, token.sessionID > 0 && token.generation > 0
}

// genuine reports whether the token is one that the session was given, at
// whatever generation. Only a genuine one may end a session by its reuse.
func (t refreshTokens) genuine(token refreshToken, s Session) bool {
	s.Generation = token.generation
	for _, key := range t.keys {
		if hmac.Equal(t.derive(key, s), token.bytes) {
			return true
		}
	}
	return false
}

// isPresent reports whether the token is the session's newest.
func isPresent(token refreshToken, s Session) bool {
	sum := sha256.Sum256(token.bytes)
	return token.generation == s.Generation && hmac.Equal(sum[:], s.RefreshHash)
}
