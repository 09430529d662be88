package mysql

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// requestRow is a row of job_requests. Secret values are kept apart from the
// others: all that must be sealed is sealed in one piece, bound to (job_id,
// revision), and a row without secrets needs no key.
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
	sealed        []byte // sealedValues, sealed; NULL where there is none
}

// secretHeaders is what the column of that name holds.
type secretHeaders struct {
	// Names are those that the job lists, beyond the well-known ones.
	Names []string `json:"names,omitempty"`
	// Values are those of secret headers that are not sealed: masks that stand
	// for a value that was never entered, and all of them in a row from before
	// secrets were sealed.
	Values map[string]string `json:"values,omitempty"`
	// Sealed are the headers, and whether the body, that sealedValues holds.
	Sealed     []string `json:"sealed,omitempty"`
	SealedBody bool     `json:"sealedBody,omitempty"`
}

// sealedValues are the secret values of a request.
type sealedValues struct {
	Headers map[string]string `json:"headers,omitempty"`
	Body    []byte            `json:"body,omitempty"`
}

// requestPlace is where the secrets of a revision belong.
func requestPlace(jobID int64, revision int) secret.Place {
	return secret.Place{Table: "job_requests", Row: fmt.Sprintf("%d/%d", jobID, revision), Field: "sealed"}
}

// requestColumnsOfR are what requestRow.targets reads, in its order, of
// job_requests under the alias r.
const requestColumnsOfR = `r.method, r.url, r.headers, r.secret_headers, r.body, r.body_secret, r.timeout_ms,
	r.max_redirects, r.retry_attempts, r.retry_delay_ms, r.retry_backoff, r.overlap_policy, r.sealed`

func (r *requestRow) targets() []any {
	return []any{
		&r.method, &r.url, &r.headers, &r.secretHeaders, &r.body, &r.bodySecret, &r.timeoutMS,
		&r.maxRedirects, &r.retryAttempts, &r.retryDelayMS, &r.retryBackoff, &r.overlapPolicy,
		&r.sealed,
	}
}

// request turns the row into the request it stores. Sealed values stay closed:
// masks stand in their places.
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
		Sealed:        r.sealed,
	}
	if r.headers != nil {
		if err := json.Unmarshal(r.headers, &request.Headers); err != nil {
			return job.Request{}, fmt.Errorf("stored headers: %w", err)
		}
	}
	if r.secretHeaders == nil {
		return request, nil
	}
	var kept secretHeaders
	if err := json.Unmarshal(r.secretHeaders, &kept); err != nil {
		return job.Request{}, fmt.Errorf("stored secret headers: %w", err)
	}
	if kept.Names != nil {
		request.SecretHeaders = kept.Names
	}
	for name, value := range kept.Values {
		setHeader(&request, name, value)
	}
	for _, name := range kept.Sealed {
		setHeader(&request, name, job.Mask)
	}
	if kept.SealedBody {
		request.Body = job.MaskedBody()
	}
	return request, nil
}

// readable is the request without the headers that cannot be read.
func (r requestRow) readable() (job.Request, error) {
	r.headers = nil
	request, err := r.request()
	if err != nil {
		// Which headers are secret is not known, so none may be opened.
		r.secretHeaders, r.sealed = nil, nil
		request, err = r.request()
	}
	request.Unreadable = true
	return request, err
}

func setHeader(request *job.Request, name, value string) {
	if request.Headers == nil {
		request.Headers = map[string]string{}
	}
	request.Headers[name] = value
}

// openRequest puts the values in the places of their masks. With an error the
// masks stand, and so does Sealed.
func openRequest(ctx context.Context, ring *secret.Ring, q querier, jobID int64, revision int, request *job.Request) error {
	if request.Sealed == nil {
		return nil
	}
	text, err := ring.Open(ctx, storedKeys(q), requestPlace(jobID, revision), request.Sealed)
	if err != nil {
		return fmt.Errorf("job %d, revision %d: %w", jobID, revision, err)
	}
	var values sealedValues
	if err := json.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("job %d, revision %d: %w: the text inside is damaged", jobID, revision, secret.ErrUnreadable)
	}
	for name, value := range values.Headers {
		setHeader(request, name, value)
	}
	if values.Body != nil {
		request.Body = values.Body
	}
	request.Sealed = nil
	return nil
}

// openForPerson is openRequest for somebody who changes a job: values that
// cannot be opened stay closed, and only what needs them is refused.
func openForPerson(ctx context.Context, ring *secret.Ring, q querier, j *job.Job) error {
	err := openRequest(ctx, ring, q, j.ID, j.Revision, &j.Request)
	if err != nil && isDatabase(err) {
		return err
	}
	if err != nil {
		slog.ErrorContext(ctx, "the secrets of a job cannot be opened", "jobId", j.ID, "err", err)
	}
	return nil
}

// insertRequest stores a revision of a job's request.
func insertRequest(ctx context.Context, q querier, seal *sealer, jobID int64, revision int, r job.Request, now time.Time) error {
	row, err := requestRecord(ctx, seal, jobID, revision, r, now)
	if err != nil {
		return err
	}
	_, err = exec(ctx, q, dialect.Insert("job_requests").Rows(row))
	return err
}

// requestRecord is the row of a revision of a job's request.
func requestRecord(ctx context.Context, seal *sealer, jobID int64, revision int, r job.Request, now time.Time) (goqu.Record, error) {
	if r.Sealed != nil {
		return nil, fmt.Errorf("job %d: the secrets of the request are closed, and would be lost", jobID)
	}
	secrets, err := secretColumns(ctx, seal, jobID, revision, r)
	if err != nil {
		return nil, err
	}
	plain := map[string]string{}
	for name, value := range r.Headers {
		if !job.IsSecretValue(name, value, r.SecretHeaders) {
			plain[name] = value
		}
	}
	headers, err := jsonOrNull(plain, len(plain) == 0)
	if err != nil {
		return nil, err
	}
	names := r.SecretNames()
	used, err := jsonOrNull(names, len(names) == 0)
	if err != nil {
		return nil, err
	}
	row := goqu.Record{
		"job_id":         jobID,
		"revision":       revision,
		"method":         r.Method,
		"url":            r.URL,
		"headers":        headers,
		"secret_names":   used,
		"body_secret":    r.BodySecret,
		"timeout_ms":     r.Timeout.Milliseconds(),
		"max_redirects":  r.MaxRedirects,
		"retry_attempts": r.Retry.Attempts,
		"retry_delay_ms": r.Retry.Delay.Milliseconds(),
		"retry_backoff":  string(r.Retry.Backoff),
		"overlap_policy": string(r.OverlapPolicy),
		"created_at":     utc(now),
	}
	maps.Copy(row, secrets)
	return row, nil
}

// secretColumns are the columns that hold, or may hold, secrets.
func secretColumns(ctx context.Context, seal *sealer, jobID int64, revision int, r job.Request) (goqu.Record, error) {
	kept := secretHeaders{Names: r.SecretHeaders, Values: map[string]string{}}
	values := sealedValues{Headers: map[string]string{}}
	for name, value := range r.Headers {
		switch {
		case !job.IsSecretValue(name, value, r.SecretHeaders):
		case value == job.Mask: // never entered
			kept.Values[name] = value
		default:
			values.Headers[name] = value
			kept.Sealed = append(kept.Sealed, name)
		}
	}
	slices.Sort(kept.Sealed)
	row := goqu.Record{"body": nil, "sealed": nil, "key_version": nil}
	switch {
	case r.Body == nil:
	case r.BodySecret && !bytes.Equal(bytes.TrimSpace(r.Body), job.MaskedBody()):
		values.Body, kept.SealedBody = r.Body, true
	default:
		row["body"] = r.Body
	}
	var err error
	if row["secret_headers"], err = jsonOrNull(kept, len(kept.Names)+len(kept.Values)+len(kept.Sealed) == 0 && !kept.SealedBody); err != nil {
		return nil, err
	}
	if len(kept.Sealed) == 0 && !kept.SealedBody {
		return row, nil
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	row["sealed"], row["key_version"], err = anySealed(seal.seal(ctx, requestPlace(jobID, revision), text))
	return row, err
}

func anySealed(sealed []byte, version int, err error) (any, any, error) { return sealed, version, err }

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
