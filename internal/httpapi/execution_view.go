package httpapi

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// ExecutionItem is an execution as lists show it.
type ExecutionItem struct {
	ID             int64             `json:"id"`
	JobID          int64             `json:"jobId"`
	JobName        string            `json:"jobName"`
	Trigger        execution.Trigger `json:"trigger" enum:"schedule,manual,replay"`
	ScheduledFor   Timestamp         `json:"scheduledFor"`
	Status         execution.Status  `json:"status" enum:"pending,queued,running,success,failed,skipped,missed,cancelled,abandoned"`
	Reason         *string           `json:"reason" nullable:"true" doc:"Why it did not run, or not to its end."`
	StartedAt      *Timestamp        `json:"startedAt" nullable:"true" doc:"Start of the first attempt."`
	EndedAt        *Timestamp        `json:"endedAt" nullable:"true" doc:"End of the last attempt."`
	Duration       *int64            `json:"duration" nullable:"true" doc:"From startedAt to endedAt, in milliseconds."`
	Lateness       *int64            `json:"lateness" nullable:"true" doc:"From scheduledFor to startedAt, in milliseconds."`
	Attempt        int               `json:"attempt" doc:"Counted from 1."`
	ResponseStatus *int              `json:"responseStatus" nullable:"true" example:"200"`
	Error          *failureView      `json:"error"`
}

// executionView is an execution with all that is known of it.
type executionView struct {
	ExecutionItem
	ResponseHeaders   map[string]string `json:"responseHeaders" nullable:"true" doc:"Viewers see those that tell of the answer's form, age and limits, and of links what stands before the query; the others masked."`
	ResponseBody      string            `json:"responseBody" doc:"The first 64 KiB; masked for viewers."`
	ResponseEncoding  string            `json:"responseEncoding" enum:"utf8,base64"`
	ResponseTruncated bool              `json:"responseTruncated"`
	Attempts          []attemptView     `json:"attempts"`
}

type failureView struct {
	Kind    execution.ErrorKind `json:"kind" enum:"dns,connect,tls,timeout,reset,protocol,blocked_address,blocked_secret,redirect,http_status,too_large,cancelled,internal"`
	Message string              `json:"message"`
}

// TransformSchema documents that an error may be null.
func (*failureView) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Nullable = true
	return s
}

// attemptView is one call. Its phases are milliseconds, null where a phase did
// not happen.
type attemptView struct {
	Attempt        int          `json:"attempt"`
	StartedAt      Timestamp    `json:"startedAt"`
	EndedAt        Timestamp    `json:"endedAt"`
	Duration       int64        `json:"duration" doc:"In milliseconds."`
	ResponseStatus *int         `json:"responseStatus" nullable:"true"`
	Error          *failureView `json:"error"`
	DNS            *float64     `json:"dns" nullable:"true"`
	Connect        *float64     `json:"connect" nullable:"true"`
	TLS            *float64     `json:"tls" nullable:"true"`
	TTFB           *float64     `json:"ttfb" nullable:"true" doc:"Until the first byte of the answer."`
	Total          *float64     `json:"total" nullable:"true"`
}

func newExecutionItem(e execution.Execution) ExecutionItem {
	item := ExecutionItem{
		ID: e.ID, JobID: e.JobID, JobName: e.JobName, Trigger: e.Trigger,
		ScheduledFor: Timestamp(e.ScheduledFor), Status: e.Status,
		StartedAt: timestampOf(e.StartedAt), EndedAt: timestampOf(e.EndedAt),
		Attempt: e.Attempt, ResponseStatus: nonZero(e.ResponseStatus), Error: newFailureView(e.Failure),
	}
	if e.Reason != "" {
		item.Reason = &e.Reason
	}
	if d, ok := e.Duration(); ok {
		item.Duration = milliseconds(d)
	}
	if d, ok := e.Lateness(); ok {
		item.Lateness = milliseconds(d)
	}
	return item
}

// maskedBody is what a viewer sees in place of an answer, which may hold what
// the job's target tells to nobody else.
const maskedBody = "********"

