package app

import (
	"context"
	"fmt"

	"github.com/cronjobs/cronjobs/internal/kmskey"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// keys are what seals and opens secrets: under a key in KMS, or under one in a
// file. Where neither is configured nothing fails at the start: work without
// secrets needs no key, and what needs one says so.
func (e Env) keys(ctx context.Context) (*secret.Ring, error) {
	var provider secret.Provider
	switch cfg := e.Config.Secrets; {
	case cfg.KeyARN != "":
		key, err := kmskey.New(ctx, region(), cfg.KeyARN, "")
		if err != nil {
			return nil, fmt.Errorf("SECRETS_KEY_ARN: %w", err)
		}
		provider = key
	case cfg.KeyFile != "":
		key, err := secret.ReadFile(cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("SECRETS_KEY_FILE: %w", err)
		}
		provider = key
	}
	return secret.NewRing(provider, e.Now), nil
}
