package httpapi

import (
	"context"
	"math"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// Span is embedded by inputs of routes that sum up a span of time.
type Span struct {
	From time.Time `query:"from" doc:"24 hours before to unless said; rounded down to a whole UTC hour."`
	To   time.Time `query:"to" doc:"Now unless said; rounded up to a whole UTC hour, and not included."`
}

// defaultSpan is how far back a span reaches where nothing is said.
const defaultSpan = 24 * time.Hour

// ends are the span as it was asked for.
func (p Span) ends(now time.Time) (from, to time.Time, err error) {
	from, to = p.From, p.To
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-defaultSpan)
	}
	var faults faultList
	switch {
	case to.Year() < 1 || to.Year() > 9998: // first, for from may be reckoned from it
		faults.add("to", "is out of range")
	case from.Year() < 1 || from.Year() > 9998:
		faults.add("from", "is out of range")
	case to.Before(from) && p.To.IsZero():
		faults.add("from", "must not be in the future")
	case to.Before(from):
		faults.add("to", "must not be before from")
	}
	return from, to, faults.err()
}

// hours are the whole hours that hold the span, at least one.
func (p Span) hours(now time.Time) (from, to time.Time, err error) {
	from, to, err = p.ends(now)
	from, to = execution.HourOf(from), execution.HourOf(to.Add(time.Hour-time.Nanosecond))
	if !to.After(from) {
		to = from.Add(time.Hour)
	}
	return from, to, err
}

// StatsView is what executions add up to.
type StatsView struct {
	From        Timestamp   `json:"from"`
	To          Timestamp   `json:"to"`
	Executions  countsView  `json:"executions"`
	SuccessRate *float64    `json:"successRate" nullable:"true" example:"0.985" doc:"success / (success + failed + abandoned); null where nothing ran."`
	Duration    lengthsView `json:"duration" doc:"Milliseconds, of those that ran."`
	Lateness    lengthsView `json:"lateness" doc:"Milliseconds, of those that ran."`
}

// countsView counts executions by outcome.
type countsView struct {
	Total     int64 `json:"total" doc:"All of the following."`
	Success   int64 `json:"success"`
	Failed    int64 `json:"failed"`
	Skipped   int64 `json:"skipped"`
	Missed    int64 `json:"missed" doc:"Instants; one execution of the history may stand for many."`
	Cancelled int64 `json:"cancelled"`
	Abandoned int64 `json:"abandoned"`
	Running   int64 `json:"running"`
	Waiting   int64 `json:"waiting" doc:"Those that are due and have not begun, or wait for another attempt."`
}

// lengthsView describes lengths of time.
type lengthsView struct {
	P50 *int64   `json:"p50" nullable:"true" doc:"Within 5 %, as p95 and p99; null where nothing ran."`
	P95 *int64   `json:"p95" nullable:"true"`
	P99 *int64   `json:"p99" nullable:"true"`
	Avg *float64 `json:"avg" nullable:"true"`
	Max *int64   `json:"max" nullable:"true"`
}

func viewLengths(d *execution.Distribution) lengthsView {
	var view lengthsView
	average, ok := d.Average()
	if !ok {
		return view
	}
	average = math.Round(average*10) / 10
	largest := d.Max
	view.Avg, view.Max = &average, &largest
	view.P50, view.P95, view.P99 = percentile(d, 0.5), percentile(d, 0.95), percentile(d, 0.99)
	return view
}

// percentile is null where nothing ran.
func percentile(d *execution.Distribution, p float64) *int64 {
	if value, ok := d.Percentile(p); ok {
		return &value
	}
	return nil
}

func successRate(o execution.Outcomes) *float64 {
	if rate, ok := o.SuccessRate(); ok {
		return &rate
	}
	return nil
}

func viewStats(from, to time.Time, sum *execution.Summary, under execution.UnderWay) StatsView {
	return StatsView{
		From: Timestamp(from), To: Timestamp(to),
		Executions: countsView{
			Total:   sum.Total() + under.Running + under.Waiting,
			Success: sum.Success, Failed: sum.Failed, Skipped: sum.Skipped, Missed: sum.Missed,
			Cancelled: sum.Cancelled, Abandoned: sum.Abandoned, Running: under.Running, Waiting: under.Waiting,
		},
		SuccessRate: successRate(sum.Outcomes),
		Duration:    viewLengths(&sum.Duration),
		Lateness:    viewLengths(&sum.Lateness),
	}
}

