package mysql

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// requestRow is a row of job_requests. Secret header values are kept apart
// from the others, in secret_headers, so that a value which must be sealed is
// sealed in one piece, bound to (job_id, revision), and a row without secrets
// needs no key.
type requestRow struct {
	method        string
	url           string
	headers       []byte // JSON object of the values that are no secret; NULL
	secretHeaders []byte // JSON of secretHeaders; NULL
	body          []byte
	bodySecret    bool
	timeoutMS     int64
	maxRedirects  int
	retryAttempts int
	retryDelayMS  int64
	retryBackoff  string
	overlapPolicy string
}

// secretHeaders is what the column of that name holds.
type secretHeaders struct {
	// Names are those that the job lists, beyond the well-known ones.
	Names []string `json:"names,omitempty"`
	// Values are those of every secret header, well-known or listed.
	Values map[string]string `json:"values,omitempty"`
}

// requestColumnsOfR are what requestRow.targets reads, in its order, of
// job_requests under the alias r.
const requestColumnsOfR = `r.method, r.url, r.headers, r.secret_headers, r.body, r.body_secret, r.timeout_ms,
	r.max_redirects, r.retry_attempts, r.retry_delay_ms, r.retry_backoff, r.overlap_policy`

func (r *requestRow) targets() []any {
	return []any{
		&r.method, &r.url, &r.headers, &r.secretHeaders, &r.body, &r.bodySecret, &r.timeoutMS,
		&r.maxRedirects, &r.retryAttempts, &r.retryDelayMS, &r.retryBackoff, &r.overlapPolicy,
	}
}

// request turns the row into the request it stores.
func (r *requestRow) request() (job.Request, error) {
	request := job.Request{
		Method:        r.method,
		URL:           r.url,
		SecretHeaders: []string{},
		Body:          r.body,
		BodySecret:    r.bodySecret,
		Timeout:       time.Duration(r.timeoutMS) * time.Millisecond,
		MaxRedirects:  r.maxRedirects,
		Retry: execution.RetryPolicy{
			Attempts: r.retryAttempts,
			Delay:    time.Duration(r.retryDelayMS) * time.Millisecond,
			Backoff:  execution.Backoff(r.retryBackoff),
		},
		OverlapPolicy: job.OverlapPolicy(r.overlapPolicy),
	}
	if r.headers != nil {
		if err := json.Unmarshal(r.headers, &request.Headers); err != nil {
			return job.Request{}, fmt.Errorf("stored headers: %w", err)
		}
	}
	if r.secretHeaders == nil {
		return request, nil
	}
	var secret secretHeaders
	if err := json.Unmarshal(r.secretHeaders, &secret); err != nil {
		return job.Request{}, fmt.Errorf("stored secret headers: %w", err)
	}
	if secret.Names != nil {
		request.SecretHeaders = secret.Names
	}
	for name, value := range secret.Values {
		if request.Headers == nil {
			request.Headers = map[string]string{}
		}
		request.Headers[name] = value
	}
	return request, nil
}

// insertRequest stores a revision of a job's request.
func insertRequest(ctx context.Context, q querier, jobID int64, revision int, r job.Request, now time.Time) error {
	row, err := requestRecord(jobID, revision, r, now)
	if err != nil {
		return err
	}
	_, err = exec(ctx, q, dialect.Insert("job_requests").Rows(row))
	return err
}

// requestRecord is the row of a revision of a job's request.
func requestRecord(jobID int64, revision int, r job.Request, now time.Time) (goqu.Record, error) {
	plain := map[string]string{}
	secret := secretHeaders{Names: r.SecretHeaders, Values: map[string]string{}}
	for name, value := range r.Headers {
		if job.IsSecretHeader(name, r.SecretHeaders) {
			secret.Values[name] = value
		} else {
			plain[name] = value
		}
	}
	headers, err := jsonOrNull(plain, len(plain) == 0)
	if err != nil {
		return nil, err
	}
	secrets, err := jsonOrNull(secret, len(secret.Names)+len(secret.Values) == 0)
	if err != nil {
		return nil, err
	}
	var body any
	if r.Body != nil {
		body = r.Body
	}
	return goqu.Record{
		"job_id":         jobID,
		"revision":       revision,
		"method":         r.Method,
		"url":            r.URL,
		"headers":        headers,
		"secret_headers": secrets,
		"body":           body,
		"body_secret":    r.BodySecret,
		"timeout_ms":     r.Timeout.Milliseconds(),
		"max_redirects":  r.MaxRedirects,
		"retry_attempts": r.Retry.Attempts,
		"retry_delay_ms": r.Retry.Delay.Milliseconds(),
		"retry_backoff":  string(r.Retry.Backoff),
		"overlap_policy": string(r.OverlapPolicy),
		"created_at":     utc(now),
	}, nil
}

// jsonOrNull is the JSON text of v, or NULL.
func jsonOrNull(v any, null bool) (any, error) {
	if null {
		return nil, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return string(text), nil
}
