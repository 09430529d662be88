package executor

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// UserAgent names the product to targets.
const UserAgent = "cron-jobs/1.0"

// Call is one call to make.
type Call struct{ Work Work }

// Client makes calls over HTTP. It is safe for concurrent use.
type Client struct {
	transport http.RoundTripper
	connect   *connector // nil where the transport is not ours
	clock     Clock
}

// NewClient makes a client over a transport; see NewTransport.
func NewClient(transport http.RoundTripper, clock Clock) *Client {
	client := &Client{transport: transport, clock: clock}
	if ours, ok := transport.(*Transport); ok {
		client.connect = ours.connect
	}
	return client
}

// errStopping is why calls end early: their worker must stop.
var errStopping = errors.New("the worker has to stop")

// errCallTimeout is why a call ends at its own timeout.
var errCallTimeout = errors.New("the call took longer than its timeout")

// errSwitched is an answer that would turn the connection into another
// protocol's, which no request asks for.
var errSwitched = errors.New("the target switched protocols")

// Call makes the call, redirects included, within the job's timeout, and
// describes how it went. The second result is how long the target asked to be
// left alone, 0 where it did not.
func (c *Client) Call(ctx context.Context, call Call) (execution.Attempt, time.Duration) {
	attempt := execution.Attempt{StartedAt: c.clock.Now().UTC().Truncate(time.Millisecond)}
	request, values, failure := render(call.Work)
	if failure != nil {
		attempt.EndedAt, attempt.Failure = attempt.StartedAt, failure
		return attempt, 0
	}
	call.Work.Request = request
	ctx, cancel := context.WithTimeoutCause(ctx, request.Timeout, errCallTimeout)
	defer cancel()
	// Not made before the call: it would make it late.
	scrub := sync.OnceValue(func() *scrubber { return newScrubber(sent(request, values)) })
	begun := time.Now()
	response, phases, err := c.follow(withCall(ctx), call.Work, scrub) //nolint:bodyclose // read closes it
	var retryAt string
	if response != nil {
		retryAt = response.Header.Get("Retry-After")
		kept, readErr := read(response, scrub())
		attempt.Response = kept
		switch {
		case err != nil:
			// A redirect that cannot be followed; how its body went is idle.
		case judge(kept) != nil:
			// Nor does it matter what befell the body of a failed answer.
			attempt.Failure = judge(kept)
		default:
			err = readErr
		}
	}
	if err != nil {
		attempt.Failure = classify(ctx, err)
	}
	total := time.Since(begun)
	attempt.Timings = phases.timings(total)
	// Measured by the monotonic clock, so that no step of the wall clock makes
	// an attempt end before it began.
	attempt.EndedAt = attempt.StartedAt.Add(total.Truncate(time.Millisecond))
	return attempt, retryAfter(retryAt, attempt.EndedAt)
}

// sent are the secrets that a request holds, and those of the workspace with what
// they are made of.
func sent(request job.Request, values []string) []string {
	secrets := request.Secrets()
	for _, value := range values {
		secrets = append(append(secrets, value), job.SecretParts(value)...)
	}
	return secrets
}

// follow makes the request and the redirects that the job allows. It returns
// an answer together with an error where that answer is a redirect that cannot
// be followed. The phases are those of the last hop. scrub knows the secrets that
// the request holds.
func (c *Client) follow(ctx context.Context, work Work, scrub func() *scrubber) (*http.Response, *phases, error) {
	request, err := newRequest(ctx, work)
	if err != nil {
		return nil, &phases{}, requestError{err}
	}
	at := c.clock.Now()
	sign(request.Header, work.SigningKeys, strconv.FormatInt(work.ID, 10), at, payload(work.Request.Body))
	for hop := 0; ; hop++ {
		watched, phases := watch(ctx)
		response, err := c.transport.RoundTrip(request.WithContext(watched))
		if err != nil {
			return nil, phases, err
		}
		if response.StatusCode < 200 {
			// Its body is the bare connection, which no deadline would end.
			_ = response.Body.Close()
			return nil, phases, errSwitched
		}
		if hop == work.Request.MaxRedirects || !isRedirect(response) {
			return response, phases, nil
		}
		next, err := redirected(request, response, work.Request, scrub)
		if err != nil {
			return response, phases, err
		}
		// Not read: what a redirect says besides is of no use, and may hang.
		_ = response.Body.Close()
		signAgain(next, work, at)
		request = next
	}
}
