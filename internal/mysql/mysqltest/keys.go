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
	path := filepath.Join(t.TempDir(), "secrets.key")
	if err := secret.EnsureFile(path); err != nil {
		t.Fatal(err)
	}
	key, err := secret.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewRing(key, time.Now)
}
