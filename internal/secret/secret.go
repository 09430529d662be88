// Package secret keeps values that must not be read where they are stored:
// envelope encryption with AES-256-GCM. A value is sealed under a data key; the
// data key is stored beside the data, wrapped under a master key that never
// leaves its Provider. A process opens each data key once and keeps it in
// memory, so that no value costs a call of the provider.
//
// It knows neither SQL nor AWS: the database's side is a Source, and the
// master key's a Provider.
package secret

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// keyBytes is the length of every key: AES-256.
const keyBytes = 32

// Errors that tell why a value cannot be sealed or opened.
var (
	// ErrNoKey: no master key is configured.
	ErrNoKey = errors.New("secret: no master key is configured (SECRETS_KEY_ARN, or SECRETS_KEY_FILE)")
	// ErrUnreadable is in every error of Open: the value stays closed.
	ErrUnreadable = errors.New("secret: the value cannot be opened")
)

// Provider holds the master key.
type Provider interface {
	// Name tells master keys apart: an ARN, a file's fingerprint. At most 255
	// bytes, and no secret.
	Name() string
	// NewDataKey makes a data key of 32 bytes, plain and wrapped.
	NewDataKey(ctx context.Context) (plain, wrapped []byte, err error)
	// Unwrap opens a data key that NewDataKey has wrapped.
	Unwrap(ctx context.Context, wrapped []byte) (plain []byte, err error)
}

// Place is where a sealed value belongs: it opens nowhere else, so that nobody
// who can write the database moves a secret to a row that he may use.
type Place struct{ Table, Row, Field string }

// DataKey is a data key as it is stored.
type DataKey struct {
	Version  int // from 1
	Provider string
	Wrapped  []byte
}

// Source reads a stored data key. The error of a version that does not exist
// wraps ErrUnreadable.
type Source func(ctx context.Context, version int) (DataKey, error)

// Ring seals and opens values. It is safe for concurrent use; a nil Ring has no
// master key.
type Ring struct {
	provider Provider
	previous Provider // nil normally
	now      func() time.Time

	mu       sync.Mutex
	opened   map[[sha256.Size]byte]cipher.AEAD // by what is wrapped
	versions map[int]DataKey                   // those that Open has read
	failures map[[sha256.Size]byte]failure
}

type failure struct {
	err   error
	until time.Time
}

// failedFor is how long a data key that could not be opened is not tried again:
// a burst of executions must not become a burst of calls to a provider that is
// away.
const failedFor = 3 * time.Second

// NewRing makes a ring over a master key; nil means that there is none.
func NewRing(provider Provider, now func() time.Time) *Ring {
	return &Ring{
		provider: provider, now: now, opened: map[[sha256.Size]byte]cipher.AEAD{},
		versions: map[int]DataKey{}, failures: map[[sha256.Size]byte]failure{},
	}
}

// WithPrevious lets the ring open what another master key has wrapped, which
// wraps nothing more; nil is none. It is for the time in which that one is
// replaced, and not for a ring that is in use already.
func (r *Ring) WithPrevious(provider Provider) *Ring {
	r.previous = provider
	return r
}

// Wraps reports whether a data key is wrapped under the present master key, which
// is what a rotation brings about.
func (r *Ring) Wraps(key DataKey) bool { return r.ready() && key.Provider == r.provider.Name() }

// unwrapping is the provider that can open a data key.
func (r *Ring) unwrapping(key DataKey) Provider {
	if r.previous != nil && key.Provider == r.previous.Name() && !r.Wraps(key) {
		return r.previous
	}
	return r.provider
}

func (r *Ring) ready() bool { return r != nil && r.provider != nil }

// NewDataKey makes a data key of that version, to be stored.
func (r *Ring) NewDataKey(ctx context.Context, version int) (DataKey, error) {
	if !r.ready() {
		return DataKey{}, ErrNoKey
	}
	plain, wrapped, err := r.provider.NewDataKey(ctx)
	if err != nil {
		return DataKey{}, fmt.Errorf("secret: make a data key: %w", err)
	}
	key := DataKey{Version: version, Provider: r.provider.Name(), Wrapped: wrapped}
	_, err = r.keep(key, plain)
	return key, err
}

