package secret_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/secret"
)

var here = secret.Place{Table: "job_requests", Row: "7/2", Field: "sealed"}

func newFile(t *testing.T) *secret.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secrets.key")
	if err := secret.EnsureFile(path); err != nil {
		t.Fatal(err)
	}
	file, err := secret.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// counted counts what its provider is asked.
type counted struct {
	secret.Provider
	unwraps atomic.Int32
	away    atomic.Bool
}

func (c *counted) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	c.unwraps.Add(1)
	if c.away.Load() {
		return nil, errors.New("away")
	}
	return c.Provider.Unwrap(ctx, wrapped)
}

func sourceOf(keys ...secret.DataKey) secret.Source {
	return func(_ context.Context, version int) (secret.DataKey, error) {
		for _, key := range keys {
			if key.Version == version {
				return key, nil
			}
		}
		return secret.DataKey{}, secret.ErrUnreadable
	}
}

func TestAValueOpensInItsPlaceAlone(t *testing.T) {
	t.Parallel()
	ring := secret.NewRing(newFile(t), time.Now)
	key, err := ring.NewDataKey(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	value := []byte("a value that nobody may read")
	sealed, err := ring.Seal(t.Context(), key, here, value)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, value[:8]) {
		t.Fatal("the sealed value holds the value")
	}
	opened, err := ring.Open(t.Context(), sourceOf(key), here, sealed)
	if err != nil || !bytes.Equal(opened, value) {
		t.Fatalf("opened as %q, %v", opened, err)
	}
	again, err := ring.Seal(t.Context(), key, here, value)
	if err != nil || bytes.Equal(sealed, again) {
		t.Errorf("sealed alike twice (%v)", err)
	}
	for _, place := range []secret.Place{
		{Table: "job_requests", Row: "7/3", Field: "sealed"},
		{Table: "job_requests", Row: "7/2", Field: "other"},
		{Table: "secrets", Row: "7/2", Field: "sealed"},
		{Table: "job_requests7", Row: "/2", Field: "sealed"},
		{},
	} {
		if _, err := ring.Open(t.Context(), sourceOf(key), place, sealed); !errors.Is(err, secret.ErrUnreadable) {
			t.Errorf("opened for %v: %v", place, err)
		}
	}
	for i := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		if _, err := ring.Open(t.Context(), sourceOf(key), here, damaged); !errors.Is(err, secret.ErrUnreadable) {
			t.Errorf("opened with byte %d changed: %v", i, err)
		}
		if _, err := ring.Open(t.Context(), sourceOf(key), here, sealed[:i]); !errors.Is(err, secret.ErrUnreadable) {
			t.Errorf("opened with %d bytes: %v", i, err)
		}
	}
}

func TestADataKeyIsOpenedOnce(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	maker := secret.NewRing(file, time.Now)
	key, err := maker.NewDataKey(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := maker.Seal(t.Context(), key, here, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	provider := &counted{Provider: file}
	ring := secret.NewRing(provider, time.Now)
	for range 100 {
		if _, err := ring.Open(t.Context(), sourceOf(key), here, sealed); err != nil {
			t.Fatal(err)
		}
	}
	if n := provider.unwraps.Load(); n != 1 {
		t.Errorf("the provider was asked %d times for one data key", n)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := ring.Open(t.Context(), sourceOf(key), here, sealed); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestAProviderThatIsAwayIsAskedNowAndThen(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	maker := secret.NewRing(file, time.Now)
	key, _ := maker.NewDataKey(t.Context(), 1)
	sealed, err := maker.Seal(t.Context(), key, here, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	provider := &counted{Provider: file}
	provider.away.Store(true)
	ring := secret.NewRing(provider, func() time.Time { return now })
	for range 50 {
		if _, err := ring.Open(t.Context(), sourceOf(key), here, sealed); !errors.Is(err, secret.ErrUnreadable) {
			t.Fatalf("opened without its key: %v", err)
		}
	}
	if n := provider.unwraps.Load(); n != 1 {
		t.Errorf("a provider that is away was asked %d times at once", n)
	}
	provider.away.Store(false)
	now = now.Add(10 * time.Second)
	if _, err := ring.Open(t.Context(), sourceOf(key), here, sealed); err != nil {
		t.Errorf("the provider is back: %v", err)
	}
}

func TestWithoutItsKeyNothingIsSealedOrOpened(t *testing.T) {
	t.Parallel()
	maker := secret.NewRing(newFile(t), time.Now)
	key, _ := maker.NewDataKey(t.Context(), 1)
	sealed, err := maker.Seal(t.Context(), key, here, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	var none *secret.Ring
	for name, ring := range map[string]*secret.Ring{"nil": none, "no provider": secret.NewRing(nil, time.Now)} {
		if _, err := ring.NewDataKey(t.Context(), 1); !errors.Is(err, secret.ErrNoKey) {
			t.Errorf("%s: a data key: %v", name, err)
		}
		if _, err := ring.Seal(t.Context(), key, here, nil); !errors.Is(err, secret.ErrNoKey) {
			t.Errorf("%s: sealed: %v", name, err)
		}
		if _, err := ring.Open(t.Context(), sourceOf(key), here, sealed); !errors.Is(err, secret.ErrNoKey) || !errors.Is(err, secret.ErrUnreadable) {
			t.Errorf("%s: opened: %v", name, err)
		}
	}
	other := secret.NewRing(newFile(t), time.Now)
	if _, err := other.Open(t.Context(), sourceOf(key), here, sealed); !errors.Is(err, secret.ErrUnreadable) {
		t.Errorf("another master key opened it: %v", err)
	}
}

func TestTheKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.key")
	if err := secret.EnsureFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	first, _ := os.ReadFile(path)
	if err := secret.EnsureFile(path); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(path); !bytes.Equal(first, second) {
		t.Error("a key that was there was replaced")
	}
	for name, text := range map[string]string{"empty": "", "short": "AAAA\n", "of 128 bits": "AAAAAAAAAAAAAAAAAAAAAA==\n", "not base64": "!!!!", "long": string(first) + "AAAA"} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.ReadFile(bad); err == nil {
			t.Errorf("%s: taken for a key", name)
		}
	}
}
