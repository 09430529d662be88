package mysqltest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/secret"
)

// Keys are keys for the secrets of a test, under a master key of its own.
func Keys(t testing.TB) *secret.Ring {
	t.Helper()
	return secret.NewRing(MasterKey(t), time.Now)
}

// MasterKey is a master key that nothing else has.
func MasterKey(t testing.TB) *secret.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secrets.key")
	if err := secret.EnsureFile(path); err != nil {
		t.Fatal(err)
	}
	key, err := secret.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
