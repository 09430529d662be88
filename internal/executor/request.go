package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// requestError is a stored request that cannot be sent.
type requestError struct{ cause error }

func (e requestError) Error() string { return "build the request: " + e.cause.Error() }
func (e requestError) Unwrap() error { return e.cause }

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
	request.Header.Set("Accept-Encoding", "identity")
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
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte(`"`)) && json.Unmarshal(body, &text) == nil {
		return []byte(text)
	}
	return body
}

// setBody gives the request its body, in a form that the transport cannot
// replay; see newRequest. Nil means none.
func setBody(request *http.Request, body []byte) {
	request.Body, request.GetBody, request.ContentLength = nil, nil, int64(len(body))
	if body != nil {
		setContentType(request.Header, body)
	}
	switch {
	case len(body) > 0:
		request.Body = io.NopCloser(bytes.NewReader(body))
	case isSafe(request.Method):
		// Looked into, found empty and left out by the transport. With no body
		// at all it would count these methods as replayable.
		request.Body = io.NopCloser(eofReader{})
	}
}

// setContentType says what the body is, unless the job does.
func setContentType(header http.Header, body []byte) {
	if _, named := header["Content-Type"]; named {
		return
	}
	if json.Valid(body) {
		header.Set("Content-Type", "application/json")
	} else {
		header.Set("Content-Type", "text/plain; charset=utf-8")
	}
}

// isSafe reports the methods that http.Transport would send again by itself.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }
