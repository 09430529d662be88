package job

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/schedule"
)

// Nullable is a field that can be absent, null or a value.
type Nullable[T any] struct {
	Given bool
	Value *T // nil with Given: null
}

// Input is what a person writes of a job, before any check. A nil field was
// not given; what that means depends on the operation.
type Input struct {
	Name          *string
	Description   *string
	CronPattern   *string
	Timezone      *string
	CategoryID    *int64
	URL           *string
	Method        *string
	Headers       Nullable[map[string]string]
	SecretHeaders *[]string
	Body          Nullable[json.RawMessage]
	BodySecret    *bool
	Timeout       *int64 // milliseconds
	RetryAttempts *int64
	RetryDelay    *int64 // milliseconds
	RetryBackoff  *string
	OverlapPolicy *string
	MisfirePolicy *string
	MaxRedirects  *int64
	Status        *string

	// importing lets a masked secret stand that nothing is stored for: the job
	// is inactive then, until somebody enters it.
	importing bool
}

// Bounds and defaults of a job.
const (
	DefaultTimezone      = "UTC"
	DefaultTimeout       = 30 * time.Second
	DefaultRetryAttempts = 3
	DefaultRetryDelay    = time.Second

	minTimeout       = time.Second
	maxTimeout       = 300 * time.Second
	maxRetryAttempts = 5
	maxRetryDelay    = time.Hour
	maxRedirects     = 5
	maxBody          = 64 << 10
)

// Methods are the methods that a job may use.
var Methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

// Defaults is a job in which only what has a default is set.
func Defaults() Job {
	return Job{
		Timezone: DefaultTimezone,
		Request: Request{
			Method:        "GET",
			SecretHeaders: []string{},
			Timeout:       DefaultTimeout,
			Retry: execution.RetryPolicy{
				Attempts: DefaultRetryAttempts,
				Delay:    DefaultRetryDelay,
				Backoff:  execution.Fixed,
			},
			OverlapPolicy: OverlapAllow,
		},
		MisfirePolicy: MisfireFireOnce,
		Status:        Active,
	}
}

// Check names the faults that can be seen without the stored job, for a form
// that is at fault already; a field that is missing is not one of them here.
// onCreate says that the input makes a new job, which has no secrets to keep.
func (in Input) Check(onCreate bool) error {
	var f apperr.Faults
	j := Defaults()
	j.Name, j.Description, j.CronPattern, j.CategoryID, j.Request.URL = "-", "-", "@daily", 1, "-"
	in.checkFields(&f, &j, &CategoryRef{}, time.Unix(0, 0))
	if onCreate {
		in.keepSecrets(&f, &j.Request, nil)
	}
	return f.Err()
}

// check lays the input over base and returns the whole job that results, or an
// Invalid error that names every fault. Where base lacks a required field the
// input must bring it. stored is the job's present request, the source of
// secrets that are kept; nil on creation. category is the one that the job
// shall be in; nil when there is none.
func (in Input) check(base Job, stored *Request, category *CategoryRef, now time.Time) (Job, error) {
	var f apperr.Faults
	j := base
	j.Request.Headers = maps.Clone(base.Request.Headers)
	in.checkFields(&f, &j, category, now)
	in.keepSecrets(&f, &j.Request, stored)
	in.checkMissingSecrets(&f, &j)
	return j, f.Err()
}

func (in Input) checkFields(f *apperr.Faults, j *Job, category *CategoryRef, now time.Time) {
	if required(f, "name", in.Name, j.Name == "") {
		j.Name = checkName(f, *in.Name)
	}
	if required(f, "description", in.Description, j.Description == "") {
		j.Description = *in.Description
		checkDescription(f, j.Description)
	}
	in.checkSchedule(f, j, now)
	if required(f, "categoryId", in.CategoryID, j.CategoryID == 0) {
		j.CategoryID = *in.CategoryID
		if category == nil {
			f.Add("categoryId", "there is no such category")
		}
	}
	if category != nil {
		j.Category = *category
	}
	in.checkRequest(f, &j.Request)
	j.MisfirePolicy = oneOf(f, "misfirePolicy", in.MisfirePolicy, j.MisfirePolicy,
		MisfireFireOnce, MisfireSkip, MisfireFireAll)
	j.Status = oneOf(f, "status", in.Status, j.Status, Active, Inactive)
}

// checkSchedule checks pattern and zone, of which the input may bring either.
func (in Input) checkSchedule(f *apperr.Faults, j *Job, now time.Time) {
	hasPattern := required(f, "cronPattern", in.CronPattern, j.CronPattern == "")
	if hasPattern {
		j.CronPattern = *in.CronPattern
	}
	if in.Timezone != nil {
		j.Timezone = *in.Timezone
	}
	if !hasPattern && in.Timezone == nil {
		return
	}
	pattern := j.CronPattern
	if pattern == "" && !hasPattern {
		pattern = "@daily" // missing, which is noted; look at the zone alone
	}
	parsed, err := schedule.Parse(pattern, j.Timezone)
	if err != nil {
		addScheduleFaults(f, err)
		return
	}
	j.Timezone = parsed.Zone()
	if _, ok := parsed.Next(now); !ok {
		f.Add("cronPattern", "never fires")
	}
}

