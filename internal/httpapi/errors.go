package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// statuses turns codes into statuses; the one place that does.
var statuses = map[apperr.Code]int{
	apperr.Invalid:            http.StatusBadRequest,
	apperr.Unauthenticated:    http.StatusUnauthorized,
	apperr.Forbidden:          http.StatusForbidden,
	apperr.NotFound:           http.StatusNotFound,
	apperr.MethodNotAllowed:   http.StatusMethodNotAllowed,
	apperr.Conflict:           http.StatusConflict,
	apperr.PreconditionFailed: http.StatusPreconditionFailed,
	apperr.TooLarge:           http.StatusRequestEntityTooLarge,
	apperr.UnsupportedMedia:   http.StatusUnsupportedMediaType,
	apperr.TooManyRequests:    http.StatusTooManyRequests,
	apperr.Internal:           http.StatusInternalServerError,
	apperr.Unavailable:        http.StatusServiceUnavailable,
}

// FieldFault is one fault of the input, as the API shows it.
type FieldFault struct {
	Field   string `json:"field" doc:"The path of the field without its place (name, headers.X-Foo, jobs[3].cronPattern); empty for the whole body."`
	Message string `json:"message"`
}

// ErrorEnvelope is the answer to a request that failed.
type ErrorEnvelope struct {
	Success    bool         `json:"success" enum:"false"`
	StatusCode int          `json:"statusCode" example:"400"`
	Timestamp  Timestamp    `json:"timestamp"`
	Path       string       `json:"path" doc:"The path and query of the request." example:"/jobs?page=0"`
	Message    string       `json:"message"`
	Errors     []FieldFault `json:"errors" nullable:"true" doc:"The faults of the input, all at once; null where there are none."`
	RequestID  string       `json:"requestId"`
}

// Error and GetStatus make the envelope an error of huma's, whose own texts,
// which repeat values, are thereby never used.
func (e *ErrorEnvelope) Error() string { return e.Message }

// GetStatus is the status to answer with.
func (e *ErrorEnvelope) GetStatus() int { return e.StatusCode }

func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, _ string, _ ...error) huma.StatusError {
		return humaError(status)
	}
	huma.NewErrorWithContext = func(hc huma.Context, status int, _ string, errs ...error) huma.StatusError {
		e := humaError(status)
		info := infoOf(hc.Context())
		e.Path, e.RequestID, e.Timestamp = info.path, info.id, Timestamp(info.started)
		info.note(errors.Join(errs...))
		return e
	}
}

// humaError stands for a failure that huma found by itself, which intake
// should have found before.
func humaError(status int) *ErrorEnvelope {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	return &ErrorEnvelope{StatusCode: status, Message: http.StatusText(status)}
}

// codedError gives every error a code and a message that is safe to show.
func codedError(err error) *apperr.Error {
	var coded *apperr.Error
	switch {
	case errors.As(err, &coded):
		if coded.Code == apperr.Internal || statuses[coded.Code] == 0 {
			break
		}
		return coded
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return apperr.Wrap(apperr.Unavailable, err, "The request took too long; try again.")
	}
	return apperr.Wrap(apperr.Internal, err, "Something went wrong on our side.")
}

// defaultRetryAfter is what a client is told to wait where nothing better is
// known.
const defaultRetryAfter = 2 * time.Second

// writeError renders any error; every failed request ends here.
func (s *server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	info := infoOf(r.Context())
	coded := codedError(err)
	status := statuses[coded.Code]
	if status >= http.StatusInternalServerError {
		s.log.LogAttrs(r.Context(), slog.LevelError, "request failed",
			slog.String("requestId", info.id), slog.Int("status", status), slog.Any("error", err))
	}
	header := w.Header()
	for _, name := range []string{"ETag", "Location", "Last-Modified"} {
		header.Del(name)
	}
	switch coded.Code {
	case apperr.Unauthenticated:
		header.Set("WWW-Authenticate", "Bearer")
	case apperr.TooManyRequests, apperr.Unavailable:
		wait := coded.RetryAfter
		if wait <= 0 {
			wait = defaultRetryAfter
		}
		header.Set("Retry-After", wholeSeconds(wait))
	}
	envelope := ErrorEnvelope{
		StatusCode: status,
		Timestamp:  Timestamp(s.now()),
		Path:       info.path,
		Message:    coded.Message,
		Errors:     fieldFaults(coded.Fields),
		RequestID:  info.id,
	}
	body, err := encode(envelope)
	if err != nil { // cannot happen: the envelope holds strings and numbers
		body = []byte(fmt.Sprintf(`{"success":false,"statusCode":%d}`, status))
	}
	writeBody(w, status, body)
}

// maxFaults bounds an answer: a body of a million unknown fields is told about
// its first hundred.
const maxFaults = 100

func fieldFaults(fields []apperr.Field) []FieldFault {
	if len(fields) == 0 {
		return nil
	}
	if len(fields) > maxFaults {
		fields = fields[:maxFaults]
	}
	faults := make([]FieldFault, len(fields))
	for i, f := range fields {
		faults[i] = FieldFault{Field: f.Name, Message: f.Message}
	}
	return faults
}

// encode is JSON without HTML escapes, so that stored JSON keeps its bytes.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// writeBody sends a JSON body that has been encoded in full.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	writeTyped(w, status, "application/json; charset=utf-8", body)
}

func writeTyped(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
