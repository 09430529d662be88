package sqsqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
)

// attemptTimeoutError ends an attempt that had no answer. The SDK retries
// errors that call themselves timeouts, but never a cancelled context, which is
// what the attempt itself ends with.
type attemptTimeoutError struct{ after time.Duration }

func (e *attemptTimeoutError) Error() string { return fmt.Sprintf("no answer within %v", e.after) }

// Timeout makes the error retryable.
func (e *attemptTimeoutError) Timeout() bool { return true }

// withAttemptTimeout limits each attempt of a call, where a deadline of the
// context would limit them all together: a connection that hangs costs one
// attempt and not the call.
func withAttemptTimeout(d time.Duration) func(*sqs.Options) {
	limit := middleware.FinalizeMiddlewareFunc("AttemptTimeout", func(
		ctx context.Context, input middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		attempt, cancel := context.WithTimeout(ctx, d)
		defer cancel() // the answer has been read when next returns
		output, metadata, err := next.HandleFinalize(attempt, input)
		if err != nil && attempt.Err() != nil && ctx.Err() == nil {
			err = &attemptTimeoutError{after: d}
		}
		return output, metadata, err
	})
	return func(o *sqs.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Insert(limit, "Retry", middleware.After)
		})
	}
}
