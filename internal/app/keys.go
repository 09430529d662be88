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
	cfg := e.Config.Secrets
	present, err := masterKey(ctx, "SECRETS_", cfg.KeyARN, cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	previous, err := masterKey(ctx, "SECRETS_PREVIOUS_", cfg.PreviousKeyARN, cfg.PreviousKeyFile)
	if err != nil {
		return nil, err
	}
	return secret.NewRing(present, e.Now).WithPrevious(previous), nil
}

// masterKey is the key that the variables of that prefix name; nil where they
// name none.
func masterKey(ctx context.Context, prefix, arn, file string) (secret.Provider, error) {
	switch {
	case arn != "":
		key, err := kmskey.New(ctx, region(), arn, "")
		if err != nil {
			return nil, fmt.Errorf("%sKEY_ARN: %w", prefix, err)
		}
		return key, nil
	case file != "":
		key, err := secret.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%sKEY_FILE: %w", prefix, err)
		}
		return key, nil
	default:
		return nil, nil //nolint:nilnil // as is said above
	}
}
