package account

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// counted is a store that counts how often it was asked to, and may refuse.
type counted struct {
	Store
	asked int
	away  error
}

func (c *counted) Count(context.Context, Bucket, time.Time, time.Time) (int, error) {
	c.asked++
	return c.asked, c.away
}

func newCounted(t *testing.T, store *counted, most int) *Service {
	t.Helper()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	s, err := NewService(t.Context(), store, Config{
		Secret: make([]byte, MinKeyBytes), AccessLifetime: time.Minute, RememberLifetime: time.Hour,
		Limits: Limits{Address: most, User: most, Window: 15 * time.Minute},
	}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAFloodCostsTheDatabaseNothing(t *testing.T) {
	t.Parallel()
	store := &counted{}
	s := newCounted(t, store, 10)
	for range 1000 {
		_, _ = s.CountAddress(t.Context(), "192.0.2.1")
	}
	if _, err := s.CountAddress(t.Context(), "192.0.2.1"); !apperr.Is(err, apperr.TooManyRequests) || store.asked != 10 {
		t.Errorf("%v; the database was asked %d times, want 10", err, store.asked)
	}
}

func TestAnInstanceCountsSoManyAddressesByItself(t *testing.T) {
	t.Parallel()
	s := newCounted(t, &counted{away: errors.New("away")}, 10)
	for i := range maxTally {
		if left, err := s.CountAddress(t.Context(), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)); err != nil || left.Away == nil || left.Remaining != 9 {
			t.Fatalf("address %d: %+v, %v", i, left, err)
		}
	}
	if _, err := s.CountAddress(t.Context(), "192.0.2.1"); !apperr.Is(err, apperr.Unavailable) {
		t.Errorf("one more: %v", err)
	}
	if left, err := s.CountAddress(t.Context(), "10.0.0.0"); err != nil || left.Remaining != 8 {
		t.Errorf("one that is known: %+v, %v", left, err)
	}
	if _, err := s.CountUser(t.Context(), 1); err != nil {
		t.Errorf("a user: %v", err)
	}
}
