package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/schedule"
)

// How much of each list the dashboard shows.
const (
	shownRecent   = 10
	shownUpcoming = 5
	shownFailures = 5
)

// OverviewView is the dashboard, but for the time at which it was made, which
// the ETag does not cover.
type OverviewView struct {
	Jobs       jobCountsView      `json:"jobs"`
	Categories categoryCountsView `json:"categories"`
	Last24h    allStatsView       `json:"last24h"`
	Recent     []ExecutionItem    `json:"recent" doc:"The 10 newest executions that are due."`
	Upcoming   []upcomingView     `json:"upcoming" doc:"The 5 jobs that run next."`
	Failures   []failingView      `json:"failures" doc:"The 5 jobs that failed last and have not succeeded since."`
}

// dashboardView is the dashboard.
type dashboardView struct {
	OverviewView
	GeneratedAt Timestamp `json:"generatedAt"`
}

type jobCountsView struct {
	Total    int64 `json:"total"`
	Active   int64 `json:"active"`
	Inactive int64 `json:"inactive"`
	Failed   int64 `json:"failed" doc:"Stopped by the system."`
}

type categoryCountsView struct {
	Total  int64 `json:"total"`
	Active int64 `json:"active"`
}

func (s *server) dashboard(ctx context.Context, _ *struct{}) (One[dashboardView], error) {
	view, err := s.overview(ctx)
	if err != nil {
		return One[dashboardView]{}, err
	}
	return One[dashboardView]{Data: dashboardView{OverviewView: view, GeneratedAt: Timestamp(s.now())}, Revalidate: view}, nil
}

func (s *server) overview(ctx context.Context) (view OverviewView, err error) {
	counts, err := s.Summaries.Counts(ctx)
	if err != nil {
		return view, err
	}
	view.Jobs = jobCountsView{
		Total:  counts.ActiveJobs + counts.InactiveJobs + counts.FailedJobs,
		Active: counts.ActiveJobs, Inactive: counts.InactiveJobs, Failed: counts.FailedJobs,
	}
	view.Categories = categoryCountsView{Total: counts.Categories, Active: counts.ActiveCategories}
	from, to, err := Span{}.hours(s.now())
	if err != nil {
		return view, err
	}
	if view.Last24h, err = s.stats(ctx, from, to); err != nil {
		return view, err
	}
	recent, err := s.Summaries.Recent(ctx, s.now(), shownRecent)
	if err != nil {
		return view, err
	}
	view.Recent = make([]ExecutionItem, len(recent))
	for i, e := range recent {
		view.Recent[i] = newExecutionItem(e)
	}
	if view.Upcoming, err = s.upcoming(ctx, shownUpcoming); err != nil {
		return view, err
	}
	view.Failures, err = s.failures(ctx, shownFailures)
	return view, err
}

// timelineView is executions summed up by hour or by day.
type timelineView struct {
	Interval string       `json:"interval" enum:"hour,day"`
	Timezone string       `json:"timezone" example:"UTC"`
	Buckets  []bucketView `json:"buckets" doc:"All of the span, empty ones too."`
}

type bucketView struct {
	From        Timestamp `json:"from"`
	To          Timestamp `json:"to" doc:"Not included."`
	Total       int64     `json:"total" doc:"Executions that ended, however they did: cancelled ones too."`
	Success     int64     `json:"success"`
	Failed      int64     `json:"failed"`
	Skipped     int64     `json:"skipped"`
	Missed      int64     `json:"missed"`
	Abandoned   int64     `json:"abandoned"`
	DurationP95 *int64    `json:"durationP95" nullable:"true" doc:"Milliseconds, within 5 %; null where nothing ran."`
	LatenessP95 *int64    `json:"latenessP95" nullable:"true" doc:"Milliseconds, within 5 %; null where nothing ran."`
}

// The longest timelines.
const (
	maxTimelineHours = 744
	maxTimelineDays  = 400
)

type dashboardTimelineInput struct {
	Span
	Interval string `query:"interval" enum:"hour,day" default:"hour" doc:"At most 744 hours or 400 days."`
	Timezone string `query:"timezone" default:"UTC" minLength:"1" maxLength:"64" doc:"An IANA time zone, in which days begin; at the whole UTC hour before midnight, where midnight is none."`
}

// Check finds a zone that does not exist.
func (in *dashboardTimelineInput) Check() error {
	var faults faultList
	if _, err := schedule.ParseZone(in.Timezone); in.Timezone != "" && err != nil {
		faults.add("timezone", "must be the name of an IANA time zone")
	}
	return faults.err()
}

func (s *server) dashboardTimeline(ctx context.Context, in *dashboardTimelineInput) (One[timelineView], error) {
	bounds, err := in.bounds(s.now())
	if err != nil {
		return One[timelineView]{}, err
	}
	sums, err := s.Summaries.Timeline(ctx, bounds)
	if err != nil {
		return One[timelineView]{}, err
	}
	view := timelineView{Interval: in.Interval, Timezone: in.Timezone, Buckets: make([]bucketView, len(sums))}
	for i := range sums {
		sum := &sums[i]
		view.Buckets[i] = bucketView{
			From: Timestamp(bounds[i]), To: Timestamp(bounds[i+1]),
			Total: sum.Total(), Success: sum.Success, Failed: sum.Failed, Skipped: sum.Skipped, Missed: sum.Missed, Abandoned: sum.Abandoned,
			DurationP95: percentile(&sum.Duration, 0.95), LatenessP95: percentile(&sum.Lateness, 0.95),
		}
	}
	return One[timelineView]{Data: view, Revalidate: allButItsTime{}}, nil
}

