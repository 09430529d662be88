package job

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/cronjobs/cronjobs/internal/audit"
)

// SigningKey is a secret that a job shares with its target: requests bear a
// signature by it, in the form of Standard Webhooks.
type SigningKey struct {
	Key []byte `json:"key"`
	// Until is when it signs no longer; nil for the present one.
	Until *time.Time `json:"until,omitempty"`
}

// Signs reports whether the key signs at a time.
func (k SigningKey) Signs(now time.Time) bool { return k.Until == nil || now.Before(*k.Until) }

const (
	signingKeyBytes = 32
	// signingOverlap is how long the key before also signs, so that the target
	// can be given the new one meanwhile.
	signingOverlap = 24 * time.Hour
	// signingPrefix marks a key as people see it.
	signingPrefix = "whsec_"
)

// RotateSigningKey gives a job a new signing key, its first one or another, and
// returns it as the target needs it. It is not told again. The key before also
// signs for a day; the one before that no longer does.
func (s *Service) RotateSigningKey(ctx context.Context, id int64) (string, error) {
	now := s.now()
	key := make([]byte, signingKeyBytes)
	_, _ = rand.Read(key) // crypto/rand never fails
	err := s.store.ChangeSigningKeys(audit.Doing(ctx, audit.JobSigningKeyCreate), id, now, func(current []SigningKey) []SigningKey {
		keys := []SigningKey{{Key: key}}
		for _, one := range current {
			if one.Until == nil {
				until := now.Add(signingOverlap)
				keys = append(keys, SigningKey{Key: one.Key, Until: &until})
			}
		}
		return keys
	})
	if err != nil {
		return "", err
	}
	return signingPrefix + base64.StdEncoding.EncodeToString(key), nil
}

// RemoveSigningKeys lets a job's requests go unsigned from now on. Where they
// do already that is no error.
func (s *Service) RemoveSigningKeys(ctx context.Context, id int64) error {
	return s.store.ChangeSigningKeys(audit.Doing(ctx, audit.JobSigningKeyDelete), id, s.now(), func([]SigningKey) []SigningKey { return nil })
}
