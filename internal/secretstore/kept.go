package secretstore

import (
	"context"
	"sync"
	"time"
)

// RenewEvery is how often at most a secret is read again because what it holds
// was refused: whoever tries wrong passwords or forged tokens must not make us
// ask with each.
const RenewEvery = time.Minute

// retryEvery is that of a read that failed.
const retryEvery = 5 * time.Second

// Kept is a secret that was read and is kept until it is refused somewhere. It
// is safe for concurrent use.
type Kept[T comparable] struct {
	read func(context.Context) (T, error)
	now  func() time.Time

	mu    sync.Mutex
	value T
	have  bool
	tried time.Time // when it was last read, or tried to
	err   error     // of the last time
}

// Keep makes a Kept of a way to read a secret; it is read when first needed.
func Keep[T comparable](read func(context.Context) (T, error), now func() time.Time) *Kept[T] {
	return &Kept[T]{read: read, now: now}
}

// Get is the secret as it was last read.
func (k *Kept[T]) Get(ctx context.Context) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.have {
		k.load(ctx)
	}
	if k.have {
		return k.value, nil
	}
	return k.value, k.err
}

// Renewed reads the secret again, unless that was done less than RenewEvery ago,
// and reports whether it differs from the one that was refused. Those who come
// while it is being read wait for it.
func (k *Kept[T]) Renewed(ctx context.Context, refused T) (value T, changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pause := RenewEvery
	if k.err != nil {
		pause = retryEvery
	}
	// Who was refused with an older one has not seen the one that is here.
	if since := k.now().Sub(k.tried); k.value == refused && (since < 0 || since >= pause) {
		k.load(ctx)
	}
	return k.value, k.value != refused, k.err
}

func (k *Kept[T]) load(ctx context.Context) {
	value, err := k.read(ctx)
	if k.err = err; err == nil {
		k.value, k.have = value, true
	}
	k.tried = k.now()
}
