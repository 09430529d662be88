package sqsqueue

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	// dialTimeout and handshakeTimeout are far above what a region's endpoint
	// takes, and far below what a tick may lose.
	dialTimeout      = 2 * time.Second
	handshakeTimeout = 3 * time.Second
	// idleConnections covers the batches that are sent at once and a poller's
	// long polls, so that none of them pays for a handshake again.
	idleConnections = 64
	// maxAttempts and maxBackoff bound a call: four attempts, and less than
	// three seconds between them all.
	maxAttempts = 4
	maxBackoff  = time.Second
)

// NewClient returns a client for the SQS of a region. With an endpoint (such
// as "http://127.0.0.1:9324") it talks to that server with dummy credentials;
// without one to AWS with the credentials of the default chain.
//
// The client sets no limit on the duration of a call, for a long poll lasts up
// to twenty seconds; Queue limits each attempt of its own calls.
func NewClient(ctx context.Context, region, endpoint string) (*sqs.Client, error) {
	httpClient := newHTTPClient()
	if endpoint != "" {
		return sqs.New(sqs.Options{
			Region:       region,
			BaseEndpoint: aws.String(endpoint),
			Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
			HTTPClient:   httpClient,
			Retryer:      newRetryer(),
		}), nil
	}
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithHTTPClient(httpClient))
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	return sqs.NewFromConfig(loaded, func(o *sqs.Options) { o.Retryer = newRetryer() }), nil
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
	})
}

// newHTTPClient returns a client that speaks HTTP/1.1 only: there a hung
// connection is closed with the attempt that hung, while HTTP/2 would go on
// to use it for the next.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = handshakeTimeout
			t.MaxIdleConns = 2 * idleConnections
			t.MaxIdleConnsPerHost = idleConnections
			t.ForceAttemptHTTP2 = false
			t.Protocols = new(http.Protocols)
			t.Protocols.SetHTTP1(true)
		})
}
