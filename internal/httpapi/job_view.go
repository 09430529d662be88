package httpapi

import (
	"context"
	"encoding/json"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// jobView is a job as the API shows it: secrets masked.
type jobView struct {
	ID            int64             `json:"id"`
	Name          string            `json:"name"`
	Description   string            `json:"description"`
	CronPattern   string            `json:"cronPattern"`
	Timezone      string            `json:"timezone"`
	CategoryID    int64             `json:"categoryId"`
	Category      jobCategoryView   `json:"category"`
	URL           string            `json:"url" doc:"Viewers see the values of its query masked."`
	Method        string            `json:"method" enum:"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"`
	Headers       map[string]string `json:"headers" nullable:"true" doc:"Secret values read as ********."`
	SecretHeaders []string          `json:"secretHeaders"`
	Body          json.RawMessage   `json:"body" doc:"The JSON value that is sent; null where there is none, ******** where it is secret."`
	BodySecret    bool              `json:"bodySecret"`
	// Omitted is in long lists alone, whose answer would be too large.
	Omitted             []string          `json:"omitted,omitempty" enum:"headers,body" doc:"What is left out here, and null, because the list would be too large; read the job itself for it."`
	Timeout             int64             `json:"timeout" doc:"Milliseconds."`
	RetryAttempts       int               `json:"retryAttempts"`
	RetryDelay          int64             `json:"retryDelay" doc:"Milliseconds."`
	RetryBackoff        execution.Backoff `json:"retryBackoff" enum:"fixed,exponential"`
	OverlapPolicy       job.OverlapPolicy `json:"overlapPolicy" enum:"allow,skip"`
	MisfirePolicy       job.MisfirePolicy `json:"misfirePolicy" enum:"fire_once,skip,fire_all"`
	MaxRedirects        int               `json:"maxRedirects"`
	Status              job.Status        `json:"status" enum:"active,inactive,failed"`
	StatusReason        *string           `json:"statusReason" nullable:"true" doc:"Why it does not run although nobody paused it: the system stopped it, or its category is inactive."`
	IsActive            bool              `json:"isActive"`
	NextRunAt           *Timestamp        `json:"nextRunAt" nullable:"true" doc:"Null when it is not scheduled."`
	LastRunAt           *Timestamp        `json:"lastRunAt" nullable:"true"`
	LastStatus          *execution.Status `json:"lastStatus" nullable:"true" enum:"success,failed,abandoned" doc:"Null before the first run."`
	ConsecutiveFailures int               `json:"consecutiveFailures"`
	TotalExecutions     int64             `json:"totalExecutions"`
	SuccessCount        int64             `json:"successCount"`
	Signing             jobSigningView    `json:"signing"`
	CreatedBy           *int64            `json:"createdBy" nullable:"true"`
	CreatedAt           Timestamp         `json:"createdAt"`
	UpdatedAt           Timestamp         `json:"updatedAt"`
}

type jobCategoryView struct {
	ID     int64              `json:"id"`
	Name   string             `json:"name"`
	Color  string             `json:"color"`
	Status job.CategoryStatus `json:"status" enum:"active,inactive"`
}

type jobSigningView struct {
	Enabled bool `json:"enabled"`
	Keys    int  `json:"keys"`
}

// viewJob shows a job to whoever asks.
func viewJob(ctx context.Context, j job.Job) jobView {
	shown := j.Request.Masked()
	if principal(ctx).User.Role == account.Viewer {
		shown.URL = job.MaskQuery(shown.URL)
	}
	view := jobView{
		ID: j.ID, Name: j.Name, Description: j.Description,
		CronPattern: j.CronPattern, Timezone: j.Timezone,
		CategoryID: j.CategoryID, Category: jobCategoryView(j.Category),
		URL: shown.URL, Method: shown.Method, Headers: shown.Headers, SecretHeaders: shown.SecretHeaders,
		Body: shown.Body, BodySecret: shown.BodySecret,
		Timeout: shown.Timeout.Milliseconds(), RetryAttempts: shown.Retry.Attempts,
		RetryDelay: shown.Retry.Delay.Milliseconds(), RetryBackoff: shown.Retry.Backoff,
		OverlapPolicy: shown.OverlapPolicy, MisfirePolicy: j.MisfirePolicy, MaxRedirects: shown.MaxRedirects,
		Status: j.Status, IsActive: j.Status == job.Active,
		NextRunAt: timestampOf(j.NextRunAt), LastRunAt: timestampOf(j.Stats.LastRunAt),
		ConsecutiveFailures: j.Stats.ConsecutiveFailures,
		TotalExecutions:     j.Stats.TotalExecutions, SuccessCount: j.Stats.SuccessCount,
		Signing:   jobSigningView{Enabled: j.SigningKeys > 0, Keys: j.SigningKeys},
		CreatedAt: Timestamp(j.CreatedAt), UpdatedAt: Timestamp(j.UpdatedAt),
	}
	switch {
	case j.StatusReason != "":
		view.StatusReason = &j.StatusReason
	case j.Status == job.Active && !j.Schedulable():
		view.StatusReason = new("its category is inactive")
	}
	if !j.Schedulable() { // ticks see to the stored one
		view.NextRunAt = nil
	}
	if j.Stats.LastStatus != "" {
		view.LastStatus = &j.Stats.LastStatus
	}
	if j.CreatedBy != 0 {
		view.CreatedBy = &j.CreatedBy
	}
	return view
}

// maxListedRequests is how many bytes the headers and bodies of a list's jobs
// may take together: with all else that 100 jobs hold, an answer stays below
// 4 MB.
const maxListedRequests = 2_400_000

// viewJobs shows a page of jobs. Where headers and bodies would make the
// answer too large they are left out, and the job says so.
func viewJobs(ctx context.Context, jobs []job.Job) []jobView {
	views := make([]jobView, len(jobs))
	spent := 0
	for i, j := range jobs {
		view := viewJob(ctx, j)
		if size := headersSize(view.Headers); spent+size > maxListedRequests {
			view.Headers, view.Omitted = nil, append(view.Omitted, "headers")
		} else {
			spent += size
		}
		if size := len(view.Body); spent+size > maxListedRequests {
			view.Body, view.Omitted = nil, append(view.Omitted, "body")
		} else {
			spent += size
		}
		views[i] = view
	}
	return views
}

// headersSize is the most that headers take as JSON: a quote is escaped by one
// more byte, and so is every byte of the characters that JSON must escape.
func headersSize(headers map[string]string) int {
	size := 0
	for name, value := range headers {
		size += 2*len(name) + 2*len(value) + len(`"":"",`)
	}
	return size
}
