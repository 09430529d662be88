// Package kmskey is the master key of secrets in AWS KMS: a secret.Provider.
// KMS is asked once for each data key that a process opens, never for a value.
package kmskey

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Key is a symmetric key in KMS.
type Key struct {
	arn    string
	client *kms.Client
}

// timeout bounds one request, its repetitions included: it is made while a
// database transaction waits.
const timeout = 5 * time.Second

// use is what wrapped keys are bound to: the key's log in CloudTrail shows it,
// and nothing else that the key wraps can be taken for a data key.
var use = map[string]string{"use": "cron-jobs-secrets"}

// New makes the provider; nothing is asked yet. A non-empty endpoint replaces
// AWS's.
func New(ctx context.Context, region, arn, endpoint string) (*Key, error) {
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 3, time.Second })
	}))
	if err != nil {
		return nil, fmt.Errorf("KMS: %w", err)
	}
	client := kms.NewFromConfig(loaded, func(o *kms.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})
	return &Key{arn: arn, client: client}, nil
}

// Name is the key's ARN.
func (k *Key) Name() string { return k.arn }

// NewDataKey lets KMS make a data key.
func (k *Key) NewDataKey(ctx context.Context) (plain, wrapped []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err := k.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: aws.String(k.arn), KeySpec: types.DataKeySpecAes256, EncryptionContext: use,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("KMS: %w", err)
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// Unwrap lets KMS open a data key. Only the configured key is tried: another's
// ciphertext is refused.
func (k *Key) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err := k.client.Decrypt(ctx, &kms.DecryptInput{
		CiphertextBlob: wrapped, KeyId: aws.String(k.arn), EncryptionContext: use,
	})
	if err != nil {
		return nil, fmt.Errorf("KMS: %w", err)
	}
	return out.Plaintext, nil
}
