package sqsqueue_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

func TestHungAttemptIsGivenUpAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(o *sqs.Options) {
			o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 3, time.Millisecond })
		})
		attempts := 0
		f.server.SetHooks(sqsserver.Hooks{BeforeCall: func(ctx context.Context, _ sqsserver.Call) error {
			if attempts++; attempts < 3 {
				<-ctx.Done() // no answer, ever
				return ctx.Err()
			}
			return nil
		}})
		start := time.Now()
		errs := f.queue(sqsqueue.WithAttemptTimeout(2*time.Second)).Send(t.Context(), []sqsqueue.Message{{Body: "x"}})
		if errs[0] != nil {
			t.Errorf("Send: %v", errs[0])
		}
		if took := time.Since(start); attempts != 3 || took < 4*time.Second || took > 4100*time.Millisecond {
			t.Errorf("%d attempts in %v, want 3 in 4s", attempts, took)
		}
	})
}

func TestLocalClientNeedsNoCredentialsAndRetries(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := 0
	server := sqsserver.New(sqsserver.Options{Hooks: sqsserver.Hooks{
		// The first answer is lost with its connection, the second is a refusal.
		AfterCall: func(context.Context, sqsserver.Call) error {
			mu.Lock()
			defer mu.Unlock()
			switch calls++; calls {
			case 1:
				return sqsserver.ErrHangUp
			case 2:
				return sqsserver.Unavailable()
			default:
				return nil
			}
		},
	}})
	if err := server.CreateQueue("main", nil); err != nil {
		t.Fatalf("CreateQueue: %v", err)
	}
	endpoint, err := server.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	client, err := sqsqueue.NewClient(t.Context(), "eu-central-1", endpoint.URL)
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	queue := sqsqueue.New(client, sqsserver.QueueURL(endpoint.URL, "main"))
	if errs := queue.Send(t.Context(), []sqsqueue.Message{{Body: "x"}}); errs[0] != nil {
		t.Errorf("Send: %v", errs[0])
	}
	// Every attempt took effect: whoever receives must bear duplicates.
	if visible, _, _, err := queue.Depth(t.Context()); err != nil || visible != 3 {
		t.Errorf("Depth = %d, %v; want 3", visible, err)
	}
}

// The default chain finds credentials in the environment, as Lambda gives them.
func TestClientForAWSUsesTheDefaultChain(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	client, err := sqsqueue.NewClient(t.Context(), "eu-central-1", "")
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	options := client.Options()
	found, err := options.Credentials.Retrieve(t.Context())
	if err != nil || found.AccessKeyID != "id" || found.SessionToken != "token" {
		t.Errorf("credentials = %v, %v; want those of the environment", found.AccessKeyID, err)
	}
	if options.Region != "eu-central-1" || aws.ToString(options.BaseEndpoint) != "" {
		t.Errorf("region %q, endpoint %q; want eu-central-1 and none", options.Region, aws.ToString(options.BaseEndpoint))
	}
	if got := options.Retryer.MaxAttempts(); got != 4 {
		t.Errorf("%d attempts, want 4", got)
	}
}