// bounds are where the buckets begin, and the end of the last one.
func (in *dashboardTimelineInput) bounds(now time.Time) ([]time.Time, error) {
	from, to, err := in.hours(now)
	if err != nil {
		return nil, err
	}
	var faults faultList
	tooLong := func(most int) ([]time.Time, error) {
		faults.add("from", fmt.Sprintf("must lie at most %d %ss before to", most, in.Interval))
		return nil, faults.err()
	}
	if in.Interval == "hour" {
		if to.Sub(from) > maxTimelineHours*time.Hour {
			return tooLong(maxTimelineHours)
		}
		bounds := []time.Time{from}
		for at := from; at.Before(to); bounds = append(bounds, at) {
			at = at.Add(time.Hour)
		}
		return bounds, nil
	}
	zone, err := schedule.ParseZone(in.Timezone)
	if err != nil {
		return nil, err
	}
	if to.Sub(from) > (maxTimelineDays+2)*24*time.Hour {
		return tooLong(maxTimelineDays)
	}
	year, month, day := from.In(zone).Date()
	var bounds []time.Time
	for n := 0; ; n++ {
		at := execution.HourOf(time.Date(year, month, day+n, 0, 0, 0, 0, zone))
		if n == 0 || at.After(bounds[len(bounds)-1]) { // a zone may have skipped a day
			bounds = append(bounds, at)
		}
		if !at.Before(to) && n > 0 {
			break
		}
	}
	if len(bounds)-1 > maxTimelineDays {
		return tooLong(maxTimelineDays)
	}
	return bounds, nil
}

// Shortened is embedded by inputs of lists without pages.
type Shortened struct {
	Limit int `query:"limit" default:"10" minimum:"1" maximum:"100"`
}

// upcomingView is a job and its next run.
type upcomingView struct {
	JobID       int64           `json:"jobId"`
	JobName     string          `json:"jobName"`
	Category    jobCategoryView `json:"category"`
	CronPattern string          `json:"cronPattern"`
	Timezone    string          `json:"timezone"`
	NextRunAt   Timestamp       `json:"nextRunAt"`
}

type dashboardUpcomingInput struct{ Shortened }

func (s *server) dashboardUpcoming(ctx context.Context, in *dashboardUpcomingInput) (One[[]upcomingView], error) {
	views, err := s.upcoming(ctx, in.Limit)
	return One[[]upcomingView]{Data: views, Revalidate: allButItsTime{}}, err
}

func (s *server) upcoming(ctx context.Context, limit int) ([]upcomingView, error) {
	found, err := s.Summaries.Upcoming(ctx, s.now(), limit)
	views := make([]upcomingView, len(found))
	for i, u := range found {
		views[i] = upcomingView{
			JobID: u.JobID, JobName: u.JobName, Category: jobCategoryView(u.Category),
			CronPattern: u.CronPattern, Timezone: u.Timezone, NextRunAt: Timestamp(u.NextRunAt),
		}
	}
	return views, err
}

// failingView is a job that has not succeeded since it failed.
type failingView struct {
	JobID               int64        `json:"jobId"`
	JobName             string       `json:"jobName"`
	Status              job.Status   `json:"status" enum:"active,inactive,failed" doc:"The job's."`
	ConsecutiveFailures int          `json:"consecutiveFailures"`
	LastFailedAt        Timestamp    `json:"lastFailedAt"`
	ExecutionID         *int64       `json:"executionId" nullable:"true" doc:"The run that failed last; null where it is no longer kept."`
	ResponseStatus      *int         `json:"responseStatus" nullable:"true" example:"503"`
	Error               *failureView `json:"error"`
}

type dashboardFailuresInput struct{ Shortened }

func (s *server) dashboardFailures(ctx context.Context, in *dashboardFailuresInput) (One[[]failingView], error) {
	views, err := s.failures(ctx, in.Limit)
	return One[[]failingView]{Data: views, Revalidate: allButItsTime{}}, err
}

func (s *server) failures(ctx context.Context, limit int) ([]failingView, error) {
	found, err := s.Summaries.Failing(ctx, limit)
	views := make([]failingView, len(found))
	for i, f := range found {
		views[i] = failingView{
			JobID: f.JobID, JobName: f.JobName, Status: f.Status, ConsecutiveFailures: f.ConsecutiveFailures,
			LastFailedAt: Timestamp(f.LastFailedAt), ResponseStatus: nonZero(f.ResponseStatus), Error: newFailureView(f.Failure),
		}
		if f.ExecutionID != 0 {
			views[i].ExecutionID = &f.ExecutionID
		}
	}
	return views, err
}