// allStatsView is the stats of all jobs.
type allStatsView struct {
	StatsView
	ByCategory []categoryStatsView `json:"byCategory" doc:"The categories whose jobs had executions that ended, the busiest first. Those deleted since are left out."`
}

// categoryStatsView is a category's part of the stats.
type categoryStatsView struct {
	CategoryID  int64    `json:"categoryId"`
	Name        string   `json:"name"`
	Color       string   `json:"color" example:"#3B82F6"`
	Total       int64    `json:"total" doc:"Executions that ended, however they did, while their job was in this category."`
	Success     int64    `json:"success"`
	Failed      int64    `json:"failed"`
	SuccessRate *float64 `json:"successRate" nullable:"true"`
}

// stats sums up all jobs.
func (s *server) stats(ctx context.Context, from, to time.Time) (allStatsView, error) {
	totals, err := s.Summaries.Totals(ctx, from, to)
	if err != nil {
		return allStatsView{}, err
	}
	under, err := s.Summaries.UnderWay(ctx, 0, from, to, s.now())
	if err != nil {
		return allStatsView{}, err
	}
	byCategory := []categoryStatsView{}
	for _, t := range totals.ByCategory {
		if t.Category.Name == "" {
			continue
		}
		byCategory = append(byCategory, categoryStatsView{
			CategoryID: t.Category.ID, Name: t.Category.Name, Color: t.Category.Color,
			Total: max(t.Outcomes.Total(), 0), Success: t.Outcomes.Success, Failed: t.Outcomes.Failed, SuccessRate: successRate(t.Outcomes),
		})
	}
	return allStatsView{StatsView: viewStats(from, to, &totals.Summary, under), ByCategory: byCategory}, nil
}

type dashboardStatsInput struct{ Span }

func (s *server) dashboardStats(ctx context.Context, in *dashboardStatsInput) (One[allStatsView], error) {
	from, to, err := in.hours(s.now())
	if err != nil {
		return One[allStatsView]{}, err
	}
	view, err := s.stats(ctx, from, to)
	return One[allStatsView]{Data: view, Revalidate: allButItsTime{}}, err
}

// jobStatsView is what a job's executions add up to, and where the job stands.
type jobStatsView struct {
	StatsView
	LastRunAt           *Timestamp        `json:"lastRunAt" nullable:"true"`
	LastStatus          *execution.Status `json:"lastStatus" nullable:"true" enum:"success,failed,abandoned" doc:"Null before the first run."`
	ConsecutiveFailures int               `json:"consecutiveFailures"`
	NextRunAt           *Timestamp        `json:"nextRunAt" nullable:"true" doc:"Null when it is not scheduled."`
}

type jobStatsInput struct {
	ByID
	Span
}

func (s *server) jobStats(ctx context.Context, in *jobStatsInput) (One[jobStatsView], error) {
	var none One[jobStatsView]
	from, to, err := in.hours(s.now())
	if err != nil {
		return none, err
	}
	found, err := s.Jobs.Get(ctx, in.ID)
	if err != nil {
		return none, err
	}
	sum, err := s.Summaries.OfJob(ctx, in.ID, from, to)
	if err != nil {
		return none, err
	}
	under, err := s.Summaries.UnderWay(ctx, in.ID, from, to, s.now())
	if err != nil {
		return none, err
	}
	view := newJobStatsView(found, viewStats(from, to, &sum, under))
	return One[jobStatsView]{Data: view, Revalidate: allButItsTime{}}, nil
}

func newJobStatsView(j job.Job, stats StatsView) jobStatsView {
	view := jobStatsView{
		StatsView: stats, LastRunAt: timestampOf(j.Stats.LastRunAt), NextRunAt: timestampOf(j.NextRunAt),
		ConsecutiveFailures: j.Stats.ConsecutiveFailures,
	}
	if j.Stats.LastStatus != "" {
		view.LastStatus = &j.Stats.LastStatus
	}
	return view
}
