package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// UserAgent names the product to targets.
const UserAgent = "cron-jobs/1.0"

// maxBody is how much of an answer is read at all, in bytes. The first
// execution.MaxResponseBody of it are kept; a longer answer is cut off there
// and the call counts as failed, too_large.
const maxBody = 1 << 20

// Call is one call to make.
type Call struct{ Work Work }

// Client makes calls over HTTP. It is safe for concurrent use.
type Client struct {
	transport http.RoundTripper
	clock     Clock
}

// NewClient makes a client over a transport; see NewTransport.
func NewClient(transport http.RoundTripper, clock Clock) *Client {
	return &Client{transport: transport, clock: clock}
}

// errStopping is why calls end early: their worker must stop.
var errStopping = errors.New("the worker that made the call had to stop")

// errCallTimeout is why a call ends at its own timeout.
var errCallTimeout = errors.New("the call took longer than its timeout")

// Call makes the call, redirects included, within the job's timeout, and
// describes how it went. The second result is how long the target asked to be
// left alone, 0 where it did not.
func (c *Client) Call(ctx context.Context, call Call) (execution.Attempt, time.Duration) {
	request := call.Work.Request
	ctx, cancel := context.WithTimeoutCause(ctx, request.Timeout, errCallTimeout)
	defer cancel()

	attempt := execution.Attempt{StartedAt: c.clock.Now().UTC().Truncate(time.Millisecond)}
	begun := time.Now()
	trace := &tracer{}
	response, err := c.follow(ctx, call.Work, trace)
	if err == nil {
		attempt.Response, err = read(response)
	}
	total := time.Since(begun)
	attempt.Timings = trace.timings(total)
	// Measured by the monotonic clock, so that no step of the wall clock makes
	// an attempt end before it began.
	attempt.EndedAt = attempt.StartedAt.Add(total.Truncate(time.Millisecond))
	if err != nil {
		attempt.Failure = classify(ctx, err)
		return attempt, 0
	}
	attempt.Failure = judge(attempt.Response)
	return attempt, retryAfter(response.Header.Get("Retry-After"), attempt.EndedAt)
}

// follow makes the request and the redirects that the job allows.
func (c *Client) follow(ctx context.Context, work Work, trace *tracer) (*http.Response, error) {
	request, err := newRequest(ctx, work)
	if err != nil {
		return nil, err
	}
	for hop := 0; ; hop++ {
		response, err := c.transport.RoundTrip(request.WithContext(trace.watch(ctx)))
		if err != nil {
			return nil, err
		}
		if hop == work.Request.MaxRedirects || !isRedirect(response) {
			return response, nil
		}
		next, err := redirected(request, response, work.Request)
		_, _ = io.CopyN(io.Discard, response.Body, 4<<10)
		_ = response.Body.Close()
		if err != nil {
			return nil, err
		}
		request = next
	}
}

// newRequest builds the request of an execution.
func newRequest(ctx context.Context, work Work) (*http.Request, error) {
	spec := work.Request
	request, err := http.NewRequestWithContext(ctx, spec.Method, spec.URL, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range spec.Headers {
		request.Header.Set(name, value)
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", UserAgent)
	}
	if request.Header.Get("Accept-Encoding") == "" {
		request.Header.Set("Accept-Encoding", "identity")
	}
	id := strconv.FormatInt(work.ID, 10)
	// Spelled in lower case on purpose: http.Transport takes the canonical
	// spelling as leave to send the request a second time by itself when a
	// reused connection breaks. One attempt is one call.
	request.Header["idempotency-key"] = []string{id}
	request.Header.Set("X-Cron-Job-Id", strconv.FormatInt(work.JobID, 10))
	request.Header.Set("X-Cron-Execution-Id", id)
	request.Header.Set("X-Cron-Attempt", strconv.Itoa(work.Attempt))
	request.Header.Set("X-Cron-Scheduled-For", work.ScheduledFor.UTC().Format("2006-01-02T15:04:05.000Z"))
	setBody(request, payload(spec.Body))
	return request, nil
}

// payload is what a body sends: a JSON string its text, anything else the JSON
// as it was written. Nil means no body.
func payload(body []byte) []byte {
	var text string
	if len(body) > 0 && body[0] == '"' && json.Unmarshal(body, &text) == nil {
		return []byte(text)
	}
	return body
}

// setBody gives the request its body in a form that the transport cannot
// replay; see newRequest.
func setBody(request *http.Request, body []byte) {
	switch {
	case body != nil:
		if request.Header.Get("Content-Type") == "" {
			contentType := "text/plain; charset=utf-8"
			if json.Valid(body) {
				contentType = "application/json"
			}
			request.Header.Set("Content-Type", contentType)
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		request.ContentLength = int64(len(body))
		if len(body) == 0 {
			request.Body = nil
		}
	case request.Method == http.MethodGet, request.Method == http.MethodHead, request.Method == http.MethodOptions:
		// An empty reader, which the transport finds empty and leaves out:
		// with no body at all it would count these methods as replayable.
		request.Body = io.NopCloser(eofReader{})
	}
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

func isRedirect(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return response.Header.Get("Location") != ""
	default:
		return false
	}
}

// redirectError is a redirect that cannot be followed.
type redirectError struct{ message string }

func (e redirectError) Error() string { return e.message }

// secretError is a redirect that would carry a secret to another host.
type secretError struct{ message string }

func (e secretError) Error() string { return e.message }

// redirected builds the request that a redirect asks for. To another origin
// only headers that describe the content travel; whatever a job sends besides
// may be a credential.
func redirected(request *http.Request, response *http.Response, spec job.Request) (*http.Request, error) {
	target, err := request.URL.Parse(response.Header.Get("Location"))
	if err != nil || (target.Scheme != "http" && target.Scheme != "https") || target.Host == "" || target.User != nil {
		return nil, redirectError{"The target redirected to an address that cannot be called."}
	}
	next := request.Clone(request.Context())
	next.URL, next.Host = target, target.Host
	next.Body, next.GetBody, next.ContentLength = nil, nil, 0
	sameOrigin := origin(target) == origin(request.URL)
	if !sameOrigin {
		for name := range next.Header {
			if !isContentHeader(name) && !isOwnHeader(name) {
				delete(next.Header, name)
			}
		}
	}
	keepsBody := response.StatusCode == http.StatusTemporaryRedirect || response.StatusCode == http.StatusPermanentRedirect
	if keepsBody {
		if !sameOrigin && spec.BodySecret && spec.Body != nil {
			return nil, secretError{"The target redirected to another host, and the body is secret."}
		}
		setBody(next, payload(spec.Body))
		return next, nil
	}
	if next.Method != http.MethodHead {
		next.Method = http.MethodGet
	}
	next.Header.Del("Content-Type")
	setBody(next, nil)
	return next, nil
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + u.Hostname() + ":" + port
}

func isContentHeader(name string) bool {
	switch name {
	case "Accept", "Accept-Language", "Content-Type", "User-Agent":
		return true
	default:
		return false
	}
}

func isOwnHeader(name string) bool {
	switch name {
	case "idempotency-key", "X-Cron-Job-Id", "X-Cron-Execution-Id", "X-Cron-Attempt", "X-Cron-Scheduled-For", "Accept-Encoding":
		return true
	default:
		return false
	}
}
