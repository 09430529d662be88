// Package secretstore reads secrets from AWS Secrets Manager: the database's
// login, the keys that sign tokens, the first administrator. It says what is
// wrong and what to do about it, and never shows what a secret holds.
package secretstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

// How long a secret is waited for: an attempt, and all of them. What waits is
// the start of a function, or a request.
const (
	attemptTime = 1500 * time.Millisecond
	readTime    = 4 * time.Second
	maxAttempts = 3
	maxBackoff  = 200 * time.Millisecond
)

// Store is Secrets Manager in a region.
type Store struct{ client *secretsmanager.Client }

// Open prepares the store; it connects when a secret is read. The environment
// may name another endpoint by AWS_ENDPOINT_URL_SECRETS_MANAGER.
func Open(ctx context.Context, region string) (*Store, error) {
	client := awshttp.NewBuildableClient().WithTimeout(attemptTime).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = attemptTime }).
		WithTransportOptions(func(t *http.Transport) { t.MaxIdleConns = 1 })
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("secrets: loading the AWS configuration: %w", err)
	}
	return &Store{secretsmanager.NewFromConfig(loaded, func(o *secretsmanager.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff
		})
	})}, nil
}

// Read decodes the JSON of a secret into a structure and returns since when the
// secret has this value.
func (s *Store) Read(ctx context.Context, arn string, into any) (since time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	answer, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(arn)})
	if err != nil {
		return time.Time{}, &Error{arn, remedy(err), err}
	}
	// The decoder's own error would repeat parts of the text.
	if answer.SecretString == nil || json.Unmarshal([]byte(*answer.SecretString), into) != nil {
		return time.Time{}, &Error{arn: arn, remedy: "it must hold a JSON object of texts"}
	}
	return aws.ToTime(answer.CreatedDate), nil
}

// Error is a secret that cannot be used, and what to do about it.
type Error struct {
	arn    string
	remedy string
	cause  error
}

// Error names the secret and what to do.
func (e *Error) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("the secret %s: %s", e.arn, e.remedy)
	}
	return fmt.Sprintf("the secret %s cannot be read: %s (%v)", e.arn, e.remedy, e.cause)
}

// Unwrap is what AWS said.
func (e *Error) Unwrap() error { return e.cause }

// Lacks is the error of a secret without one of its parts.
func Lacks(arn, what string) error { return &Error{arn: arn, remedy: "it must hold " + what} }

// remedy tells what to do about an error of AWS.
func remedy(err error) string {
	var coded smithy.APIError
	if errors.As(err, &coded) {
		switch coded.ErrorCode() {
		case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException":
			return "allow secretsmanager:GetSecretValue on it in the function's role, and kms:Decrypt where it has a key of its own"
		case "ResourceNotFoundException":
			return "there is none of that name in this region, or it has no value yet; deploy the data stack, or mend the ARN"
		case "InvalidRequestException":
			return "it is marked for deletion; restore it"
		case "DecryptionFailure", "DecryptionFailureException":
			return "its KMS key is disabled or not allowed to the function's role; enable it, or allow kms:Decrypt"
		}
		return "Secrets Manager refused; see its message"
	}
	return "Secrets Manager was not reached; the function's subnets need a NAT or a VPC endpoint for it, and its security group HTTPS outward"
}
