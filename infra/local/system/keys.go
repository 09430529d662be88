package system

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cronjobs/cronjobs/internal/config"
)

// keys are the secrets that the local system makes up once and keeps.
type keys struct {
	JWTSecret     string `json:"jwtSecret"`
	AdminEmail    string `json:"adminEmail"`
	AdminPassword string `json:"adminPassword"`

	given config.Config
}

const adminEmail = "admin@example.com"

// loadKeys reads the file, or makes it. What the environment names is used as
// it is and not written down.
func loadKeys(path string, cfg config.Config) (keys, error) {
	var kept keys
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &kept); err != nil {
			return keys{}, fmt.Errorf("%s is damaged; mend or remove it: %w", path, err)
		}
	case errors.Is(err, fs.ErrNotExist):
		kept = keys{JWTSecret: rand.Text() + rand.Text(), AdminEmail: adminEmail, AdminPassword: rand.Text()[:16]}
		if err := writeWhole(path, kept); err != nil {
			return keys{}, err
		}
	default:
		return keys{}, fmt.Errorf("keys: %w", err)
	}
	kept.given = cfg
	if cfg.AdminEmail != "" {
		kept.AdminEmail = cfg.AdminEmail
	}
	if cfg.AdminPassword != "" {
		kept.AdminPassword = cfg.AdminPassword.Reveal()
	}
	return kept, nil
}

func (k keys) jwtSecret() config.Secret {
	if k.given.JWT.Secret != "" {
		return k.given.JWT.Secret
	}
	return config.Secret(k.JWTSecret)
}

// writeWhole writes the file so that a crash leaves all of it or none.
func writeWhole(path string, k keys) error {
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}
