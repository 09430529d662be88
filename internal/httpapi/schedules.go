package httpapi

import (
	"context"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/schedule"
)

// schedulePreviewBody is a schedule that somebody thinks of.
type schedulePreviewBody struct {
	CronPattern string              `json:"cronPattern" checked:"later" minLength:"1" maxLength:"100" doc:"Five fields, six with leading seconds, or a macro such as @daily." example:"30 9 * * MON-FRI"`
	Timezone    Optional[string]    `json:"timezone,omitzero" maxLength:"64" absent:"UTC" doc:"A name of the IANA time zone database."`
	From        Optional[time.Time] `json:"from,omitzero" doc:"Runs after this instant; now unless said."`
	Count       Optional[int]       `json:"count,omitzero" minimum:"1" maximum:"100" absent:"5"`
}

func (b schedulePreviewBody) parse() (*schedule.Schedule, error) {
	return job.ParseSchedule(b.CronPattern, b.Timezone.Or(job.DefaultTimezone))
}

type previewScheduleInput struct{ Body schedulePreviewBody }

// CheckRest finds the faults of the schedule in a form that is at fault.
func (in *previewScheduleInput) CheckRest() error {
	_, err := in.Body.parse()
	return err
}

type schedulePreviewView struct {
	CronPattern string            `json:"cronPattern"`
	Timezone    string            `json:"timezone"`
	Description string            `json:"description" example:"At 09:30, Monday to Friday."`
	NextRuns    []Timestamp       `json:"nextRuns" doc:"Empty when the pattern never fires."`
	Warnings    []scheduleWarning `json:"warnings"`
}

type scheduleWarning struct {
	Code    string `json:"code" example:"never_fires"`
	Message string `json:"message"`
}

func (s *server) previewSchedule(_ context.Context, in *previewScheduleInput) (One[schedulePreviewView], error) {
	parsed, err := in.Body.parse()
	if err != nil {
		return One[schedulePreviewView]{}, err
	}
	from := in.Body.From.Or(s.now())
	view := schedulePreviewView{
		CronPattern: in.Body.CronPattern,
		Timezone:    parsed.Zone(),
		Description: parsed.Description(),
		NextRuns:    []Timestamp{},
		Warnings:    []scheduleWarning{},
	}
	for at := from; len(view.NextRuns) < in.Body.Count.Or(5); {
		next, ok := parsed.Next(at)
		if !ok {
			break
		}
		view.NextRuns = append(view.NextRuns, Timestamp(next))
		at = next
	}
	for _, w := range parsed.Warnings(from) {
		view.Warnings = append(view.Warnings, scheduleWarning{Code: w.Code, Message: w.Message})
	}
	return One[schedulePreviewView]{Data: view}, nil
}
