package mysql

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// Aliases of the tables that make up a job.
var (
	jobTable      = goqu.T("j")
	categoryTable = goqu.T("c")
	requestTable  = goqu.T("r")
	statsTable    = goqu.T("s")
)

// notDeleted is the condition of a job that exists. The key of the name is
// NULL exactly where deleted_at is set, and has a narrow index.
var notDeleted = jobTable.Col("name_key").IsNotNull()

// selectJobs reads jobs with category, request and stats from a source that
// is aliased j.
//
// The next run is the earliest one that is recorded and has not begun, for a
// claim moves next_run_at past all that it has recorded.
func selectJobs(from any, now time.Time) *goqu.SelectDataset {
	columns := []any{
		jobTable.Col("id"), jobTable.Col("name"), jobTable.Col("description"),
		jobTable.Col("cron_pattern"), jobTable.Col("timezone"), jobTable.Col("category_id"),
		jobTable.Col("misfire_policy"), jobTable.Col("status"), jobTable.Col("status_reason"),
		jobTable.Col("revision"), jobTable.Col("version"), jobTable.Col("next_run_at"),
		jobTable.Col("created_by"), jobTable.Col("created_at"), jobTable.Col("updated_at"),
		goqu.L(`(SELECT MIN(e.occurrence_at) FROM executions e
			WHERE e.job_id = j.id AND e.occurrence_at > ? AND e.status IN ('pending', 'queued'))`, utc(now)),
		categoryTable.Col("name"), categoryTable.Col("color"), categoryTable.Col("status"),
		statsTable.Col("total_executions"), statsTable.Col("success_count"),
		statsTable.Col("consecutive_failures"), statsTable.Col("last_run_at"), statsTable.Col("last_status"),
		goqu.L("IF(k.job_id IS NULL, 0, IF(k.previous_until > ?, 2, 1))", utc(now)),
	}
	columns = append(columns, goqu.L(requestColumnsOfR))
	// Each job has its request. It is joined from outside by a condition that no
	// engine need see through: of an inner join MySQL and MariaDB weigh the ways
	// into the requests too, for longer than it takes to read some of them.
	return dialect.From(from).
		LeftJoin(goqu.T("categories").As("c"), goqu.On(categoryTable.Col("id").Eq(jobTable.Col("category_id")))).
		LeftJoin(goqu.T("job_requests").As("r"), goqu.On(
			requestTable.Col("job_id").Eq(jobTable.Col("id")),
			requestTable.Col("revision").Eq(jobTable.Col("revision")))).
		LeftJoin(goqu.T("job_stats").As("s"), goqu.On(statsTable.Col("job_id").Eq(jobTable.Col("id")))).
		LeftJoin(goqu.T("signing_keys").As("k"), goqu.On(goqu.I("k.job_id").Eq(jobTable.Col("id")))).
		Select(columns...).
		Where(goqu.L("COALESCE(r.revision, 0) > 0"))
}

func scanJob(rows *sql.Rows) (job.Job, error) {
	var (
		j                                          job.Job
		status, misfire                            string
		statusReason, lastStatus                   sql.Null[string]
		categoryName, categoryColor, categoryState sql.Null[string]
		nextRunAt, ahead, lastRunAt                sql.Null[time.Time]
		createdBy, total, success, failures        sql.Null[int64]
		request                                    requestRow
	)
	err := rows.Scan(append([]any{
		&j.ID, &j.Name, &j.Description, &j.CronPattern, &j.Timezone, &j.CategoryID,
		&misfire, &status, &statusReason, &j.Revision, &j.Version, &nextRunAt,
		&createdBy, &j.CreatedAt, &j.UpdatedAt, &ahead,
		&categoryName, &categoryColor, &categoryState,
		&total, &success, &failures, &lastRunAt, &lastStatus, &j.SigningKeys,
	}, request.targets()...)...)
	if err != nil {
		return job.Job{}, err
	}
	j.MisfirePolicy, j.Status, j.StatusReason = job.MisfirePolicy(misfire), job.Status(status), statusReason.V
	j.CreatedBy = createdBy.V
	if nextRunAt.Valid {
		j.NextRunAt = &nextRunAt.V
		if ahead.Valid && ahead.V.Before(nextRunAt.V) {
			j.NextRunAt = &ahead.V
		}
	}
	j.Category = job.CategoryRef{
		ID: j.CategoryID, Name: categoryName.V, Color: categoryColor.V, Status: job.CategoryStatus(categoryState.V),
	}
	j.Stats = job.Stats{
		TotalExecutions:     total.V,
		SuccessCount:        success.V,
		ConsecutiveFailures: int(failures.V),
		LastStatus:          execution.Status(lastStatus.V),
	}
	if lastRunAt.Valid {
		j.Stats.LastRunAt = &lastRunAt.V
	}
	if j.Request, err = request.request(); err != nil {
		// One job that cannot be read must not hide the others, nor itself.
		slog.Warn("a job's stored headers cannot be read", "jobId", j.ID, "err", err)
		j.Request, err = request.readable()
		if j.StatusReason == "" {
			j.StatusReason = job.ReasonUnreadable
		}
	}
	return j, err
}

// getJob reads a job that is not deleted; sql.ErrNoRows where there is none.
func getJob(ctx context.Context, q querier, id int64, now time.Time) (job.Job, error) {
	query := selectJobs(goqu.T("jobs").As("j"), now).Where(jobTable.Col("id").Eq(id), notDeleted)
	return queryOne(ctx, q, query, scanJob)
}