// The form of a sealed value: a byte that names the form, the key's version,
// the nonce, the ciphertext with its tag.
const (
	form        = 1
	versionFrom = 1
	nonceFrom   = versionFrom + 4
	nonceBytes  = 12
	headBytes   = nonceFrom + nonceBytes
)

// Seal closes a value under a data key, for one place.
func (r *Ring) Seal(ctx context.Context, key DataKey, place Place, value []byte) ([]byte, error) {
	if key.Version < 1 {
		return nil, fmt.Errorf("secret: %d is no version of a key", key.Version)
	}
	aead, err := r.open(ctx, key)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, headBytes, headBytes+len(value)+aead.Overhead())
	sealed[0] = form
	binary.BigEndian.PutUint32(sealed[versionFrom:], uint32(key.Version))
	_, _ = rand.Read(sealed[nonceFrom:headBytes]) // crypto/rand never fails
	return aead.Seal(sealed, sealed[nonceFrom:headBytes], value, bound(sealed[:nonceFrom], place)), nil
}

// Open opens a value that was sealed for this place.
func (r *Ring) Open(ctx context.Context, stored Source, place Place, sealed []byte) ([]byte, error) {
	if len(sealed) < headBytes || sealed[0] != form {
		return nil, fmt.Errorf("%w: it is not in a form that is known", ErrUnreadable)
	}
	key, err := r.dataKey(ctx, stored, int(binary.BigEndian.Uint32(sealed[versionFrom:])))
	if err != nil {
		return nil, err
	}
	aead, err := r.open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	value, err := aead.Open(nil, sealed[nonceFrom:headBytes], sealed[headBytes:], bound(sealed[:nonceFrom], place))
	if err != nil {
		return nil, fmt.Errorf("%w: it is damaged, or was sealed for another row", ErrUnreadable)
	}
	return value, nil
}

func (r *Ring) dataKey(ctx context.Context, stored Source, version int) (DataKey, error) {
	if !r.ready() {
		return DataKey{}, fmt.Errorf("%w: %w", ErrUnreadable, ErrNoKey)
	}
	r.mu.Lock()
	key, known := r.versions[version]
	r.mu.Unlock()
	if known {
		return key, nil
	}
	key, err := stored(ctx, version)
	if err != nil {
		return DataKey{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[version] = key
	return key, nil
}

// open is the cipher of a data key, opened by the provider once.
func (r *Ring) open(ctx context.Context, key DataKey) (cipher.AEAD, error) {
	if !r.ready() {
		return nil, ErrNoKey
	}
	name := sha256.Sum256(key.Wrapped)
	r.mu.Lock()
	aead, known := r.opened[name]
	failed := r.failures[name]
	r.mu.Unlock()
	switch {
	case known:
		return aead, nil
	case failed.err != nil && r.now().Before(failed.until):
		return nil, failed.err
	}
	provider := r.unwrapping(key)
	plain, err := provider.Unwrap(ctx, key.Wrapped)
	if err != nil {
		err = fmt.Errorf("secret: version %d of the data key, wrapped under %s, cannot be opened with %s: %w",
			key.Version, key.Provider, provider.Name(), err)
		if ctx.Err() == nil {
			r.mu.Lock()
			r.failures[name] = failure{err, r.now().Add(failedFor)}
			r.mu.Unlock()
		}
		return nil, err
	}
	return r.keep(key, plain)
}

func (r *Ring) keep(key DataKey, plain []byte) (cipher.AEAD, error) {
	aead, err := newAEAD(plain)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	name := sha256.Sum256(key.Wrapped)
	r.opened[name] = aead
	delete(r.failures, name)
	return aead, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keyBytes {
		return nil, fmt.Errorf("secret: a key must have %d bytes, not %d", keyBytes, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return cipher.NewGCM(block)
}

// bound is what a value is authenticated with beside itself. Every part is
// preceded by its length, so that no two places look alike.
func bound(head []byte, place Place) []byte {
	out := append([]byte{}, head...)
	for _, part := range []string{place.Table, place.Row, place.Field} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}
