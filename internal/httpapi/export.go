package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/crontab"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// maxExport is how many bytes the jobs of one export may take: with all else,
// an answer stays below 4 MB.
const maxExport = 3_900_000

type exportJobsInput struct {
	Limit      int    `query:"limit" default:"1000" minimum:"1" maximum:"1000" doc:"Jobs a call, at most; there are fewer where they would be more than 4 MB."`
	CategoryID int64  `query:"categoryId" minimum:"1" maximum:"9007199254740991"`
	Cursor     string `query:"cursor" maxLength:"100" doc:"meta.nextCursor of the export before, with the same categoryId."`
	Accept     string `header:"Accept" maxLength:"1000" example:"text/plain" doc:"text/plain for a crontab."`
}

// alsoText documents that the answer is had as plain text too.
func alsoText(o *routeOptions) { o.text = textType }

// exportedJob is a job as an import takes it.
type exportedJob struct {
	Name          string            `json:"name"`
	Description   string            `json:"description"`
	CronPattern   string            `json:"cronPattern"`
	Timezone      string            `json:"timezone"`
	CategoryName  string            `json:"categoryName"`
	URL           string            `json:"url"`
	Method        string            `json:"method" enum:"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"`
	Headers       map[string]string `json:"headers,omitempty"`
	SecretHeaders []string          `json:"secretHeaders,omitempty"`
	Body          json.RawMessage   `json:"body,omitempty"`
	BodySecret    bool              `json:"bodySecret"`
	Timeout       int64             `json:"timeout" doc:"Milliseconds."`
	RetryAttempts int               `json:"retryAttempts"`
	RetryDelay    int64             `json:"retryDelay" doc:"Milliseconds."`
	RetryBackoff  execution.Backoff `json:"retryBackoff" enum:"fixed,exponential"`
	OverlapPolicy job.OverlapPolicy `json:"overlapPolicy" enum:"allow,skip"`
	MisfirePolicy job.MisfirePolicy `json:"misfirePolicy" enum:"fire_once,skip,fire_all"`
	MaxRedirects  int               `json:"maxRedirects"`
	Status        job.Status        `json:"status" enum:"active,inactive" doc:"A job that the system has stopped is inactive."`
}

// exportedJobs is what an import takes.
type exportedJobs struct {
	Jobs []exportedJob `json:"jobs"`
}

// exportMeta says where the next call goes on.
type exportMeta struct {
	NextCursor *string `json:"nextCursor" nullable:"true" doc:"Null at the end."`
}

// exportAnswer is an export: JSON in the envelope, or a crontab.
type exportAnswer struct {
	jobs exportedJobs
	meta exportMeta
	text *string
}

// exportEnvelope is the document's view of it. More is no list's meta.
type exportEnvelope struct {
	Success   bool         `json:"success" enum:"true"`
	Data      exportedJobs `json:"data" doc:"What an import takes."`
	More      exportMeta   `json:"meta"`
	Timestamp Timestamp    `json:"timestamp"`
}

func (a exportAnswer) render(now Timestamp) rendered {
	return rendered{
		status: http.StatusOK, text: a.text, header: map[string]string{"Vary": "Accept"},
		envelope: exportEnvelope{Success: true, Data: a.jobs, More: a.meta, Timestamp: now},
	}
}

func (exportAnswer) documents() reflect.Type { return reflect.TypeFor[exportEnvelope]() }

func (s *server) exportJobs(ctx context.Context, in *exportJobsInput) (exportAnswer, error) {
	var filters [8]byte
	sum := sha256.Sum256(fmt.Appendf(nil, "export %d", in.CategoryID))
	copy(filters[:], sum[:])
	after := int64(0)
	if in.Cursor != "" {
		place, ok := readCursor(in.Cursor, filters)
		if !ok {
			return exportAnswer{}, apperr.InvalidField("cursor", "is not one that an export has given, with this categoryId")
		}
		after = place.ID
	}
	answer := exportAnswer{jobs: exportedJobs{Jobs: []exportedJob{}}}
	var lines *crontab.Writer
	if prefers(in.Accept, textType) {
		lines = crontab.NewWriter()
	}
	size := 0
	more, err := s.Jobs.Export(ctx, after, in.CategoryID, in.Limit, func(j job.Job) (bool, error) {
		var length int
		if lines != nil {
			length = lines.Measure(j)
		} else {
			shown, err := encode(exportJob(j))
			if err != nil {
				return false, err
			}
			length = len(shown) + 1
		}
		if size += length; size > maxExport && size != length {
			return false, nil
		}
		after = j.ID
		if lines != nil {
			lines.Add(j)
		} else {
			answer.jobs.Jobs = append(answer.jobs.Jobs, exportJob(j))
		}
		return true, nil
	})
	if err != nil {
		return exportAnswer{}, err
	}
	if more {
		cursor := writeCursor(execution.Place{ScheduledFor: time.UnixMilli(0), ID: after}, filters)
		answer.meta.NextCursor = &cursor
	}
	if err := s.Audit.Record(ctx, audit.Entry{Action: audit.JobExport, Entity: audit.Job}); err != nil {
		return exportAnswer{}, err
	}
	if lines != nil {
		if more {
			lines.Comment("There are more jobs: GET /jobs/export?cursor=" + *answer.meta.NextCursor)
		}
		answer.text = new(lines.String())
	}
	return answer, nil
}

func exportJob(j job.Job) exportedJob {
	r := j.Request
	status := j.Status
	if status == job.Failed {
		status = job.Inactive
	}
	return exportedJob{
		Name: j.Name, Description: j.Description, CronPattern: j.CronPattern, Timezone: j.Timezone, CategoryName: j.Category.Name,
		URL: r.URL, Method: r.Method, Headers: r.Headers, SecretHeaders: r.SecretHeaders, Body: r.Body, BodySecret: r.BodySecret,
		Timeout: r.Timeout.Milliseconds(), RetryAttempts: r.Retry.Attempts, RetryDelay: r.Retry.Delay.Milliseconds(), RetryBackoff: r.Retry.Backoff,
		OverlapPolicy: r.OverlapPolicy, MisfirePolicy: j.MisfirePolicy, MaxRedirects: r.MaxRedirects, Status: status,
	}
}
