package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// pendingSamples is read beside what is folded, in one statement, which sees
// one state of the database: what a fold moves is in one place or the other.
const pendingSamples = " UNION ALL SELECT TRUE, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, samples, 0, 0, NULL FROM rollup_deltas"

// totalsSpan selects totals; their span and the two ends of a time follow.
const totalsSpan = "SELECT FALSE AS pending, start, category_id, " + summaryColumns + " FROM rollup_totals WHERE span = ? AND start >= ? AND start < ?"

// readSummaries runs a query for summaries that pendingSamples ends. stored is
// called for each of those that are folded, pending for each sample that is
// not.
func readSummaries(ctx context.Context, q querier, stored func(start time.Time, category int64, s *storedSummary) error, pending func(execution.Sample),
	query string, args ...any,
) error {
	var (
		waits    bool
		start    sql.NullTime
		category int64
		s        storedSummary
	)
	targets := append([]any{&waits, &start, &category}, s.targets()...)
	_, err := queryAllSQL(ctx, q, func(rows *sql.Rows) (_ struct{}, err error) {
		if err := rows.Scan(targets...); err != nil {
			return struct{}{}, err
		}
		if waits {
			return struct{}{}, decodePending(s.durations, pending)
		}
		return struct{}{}, stored(start.Time, category, &s)
	}, query+pendingSamples, args...)
	return translate(err)
}

// within reports whether a sample counts between two times.
func within(s execution.Sample, from, to time.Time) bool {
	return !s.ScheduledFor.Before(from) && s.ScheduledFor.Before(to)
}

// categoriesSpan selects how executions ended, by category, in the same shape.
// The numbers are added as floating-point ones, which hold any count exactly:
// engines add whole numbers as decimals, and take twice the time for it.
const categoriesSpan = `SELECT FALSE, NULL, category_id, ` + summed + `, 0, 0, NULL, 0, 0, NULL
	FROM rollup_totals WHERE span = ? AND start >= ? AND start < ? GROUP BY category_id`

const summed = `CAST(SUM(success + 0e0) AS SIGNED), CAST(SUM(failed + 0e0) AS SIGNED), CAST(SUM(skipped + 0e0) AS SIGNED),
	CAST(SUM(missed + 0e0) AS SIGNED), CAST(SUM(cancelled + 0e0) AS SIGNED), CAST(SUM(abandoned + 0e0) AS SIGNED)`

// Totals sums up the executions of whole hours, and by category. Days that lie
// between are read as such.
func (s *Rollups) Totals(ctx context.Context, from, to time.Time) (job.Totals, error) {
	const day = 24 * time.Hour
	firstDay, lastDay := from.Add(day-1).Truncate(day), to.Truncate(day)
	var selects []string
	var args []any
	add := func(span, categorySpan string, from, to time.Time) {
		if from.Before(to) {
			selects = append(selects, totalsSpan, categoriesSpan)
			args = append(args, span, from, to, categorySpan, from, to)
		}
	}
	if firstDay.Before(lastDay) {
		add(spanHour, spanCategoryHour, from, firstDay)
		add(spanDay, spanCategoryDay, firstDay, lastDay)
		add(spanHour, spanCategoryHour, lastDay, to)
	} else {
		add(spanHour, spanCategoryHour, from, to)
	}
	var totals job.Totals
	byCategory := map[int64]*execution.Summary{}
	err := readSummaries(ctx, s.db, func(_ time.Time, category int64, stored *storedSummary) error {
		if category != 0 {
			return stored.addTo(summaryAt(byCategory, category))
		}
		return stored.addTo(&totals.Summary)
	}, func(sample execution.Sample) {
		if within(sample, from, to) {
			totals.Summary.Add(sample)
			sample.Ran = false
			summaryAt(byCategory, sample.CategoryID).Add(sample)
		}
	}, strings.Join(selects, " UNION ALL "), args...)
	if err != nil || len(byCategory) == 0 {
		return totals, err
	}
	for _, sum := range byCategory {
		// One that lives again may wait to be taken from another category.
		sum.Cancelled = max(0, sum.Cancelled)
	}
	ids := slices.Sorted(maps.Keys(byCategory))
	refs, err := queryAll(ctx, s.db, dialect.From(goqu.T("categories").As("c")).
		Select(categoryTable.Col("id"), categoryTable.Col("name"), categoryTable.Col("color"), categoryTable.Col("status")).
		Where(categoryTable.Col("id").In(ids)), scanCategoryRef)
	if err != nil {
		return totals, translate(err)
	}
	for _, id := range ids {
		one := job.CategoryTotals{Category: job.CategoryRef{ID: id}, Outcomes: byCategory[id].Outcomes}
		if at := slices.IndexFunc(refs, func(c job.CategoryRef) bool { return c.ID == id }); at >= 0 {
			one.Category = refs[at]
		}
		totals.ByCategory = append(totals.ByCategory, one)
	}
	slices.SortStableFunc(totals.ByCategory, func(a, b job.CategoryTotals) int { return cmp.Compare(b.Outcomes.Total(), a.Outcomes.Total()) })
	return totals, nil
}

