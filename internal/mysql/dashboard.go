package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// Recent reads the newest executions that are due by now, without attempts.
func (s *Rollups) Recent(ctx context.Context, now time.Time, limit int) ([]execution.Execution, error) {
	ids, err := queryAllSQL(ctx, s.db, scanInto[int64], `SELECT id FROM executions FORCE INDEX (ix_executions_scheduled)
		WHERE scheduled_for <= ? ORDER BY scheduled_for DESC, id DESC LIMIT ?`, utc(now), limit)
	if err != nil {
		return nil, translate(err)
	}
	recent, err := NewHistory(s.db).read(ctx, ids)
	return recent, translate(err)
}

// Upcoming reads the jobs that run next, soonest first. A job's next run is the
// first that is recorded and has not begun, or else its next instant: a claim
// moves that past all that it has recorded.
func (s *Rollups) Upcoming(ctx context.Context, now time.Time, limit int) ([]job.Upcoming, error) {
	next, err := s.recordedRuns(ctx, now, limit)
	if err != nil {
		return nil, translate(err)
	}
	type instant struct {
		jobID int64
		at    time.Time
	}
	planned, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (i instant, err error) {
		err = rows.Scan(&i.jobID, &i.at)
		return i, err
	}, `SELECT id, next_run_at FROM jobs FORCE INDEX (ix_jobs_next_run) WHERE next_run_at IS NOT NULL ORDER BY next_run_at, id LIMIT ?`, limit)
	if err != nil {
		return nil, translate(err)
	}
	for _, p := range planned {
		if at, recorded := next[p.jobID]; !recorded || p.at.Before(at) {
			next[p.jobID] = p.at
		}
	}
	upcoming, err := s.describeUpcoming(ctx, next)
	return upcoming[:min(len(upcoming), limit)], translate(err)
}

// recordedBatch is how many recorded runs are read at a time.
const recordedBatch = 500

// recordedRuns reads the first recorded run of the jobs that have one soonest.
func (s *Rollups) recordedRuns(ctx context.Context, now time.Time, limit int) (map[int64]time.Time, error) {
	first := map[int64]time.Time{}
	type run struct {
		id, jobID int64
		at        time.Time
	}
	last := run{at: utc(now)}
	for len(first) < limit {
		runs, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (r run, err error) {
			err = rows.Scan(&r.id, &r.jobID, &r.at)
			return r, err
		}, `SELECT id, job_id, scheduled_for FROM executions FORCE INDEX (ix_executions_scheduled)
			WHERE scheduled_for >= ? AND (scheduled_for > ? OR id > ?) AND scheduled_for > ? AND occurrence_at IS NOT NULL AND status IN ('pending', 'queued')
			ORDER BY scheduled_for, id LIMIT ?`, last.at, last.at, last.id, utc(now), recordedBatch)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			if _, known := first[r.jobID]; !known && len(first) < limit {
				first[r.jobID] = r.at
			}
		}
		if len(runs) < recordedBatch {
			break
		}
		last = runs[len(runs)-1]
	}
	return first, nil
}

// describeUpcoming reads those of the jobs that are scheduled, in the order of
// their runs.
func (s *Rollups) describeUpcoming(ctx context.Context, next map[int64]time.Time) ([]job.Upcoming, error) {
	if len(next) == 0 {
		return nil, nil
	}
	jobIDs := make([]int64, 0, len(next))
	for id := range next {
		jobIDs = append(jobIDs, id)
	}
	upcoming, err := queryAll(ctx, s.db,
		dialect.From(goqu.T("jobs").As("j")).
			Join(goqu.T("categories").As("c"), goqu.On(categoryTable.Col("id").Eq(jobTable.Col("category_id")))).
			Select(jobTable.Col("id"), jobTable.Col("name"), jobTable.Col("cron_pattern"), jobTable.Col("timezone"),
				categoryTable.Col("id"), categoryTable.Col("name"), categoryTable.Col("color"), categoryTable.Col("status")).
			Where(jobTable.Col("id").In(jobIDs), jobTable.Col("next_run_at").IsNotNull(), categoryTable.Col("status").Eq("active")),
		func(rows *sql.Rows) (u job.Upcoming, err error) {
			c := &u.Category
			err = rows.Scan(&u.JobID, &u.JobName, &u.CronPattern, &u.Timezone, &c.ID, &c.Name, &c.Color, &c.Status)
			u.NextRunAt = next[u.JobID]
			return u, err
		})
	slices.SortFunc(upcoming, func(a, b job.Upcoming) int {
		return cmp.Or(a.NextRunAt.Compare(b.NextRunAt), cmp.Compare(a.JobID, b.JobID))
	})
	return upcoming, err
}

// Failing reads the jobs whose last run failed, the latest failure first.
func (s *Rollups) Failing(ctx context.Context, limit int) ([]job.Failing, error) {
	failing, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (f job.Failing, err error) {
		var id, response sql.NullInt64
		var kind, message sql.NullString
		err = rows.Scan(&f.JobID, &f.JobName, &f.Status, &f.ConsecutiveFailures, &f.LastFailedAt, &id, &response, &kind, &message)
		f.ExecutionID, f.ResponseStatus = id.Int64, int(response.Int64)
		f.Failure = failureOf(kind, message)
		return f, err
	}, `SELECT j.id, j.name, j.status, s.consecutive_failures, s.failing_at, e.id, e.response_status, e.error_kind, e.error_message
		FROM job_stats s FORCE INDEX (ix_job_stats_failing) STRAIGHT_JOIN jobs j ON j.id = s.job_id AND j.name_key IS NOT NULL
		LEFT JOIN executions e ON e.id = s.last_execution_id
		WHERE s.failing_at IS NOT NULL ORDER BY s.failing_at DESC, s.job_id DESC LIMIT ?`, limit)
	return failing, translate(err)
}
