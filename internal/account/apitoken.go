package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// Scope is what an API token is good for. It adds nothing to what its owner's
// role allows.
type Scope string

// The scopes, none of which includes another.
const (
	ReadScope    Scope = "read"    // reading, and previews
	WriteScope   Scope = "write"   // changing categories and jobs
	ExecuteScope Scope = "execute" // running, replaying, pausing and resuming
)

// Scopes are all scopes.
var Scopes = []Scope{ReadScope, WriteScope, ExecuteScope}

// APIToken is what a person lets a script sign in with. It is never more than
// its owner at the time it is used: a new role holds for it at once, it ends
// when its owner is deactivated or an admin resets the owner's password, and
// stays when the owner changes the password.
type APIToken struct {
	ID     int64
	UserID int64
	Name   string
	// Prefix is the beginning of the token, by which its owner tells it apart.
	Prefix string
	// Hash is all that is known of the token itself.
	Hash       [sha256.Size]byte
	Scopes     []Scope // in the order of Scopes
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt *time.Time // within tokenUse; nil: never
	RevokedAt  *time.Time
}

// Allows reports whether the token is good for a scope.
func (t APIToken) Allows(scope Scope) bool { return slices.Contains(t.Scopes, scope) }

func (t APIToken) alive(now time.Time) bool { return t.RevokedAt == nil && now.Before(t.ExpiresAt) }

const (
	// MaxAPITokens is how many tokens a user may have, expired ones included.
	MaxAPITokens = 50
	// TokenUse is how exactly the last use of a token is known: it is stored
	// at most once in so long.
	TokenUse = time.Minute
	// TokenMemory is how long a token that is over is remembered.
	TokenMemory = 30 * 24 * time.Hour
	// longestToken is how many years a token may live.
	longestToken = 1

	apiTokenMark   = "cj_"
	apiTokenBytes  = 32
	apiTokenPrefix = len(apiTokenMark) + 8
)

// newAPIToken makes a token that nobody can guess.
func newAPIToken() (string, error) {
	random := make([]byte, apiTokenBytes)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("account: API token: %w", err)
	}
	return apiTokenMark + base64.RawURLEncoding.EncodeToString(random), nil
}

// isAPIToken tells API tokens from access tokens, good or not.
func isAPIToken(text string) bool { return strings.HasPrefix(text, apiTokenMark) }

// hashAPIToken is false for what is no token by its form.
func hashAPIToken(text string) ([sha256.Size]byte, bool) {
	encoded, marked := strings.CutPrefix(text, apiTokenMark)
	if !marked || len(encoded) != base64.RawURLEncoding.EncodedLen(apiTokenBytes) {
		return [sha256.Size]byte{}, false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(encoded); err != nil {
		return [sha256.Size]byte{}, false
	}
	return sha256.Sum256([]byte(text)), true
}

// TokenInput is what a person says of a new token.
type TokenInput struct {
	Name      string
	Scopes    []Scope
	ExpiresAt time.Time
}

// Check returns the faults of the input at a time; nil where there are none.
func (in TokenInput) Check(now time.Time) error {
	var faults apperr.Faults
	if fault := nameFault(strings.TrimSpace(in.Name)); fault != "" {
		faults.Add("name", fault)
	}
	if len(in.Scopes) == 0 {
		faults.Add("scopes", "must name one at least")
	}
	for i, scope := range in.Scopes {
		field := fmt.Sprintf("scopes[%d]", i)
		switch {
		case !slices.Contains(Scopes, scope):
			faults.Add(field, "must be read, write or execute")
		case slices.Contains(in.Scopes[:i], scope):
			faults.Add(field, "is given more than once")
		}
	}
	switch {
	case !in.ExpiresAt.After(now):
		faults.Add("expiresAt", "must be in the future")
	case in.ExpiresAt.After(now.AddDate(longestToken, 0, 0)):
		faults.Add("expiresAt", "must be within a year")
	}
	return faults.Err()
}

// CreateToken makes a token for who asks, who must have signed in. The text is
// told this once. It is Conflict where they have too many.
func (s *Service) CreateToken(ctx context.Context, who Principal, in TokenInput) (APIToken, string, error) {
	ctx = audit.Doing(ctx, audit.TokenCreate)
	now := s.now()
	if err := in.Check(now); err != nil {
		return APIToken{}, "", err
	}
	text, err := newAPIToken()
	if err != nil {
		return APIToken{}, "", err
	}
	token := APIToken{
		UserID: who.User.ID, Name: strings.TrimSpace(in.Name), Prefix: text[:apiTokenPrefix],
		CreatedAt: now, ExpiresAt: in.ExpiresAt.UTC().Truncate(time.Millisecond),
	}
	token.Hash, _ = hashAPIToken(text)
	for _, scope := range Scopes {
		if slices.Contains(in.Scopes, scope) {
			token.Scopes = append(token.Scopes, scope)
		}
	}
	stored, err := s.store.AddToken(ctx, token, who.SessionID)
	if apperr.Is(err, apperr.NotFound) { // signed out meanwhile
		err = errAccess
	}
	return stored, text, err
}

// ListTokens reads a page of a user's tokens, the latest first, and how many
// there are. Those that have expired are among them.
func (s *Service) ListTokens(ctx context.Context, userID int64, offset, limit int) ([]APIToken, int, error) {
	return s.store.ListTokens(ctx, userID, offset, limit)
}

// RevokeToken ends a token of a user's own at once; NotFound where the user has
// no such token.
func (s *Service) RevokeToken(ctx context.Context, userID, tokenID int64) error {
	ctx = audit.Doing(ctx, audit.TokenRevoke)
	revoked, err := s.store.RevokeToken(ctx, userID, tokenID, s.now())
	if err == nil && !revoked {
		err = apperr.New(apperr.NotFound, "You have no such token.")
	}
	return err
}

var errAPIToken = apperr.New(apperr.Unauthenticated, "The API token is not valid, or no longer.")

// authenticateToken is Authenticate for an API token.
func (s *Service) authenticateToken(ctx context.Context, text string) (Principal, error) {
	hash, wellFormed := hashAPIToken(text)
	if !wellFormed {
		return Principal{}, errAPIToken
	}
	now := s.now()
	token, user, err := s.store.TokenWithUser(ctx, hash)
	switch {
	case apperr.Is(err, apperr.NotFound):
		return Principal{}, errAPIToken
	case err != nil:
		return Principal{}, err
	case !user.IsActive, !token.alive(now):
		return Principal{}, errAPIToken
	}
	if token.LastUsedAt == nil || now.Sub(*token.LastUsedAt) >= TokenUse {
		// That it was used is worth knowing, but no reason to refuse.
		_ = s.store.NoteTokenUse(ctx, token.ID, now)
	}
	return Principal{User: user, Token: &token}, nil
}
