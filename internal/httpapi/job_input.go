package httpapi

import (
	"encoding/json"

	"github.com/cronjobs/cronjobs/internal/job"
)

// jobBody is what creating and replacing a job take.
type jobBody struct {
	JobFields
	CategoryID int64 `json:"categoryId" minimum:"1" maximum:"9007199254740991"`
}

// JobFields are what creating, replacing and importing take alike.
type JobFields struct {
	Name        string `json:"name" checked:"later" pattern:"^\\s*[A-Za-z0-9_-]([A-Za-z0-9 _-]{0,98}[A-Za-z0-9_-])?\\s*$" patternDescription:"1 to 100 ASCII letters, digits, spaces, - and _" doc:"1 to 100 letters, digits, spaces, - and _; unique whatever its case." example:"Nightly report"`
	Description string `json:"description" minLength:"10" maxLength:"1000" pattern:"^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$" patternDescription:"text without control characters"`
	CronPattern string `json:"cronPattern" checked:"later" minLength:"1" maxLength:"100" doc:"Five fields, six with leading seconds, or a macro such as @daily." example:"0 2 * * *"`
	URL         string `json:"url" checked:"later" maxLength:"2048" pattern:"^[Hh][Tt][Tt][Pp][Ss]?://" patternDescription:"a URL that begins with http:// or https://" doc:"http or https, at most 2048 characters, without a user name." example:"https://example.com/report"`

	Timezone      Optional[string]            `json:"timezone,omitzero" maxLength:"64" absent:"UTC" doc:"A name of the IANA time zone database."`
	Method        Optional[string]            `json:"method,omitzero" enum:"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS" absent:"GET"`
	Headers       Optional[map[string]string] `json:"headers,omitzero" nullable:"true" doc:"At most 50 and 16 KiB. Names are kept as they are written, are the same in any case, and are sent as X-Some-Name. ******** keeps a stored secret value."`
	SecretHeaders Optional[[]string]          `json:"secretHeaders,omitzero" maxItems:"50" doc:"Headers whose values are never shown again, besides Authorization, Proxy-Authorization, Cookie, X-Api-Key and those with token, secret or password in their name."`
	Body          Optional[json.RawMessage]   `json:"body,omitzero" doc:"Any JSON up to 64 KiB, sent byte for byte, though answers show it without insignificant space; a string is sent as the text it holds. ******** keeps a stored secret body."`
	BodySecret    Optional[bool]              `json:"bodySecret,omitzero" absent:"false" doc:"The body is never shown again."`
	Timeout       Optional[int64]             `json:"timeout,omitzero" minimum:"1000" maximum:"300000" absent:"30000" doc:"Milliseconds."`
	RetryAttempts Optional[int64]             `json:"retryAttempts,omitzero" minimum:"0" maximum:"5" absent:"3"`
	RetryDelay    Optional[int64]             `json:"retryDelay,omitzero" minimum:"0" maximum:"3600000" absent:"1000" doc:"Milliseconds."`
	RetryBackoff  Optional[string]            `json:"retryBackoff,omitzero" enum:"fixed,exponential" absent:"fixed"`
	OverlapPolicy Optional[string]            `json:"overlapPolicy,omitzero" enum:"allow,skip" absent:"allow" doc:"Whether a run that is due while another runs is made too."`
	MisfirePolicy Optional[string]            `json:"misfirePolicy,omitzero" enum:"fire_once,skip,fire_all" absent:"fire_once" doc:"What happens to instants that passed while the system did not run."`
	MaxRedirects  Optional[int64]             `json:"maxRedirects,omitzero" minimum:"0" maximum:"5" absent:"0" doc:"A redirect beyond them is a failure."`
	Status        Optional[string]            `json:"status,omitzero" enum:"active,inactive" absent:"active"`
}

func (b jobBody) input() job.Input {
	in := b.JobFields.input()
	in.CategoryID = &b.CategoryID
	return in
}

func (b JobFields) input() job.Input {
	return jobChange{
		Name: Some(b.Name), Description: Some(b.Description), CronPattern: Some(b.CronPattern), URL: Some(b.URL),
		Timezone: b.Timezone, Method: b.Method, Headers: b.Headers, SecretHeaders: b.SecretHeaders,
		Body: b.Body, BodySecret: b.BodySecret, Timeout: b.Timeout,
		RetryAttempts: b.RetryAttempts, RetryDelay: b.RetryDelay, RetryBackoff: b.RetryBackoff,
		OverlapPolicy: b.OverlapPolicy, MisfirePolicy: b.MisfirePolicy, MaxRedirects: b.MaxRedirects, Status: b.Status,
	}.input()
}