// newExecutionView shows an execution to somebody of a role. The answer shown
// is that of the last attempt that counted.
func newExecutionView(e execution.Execution, role account.Role) executionView {
	view := executionView{
		ExecutionItem:    newExecutionItem(e),
		ResponseEncoding: "utf8",
		Attempts:         make([]attemptView, len(e.Attempts)),
	}
	var last *execution.Response
	for i, a := range e.Attempts {
		view.Attempts[i] = newAttemptView(a)
		if !a.Late {
			last = a.Response
		}
	}
	if last == nil {
		return view
	}
	view.ResponseTruncated = last.Truncated
	view.ResponseHeaders = make(map[string]string, len(last.Headers))
	for name, values := range last.Headers {
		view.ResponseHeaders[name] = strings.Join(values, ", ")
	}
	if !role.Includes(account.Operator) {
		maskAnswerHeaders(view.ResponseHeaders)
		if len(last.Body) > 0 {
			view.ResponseBody = maskedBody
		}
		return view
	}
	view.ResponseBody, view.ResponseEncoding = bodyText(last.Body, last.Truncated)
	return view
}

// shownHeaders are those of an answer that everybody may read: they tell of its
// form, its age and its limits, and admit nobody to anything. What others say, a
// target may have said to its caller alone.
var shownHeaders = []string{
	"accept-ranges", "age", "allow", "cache-control", "connection", "content-encoding", "content-language",
	"content-length", "content-range", "content-type", "date", "deprecation", "etag", "expires", "keep-alive", "last-modified", "pragma",
	"proxy-connection", "ratelimit", "ratelimit-limit", "ratelimit-policy", "ratelimit-remaining", "ratelimit-reset", "retry-after", "server",
	"strict-transport-security", "sunset", "trailer", "transfer-encoding", "upgrade", "vary", "via",
	"x-content-type-options", "x-frame-options", "x-powered-by", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
}

// linkingHeaders say where to go on. Their queries, and whatever else lets in who
// has it, are hidden.
var linkingHeaders = []string{"content-location", "link", "location", "refresh"}

// maskAnswerHeaders hides what a target may have given to its caller alone:
// sessions, tokens, and links that let in whoever has them.
func maskAnswerHeaders(headers map[string]string) {
	for name, value := range headers {
		switch lower := strings.ToLower(name); {
		case slices.Contains(shownHeaders, lower):
		case slices.Contains(linkingHeaders, lower):
			headers[name] = maskedLink(value)
		default:
			headers[name] = maskedBody
		}
	}
}

// maskedLink shows where a link leads, without its query and what follows, and
// nothing of one that names a user.
func maskedLink(value string) string {
	if strings.Contains(value, "@") {
		return maskedBody
	}
	if query := strings.IndexAny(value, "?#"); query >= 0 {
		return value[:query+1] + maskedBody
	}
	return value
}

// bodyText shows bytes as text where they are text. What was cut off may have
// cut a character in two: its first part is left out then.
func bodyText(body []byte, truncated bool) (text, encoding string) {
	if len(body) > execution.MaxResponseBody {
		body, truncated = body[:execution.MaxResponseBody], true
	}
	whole := body
	if truncated {
		whole = withoutHalfRune(body)
	}
	if utf8.Valid(whole) {
		return string(whole), "utf8"
	}
	return base64.StdEncoding.EncodeToString(body), "base64"
}

// withoutHalfRune drops the beginning of a character at the end.
func withoutHalfRune(body []byte) []byte {
	for back := 1; back < utf8.UTFMax && back <= len(body); back++ {
		start := len(body) - back
		if utf8.RuneStart(body[start]) {
			if !utf8.FullRune(body[start:]) {
				return body[:start]
			}
			return body
		}
	}
	return body
}

func newAttemptView(a execution.Attempt) attemptView {
	view := attemptView{
		Attempt: a.Attempt, StartedAt: Timestamp(a.StartedAt), EndedAt: Timestamp(a.EndedAt),
		Duration: a.EndedAt.Sub(a.StartedAt).Milliseconds(), Error: newFailureView(a.Failure),
		DNS: phase(a.Timings.DNS), Connect: phase(a.Timings.Connect), TLS: phase(a.Timings.TLS),
		TTFB: phase(a.Timings.TTFB), Total: phase(a.Timings.Total),
	}
	if a.Response != nil {
		view.ResponseStatus = nonZero(a.Response.Status)
	}
	return view
}

func newFailureView(f *execution.Failure) *failureView {
	if f == nil {
		return nil
	}
	return &failureView{Kind: f.Kind, Message: f.Message}
}

func nonZero(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

func milliseconds(d time.Duration) *int64 {
	ms := d.Milliseconds()
	return &ms
}

// phase is a duration in milliseconds, to the microsecond.
func phase(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	ms := float64(d.Microseconds()) / 1000
	return &ms
}
