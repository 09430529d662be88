package executor

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// maxBody is how much of an answer is read at all, in bytes. The first
// execution.MaxResponseBody of it are kept; a longer answer is cut off there
// and the call counts as failed, too_large.
const maxBody = 1 << 20

// errTooLarge is an answer of more than maxBody.
var errTooLarge = errors.New("the answer's body is larger than 1 MiB")

// read takes what is kept of an answer and closes it. The connection goes back
// to the pool only when the body was read to its end. What was read until an
// error is kept as well.
func read(response *http.Response, scrub *scrubber) (*execution.Response, error) {
	defer func() { _ = response.Body.Close() }()
	// One byte more than is kept tells whether there is more.
	body, err := io.ReadAll(io.LimitReader(response.Body, execution.MaxResponseBody+1))
	truncated := err != nil
	if len(body) > execution.MaxResponseBody {
		truncated = true
		body = body[:execution.MaxResponseBody]
	}
	if err == nil && truncated {
		const rest = maxBody - execution.MaxResponseBody
		var n int64
		n, err = io.CopyN(io.Discard, response.Body, rest)
		switch {
		case err == nil && n == rest:
			err = errTooLarge
		case errors.Is(err, io.EOF):
			err = nil
		}
	}
	body = scrub.answer(response.Header, body, truncated)
	if len(body) > execution.MaxResponseBody { // masks may be longer than what they hide
		truncated = true
		body = body[:execution.MaxResponseBody]
	}
	return &execution.Response{
		Status:    response.StatusCode,
		Headers:   scrub.header(response.Header),
		Body:      body,
		Truncated: truncated,
	}, err
}

// judge says whether an answer is a success.
func judge(response *execution.Response) *execution.Failure {
	status := response.Status
	switch {
	case status >= 200 && status <= 299:
		return nil
	case isRedirectStatus(status):
		return &execution.Failure{
			Kind:    execution.ErrRedirect,
			Message: fmt.Sprintf("The target answered with a redirect (%d) that was not followed: it names no address, or the job's maxRedirects were used up.", status),
		}
	default:
		return &execution.Failure{
			Kind:    execution.ErrHTTPStatus,
			Message: strings.TrimSpace(fmt.Sprintf("The target answered %d %s", status, http.StatusText(status))) + ".",
		}
	}
}

// retryAfter reads the header in both its forms.
func retryAfter(value string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(value, 10, 31)
	switch {
	case err == nil:
		return time.Duration(seconds) * time.Second
	case errors.Is(err, strconv.ErrRange):
		return execution.MaxRetryDelay // more than any that is honoured
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