// jobChange is what patching a job takes: the fields that shall change.
type jobChange struct {
	Name          Optional[string]            `json:"name,omitzero" checked:"later" pattern:"^\\s*[A-Za-z0-9_-]([A-Za-z0-9 _-]{0,98}[A-Za-z0-9_-])?\\s*$" patternDescription:"1 to 100 ASCII letters, digits, spaces, - and _" doc:"1 to 100 letters, digits, spaces, - and _; unique whatever its case."`
	Description   Optional[string]            `json:"description,omitzero" minLength:"10" maxLength:"1000" pattern:"^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$" patternDescription:"text without control characters"`
	CronPattern   Optional[string]            `json:"cronPattern,omitzero" checked:"later" minLength:"1" maxLength:"100" doc:"Five fields, six with leading seconds, or a macro such as @daily."`
	CategoryID    Optional[int64]             `json:"categoryId,omitzero" minimum:"1" maximum:"9007199254740991"`
	URL           Optional[string]            `json:"url,omitzero" checked:"later" maxLength:"2048" pattern:"^[Hh][Tt][Tt][Pp][Ss]?://" patternDescription:"a URL that begins with http:// or https://" doc:"http or https, at most 2048 characters, without a user name. With another scheme, host or port the secrets must be entered again."`
	Timezone      Optional[string]            `json:"timezone,omitzero" maxLength:"64" doc:"A name of the IANA time zone database."`
	Method        Optional[string]            `json:"method,omitzero" enum:"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"`
	Headers       Optional[map[string]string] `json:"headers,omitzero" nullable:"true" doc:"All headers; null for none. ******** keeps a stored secret value."`
	SecretHeaders Optional[[]string]          `json:"secretHeaders,omitzero" maxItems:"50"`
	Body          Optional[json.RawMessage]   `json:"body,omitzero" doc:"Null for none. ******** keeps a stored secret body."`
	BodySecret    Optional[bool]              `json:"bodySecret,omitzero"`
	Timeout       Optional[int64]             `json:"timeout,omitzero" minimum:"1000" maximum:"300000" doc:"Milliseconds."`
	RetryAttempts Optional[int64]             `json:"retryAttempts,omitzero" minimum:"0" maximum:"5"`
	RetryDelay    Optional[int64]             `json:"retryDelay,omitzero" minimum:"0" maximum:"3600000" doc:"Milliseconds."`
	RetryBackoff  Optional[string]            `json:"retryBackoff,omitzero" enum:"fixed,exponential"`
	OverlapPolicy Optional[string]            `json:"overlapPolicy,omitzero" enum:"allow,skip"`
	MisfirePolicy Optional[string]            `json:"misfirePolicy,omitzero" enum:"fire_once,skip,fire_all"`
	MaxRedirects  Optional[int64]             `json:"maxRedirects,omitzero" minimum:"0" maximum:"5"`
	Status        Optional[string]            `json:"status,omitzero" enum:"active,inactive" doc:"Active also restarts a job that the system has stopped."`
}

func (b jobChange) input() job.Input {
	return job.Input{
		Name: b.Name.Ptr(), Description: b.Description.Ptr(), CronPattern: b.CronPattern.Ptr(),
		Timezone: b.Timezone.Ptr(), CategoryID: b.CategoryID.Ptr(), URL: b.URL.Ptr(), Method: b.Method.Ptr(),
		Headers: nullable(b.Headers), SecretHeaders: b.SecretHeaders.Ptr(),
		Body: nullable(b.Body), BodySecret: b.BodySecret.Ptr(), Timeout: b.Timeout.Ptr(),
		RetryAttempts: b.RetryAttempts.Ptr(), RetryDelay: b.RetryDelay.Ptr(), RetryBackoff: b.RetryBackoff.Ptr(),
		OverlapPolicy: b.OverlapPolicy.Ptr(), MisfirePolicy: b.MisfirePolicy.Ptr(),
		MaxRedirects: b.MaxRedirects.Ptr(), Status: b.Status.Ptr(),
	}
}
