package account

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Keys are the secrets that tokens are signed with, each at least MinKeyBytes
// long. Previous, where it is set, verifies only, so that the secret can be
// replaced without signing anyone out.
type Keys struct {
	Current, Previous string
	// Since is when these became the keys; zero where nobody knows.
	Since time.Time
}

// KeySource is where keys come from that change while the program runs.
type KeySource interface {
	// Keys are the keys as they were last read.
	Keys(ctx context.Context) (Keys, error)
	// RenewedKeys reads keys again that do not know a token; false where they
	// are still the same, or were read less than a minute ago.
	RenewedKeys(ctx context.Context, had Keys) (Keys, bool, error)
}

// signFrom is how long new keys are known before the first of them signs. It is
// more than the minute for which a source may not be asked again: by the time
// that one instance signs with a key, every other can learn of it, whatever
// else has made it ask meanwhile.
const signFrom = 90 * time.Second

// signers issue and read every kind of token.
type signers struct {
	access, tickets accessTokens
	refresh         refreshTokens
}

// keyring is the keys in use, and where others come from.
type keyring struct {
	source   KeySource // nil where the keys never change
	access   time.Duration
	remember time.Duration
	present  atomic.Pointer[keyset]
}

type keyset struct {
	keys Keys
	// settled signs with the current key, unsettled with the previous one.
	settled, unsettled signers
}

// newKeyring refuses keys that are too short.
func newKeyring(ctx context.Context, config Config) (*keyring, error) {
	ring := &keyring{source: config.Keys, access: config.AccessLifetime, remember: config.RememberLifetime}
	keys := Keys{Current: string(config.Secret), Previous: string(config.PreviousSecret)}
	if ring.source != nil {
		var err error
		if keys, err = ring.source.Keys(ctx); err != nil {
			return nil, err
		}
	}
	return ring, ring.use(keys)
}

func (r *keyring) use(keys Keys) error {
	current, err := newSigningKey([]byte(keys.Current))
	if err != nil {
		return err
	}
	all := []signingKey{current}
	set := &keyset{keys: keys, settled: r.signers(all)}
	set.unsettled = set.settled
	if keys.Previous != "" {
		previous, err := newSigningKey([]byte(keys.Previous))
		if err != nil {
			return err
		}
		set.settled = r.signers([]signingKey{current, previous})
		set.unsettled = r.signers([]signingKey{previous, current})
	}
	r.present.Store(set)
	return nil
}

func (r *keyring) signers(keys []signingKey) signers {
	return signers{
		access:  accessTokens{keys: keys, lifetime: r.access},
		tickets: accessTokens{keys: keys, lifetime: TicketLifetime, tickets: true},
		refresh: refreshTokens{keys: keys, remember: r.remember},
	}
}

// at are the signers of an instant.
func (r *keyring) at(now time.Time) signers {
	set := r.present.Load()
	if now.Before(set.keys.Since.Add(signFrom)) {
		return set.unsettled
	}
	return set.settled
}

// renew reads the keys again, for a token that none of them knows; false where
// there are no others.
func (r *keyring) renew(ctx context.Context) (bool, error) {
	if r.source == nil {
		return false, nil
	}
	keys, changed, err := r.source.RenewedKeys(ctx, r.present.Load().keys)
	if err == nil && changed {
		err = r.use(keys)
	}
	if err != nil {
		return false, apperr.Wrap(apperr.Unavailable, err, "Tokens cannot be checked at present; try again.")
	}
	return changed, nil
}

// readAccess reads an access token, or a ticket. Its error is errToken, or bears
// Unavailable where the keys could not be read.
func (s *Service) readAccess(ctx context.Context, text string, now time.Time, of func(signers) accessTokens) (accessToken, error) {
	token, err := of(s.keys.at(now)).read(text, now)
	if !errors.Is(err, errUnknownKey) {
		return token, err
	}
	renewed, renewErr := s.keys.renew(ctx)
	switch {
	case renewErr != nil:
		return accessToken{}, renewErr
	case !renewed:
		return accessToken{}, err
	}
	return of(s.keys.at(now)).read(text, now)
}

func accessOf(s signers) accessTokens { return s.access }
func ticketOf(s signers) accessTokens { return s.tickets }

// genuine reports whether a session was given that refresh token.
func (s *Service) genuine(ctx context.Context, token refreshToken, session Session, now time.Time) (bool, error) {
	if s.keys.at(now).refresh.genuine(token, session) {
		return true, nil
	}
	if renewed, err := s.keys.renew(ctx); err != nil || !renewed {
		return false, err
	}
	return s.keys.at(now).refresh.genuine(token, session), nil
}