// ParseSchedule reads a pattern in a time zone. Its error names the fields
// cronPattern and timezone.
func ParseSchedule(pattern, timezone string) (*schedule.Schedule, error) {
	parsed, err := schedule.Parse(pattern, timezone)
	if err != nil {
		var f apperr.Faults
		addScheduleFaults(&f, err)
		return nil, f.Err()
	}
	return parsed, nil
}

func addScheduleFaults(f *apperr.Faults, err error) {
	for _, fault := range schedule.SyntaxErrors(err) {
		field := "cronPattern"
		if fault.InZone {
			field = "timezone"
		}
		f.Add(field, fault.Message)
	}
}

func (in Input) checkRequest(f *apperr.Faults, r *Request) {
	if required(f, "url", in.URL, r.URL == "") {
		stored, err := storedURL(*in.URL)
		if err != nil {
			f.Add("url", err.Error())
		} else {
			r.URL = stored
		}
	}
	r.Method = oneOf(f, "method", in.Method, r.Method, Methods...)
	if in.Headers.Given {
		r.Headers, r.Unreadable = nil, false
		if in.Headers.Value != nil {
			r.Headers = checkHeaders(f, *in.Headers.Value)
		}
	}
	if in.SecretHeaders != nil {
		r.SecretHeaders = checkSecretHeaders(f, *in.SecretHeaders)
	}
	if in.Body.Given {
		r.Body = nil
		if in.Body.Value != nil {
			r.Body = checkBody(f, *in.Body.Value)
		}
	}
	if in.BodySecret != nil {
		r.BodySecret = *in.BodySecret
	}
	r.Timeout = milliseconds(f, "timeout", in.Timeout, r.Timeout, minTimeout, maxTimeout)
	r.Retry.Attempts = number(f, "retryAttempts", in.RetryAttempts, r.Retry.Attempts, 0, maxRetryAttempts)
	r.Retry.Delay = milliseconds(f, "retryDelay", in.RetryDelay, r.Retry.Delay, 0, maxRetryDelay)
	r.Retry.Backoff = oneOf(f, "retryBackoff", in.RetryBackoff, r.Retry.Backoff,
		execution.Fixed, execution.Exponential)
	r.OverlapPolicy = oneOf(f, "overlapPolicy", in.OverlapPolicy, r.OverlapPolicy, OverlapAllow, OverlapSkip)
	r.MaxRedirects = number(f, "maxRedirects", in.MaxRedirects, r.MaxRedirects, 0, maxRedirects)
}

// checkBody returns the JSON as it was written, without space around it; nil
// for null, which means no body.
func checkBody(f *apperr.Faults, raw json.RawMessage) []byte {
	body := bytes.TrimSpace(raw)
	switch {
	case len(body) > maxBody:
		f.Addf("body", "must have at most %d bytes", maxBody)
	case !utf8.Valid(body) || !json.Valid(body):
		f.Add("body", "must be valid JSON")
	case bytes.Equal(body, []byte("null")):
		return nil
	}
	checkSecretNames(f, "body", string(body))
	return bytes.Clone(body)
}

// required reports whether the field was given; a fault where it had to be.
func required[T any](f *apperr.Faults, field string, given *T, needed bool) bool {
	if given == nil && needed {
		f.Add(field, missing)
	}
	return given != nil
}

func oneOf[T ~string](f *apperr.Faults, field string, given *string, otherwise T, allowed ...T) T {
	if given == nil {
		return otherwise
	}
	if !slices.Contains(allowed, T(*given)) {
		list := ""
		for i, one := range allowed {
			if i > 0 {
				list += ", "
			}
			list += string(one)
		}
		f.Add(field, "must be one of "+list)
	}
	return T(*given)
}

func number(f *apperr.Faults, field string, given *int64, otherwise, low, high int) int {
	if given == nil {
		return otherwise
	}
	if *given < int64(low) || *given > int64(high) {
		f.Addf(field, "must be between %d and %d", low, high)
		return otherwise
	}
	return int(*given)
}

func milliseconds(f *apperr.Faults, field string, given *int64, otherwise, low, high time.Duration) time.Duration {
	n := number(f, field, given, int(otherwise/time.Millisecond), int(low/time.Millisecond), int(high/time.Millisecond))
	return time.Duration(n) * time.Millisecond
}

func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

func sortedNames(headers map[string]string) []string { return slices.Sorted(maps.Keys(headers)) }