func scanCategoryRef(rows *sql.Rows) (c job.CategoryRef, err error) {
	err = rows.Scan(&c.ID, &c.Name, &c.Color, &c.Status)
	return c, err
}

// Timeline sums up the executions between each of the bounds and the next;
// bounds are whole hours and ascend.
func (s *Rollups) Timeline(ctx context.Context, bounds []time.Time) ([]execution.Summary, error) {
	sums := make([]execution.Summary, len(bounds)-1)
	at := func(start time.Time) *execution.Summary {
		i, found := slices.BinarySearchFunc(bounds, start, time.Time.Compare)
		if !found {
			i--
		}
		if i < 0 || i >= len(sums) {
			return nil
		}
		return &sums[i]
	}
	span := spanDay
	if slices.ContainsFunc(bounds, func(t time.Time) bool { return t.Unix()%daySeconds != 0 }) {
		span = spanHour
	}
	err := readSummaries(ctx, s.db, func(start time.Time, _ int64, stored *storedSummary) error {
		return stored.addTo(at(start))
	}, func(sample execution.Sample) {
		if sum := at(sample.ScheduledFor); sum != nil {
			sum.Add(sample)
		}
	}, totalsSpan, span, bounds[0], bounds[len(bounds)-1])
	return sums, err
}

// OfJob sums up the executions of a job in whole hours.
func (s *Rollups) OfJob(ctx context.Context, jobID int64, from, to time.Time) (execution.Summary, error) {
	var sum execution.Summary
	err := readSummaries(ctx, s.db, func(_ time.Time, _ int64, stored *storedSummary) error {
		return stored.addTo(&sum)
	}, func(sample execution.Sample) {
		if sample.JobID == jobID && within(sample, from, to) {
			sum.Add(sample)
		}
	}, "SELECT FALSE AS pending, hour, category_id, "+summaryColumns+" FROM rollups WHERE job_id = ? AND hour >= ? AND hour < ?", jobID, from, to)
	return sum, err
}

// UnderWay counts the executions between two times that have not ended and are
// due by now: of a job, or of all where it is 0.
func (s *Rollups) UnderWay(ctx context.Context, jobID int64, from, to, now time.Time) (execution.UnderWay, error) {
	where := []goqu.Expression{
		goqu.C("status").In("pending", "queued", "running"),
		goqu.C("scheduled_for").Gte(utc(from)), goqu.C("scheduled_for").Lt(utc(to)), goqu.C("scheduled_for").Lte(utc(now)),
	}
	if jobID != 0 {
		where = append(where, goqu.C("job_id").Eq(jobID))
	}
	counted, err := queryOne(ctx, s.db,
		dialect.From("executions").Select(goqu.L("COALESCE(SUM(status = 'running'), 0)"), goqu.L("COALESCE(SUM(status <> 'running'), 0)")).Where(where...),
		func(rows *sql.Rows) (u execution.UnderWay, err error) {
			err = rows.Scan(&u.Running, &u.Waiting)
			return u, err
		})
	return counted, translate(err)
}

// Counts counts jobs and categories.
func (s *Rollups) Counts(ctx context.Context) (job.Counts, error) {
	var counts job.Counts
	jobs, _, err := s.census.jobs(ctx)
	if err != nil {
		return counts, translate(err)
	}
	for by, n := range jobs {
		switch by.status {
		case job.Active:
			counts.ActiveJobs += n
		case job.Inactive:
			counts.InactiveJobs += n
		case job.Failed:
			counts.FailedJobs += n
		}
	}
	_, err = queryAllSQL(ctx, s.db, func(rows *sql.Rows) (_ struct{}, err error) {
		err = rows.Scan(&counts.Categories, &counts.ActiveCategories)
		return struct{}{}, err
	}, "SELECT COUNT(*), COALESCE(SUM(status = 'active'), 0) FROM categories")
	return counts, translate(err)
}
