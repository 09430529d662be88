package mysql

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"
	"github.com/doug-martin/goqu/v9/exp"

	"github.com/cronjobs/cronjobs/internal/job"
)

// ListJobs reads a page of jobs and the number of all that match. The page is
// chosen on narrow rows, and only its jobs are read in full.
func (s *Jobs) ListJobs(ctx context.Context, filter job.Filter, now time.Time) ([]job.Job, int, error) {
	matching := dialect.From(goqu.T("jobs").As("j")).Where(jobConditions(filter)...)
	total, err := queryOne(ctx, s.db, matching.Select(goqu.COUNT("*")), scanInto[int])
	if err != nil || total <= filter.Offset || filter.Limit <= 0 {
		return nil, total, translate(err)
	}
	page := orderJobs(matching, filter, now).Select(jobTable.Col("id")).
		Offset(uint(filter.Offset)).Limit(uint(filter.Limit))
	ids, err := queryAll(ctx, s.db, page, scanInto[int64])
	if err != nil || len(ids) == 0 {
		return nil, total, translate(err)
	}
	full := selectJobs(goqu.T("jobs").As("j"), now).Where(jobTable.Col("id").In(ids), notDeleted)
	found, err := queryAll(ctx, s.db, full, scanJob)
	if err != nil {
		return nil, 0, translate(err)
	}
	return inOrder(found, ids), total, nil
}

// inOrder arranges jobs as ids are; one that is gone by now is left out.
func inOrder(found []job.Job, ids []int64) []job.Job {
	byID := make(map[int64]job.Job, len(found))
	for _, j := range found {
		byID[j.ID] = j
	}
	ordered := make([]job.Job, 0, len(ids))
	for _, id := range ids {
		if j, ok := byID[id]; ok {
			ordered = append(ordered, j)
		}
	}
	return ordered
}

func jobConditions(filter job.Filter) []goqu.Expression {
	where := []goqu.Expression{notDeleted}
	if filter.Search != "" {
		part := strings.ToLower(filter.Search)
		where = append(where, goqu.Or(contains("j.name_key", part), containsFolded("j.description", part)))
	}
	if filter.Status != "" {
		where = append(where, jobTable.Col("status").Eq(string(filter.Status)))
	}
	if filter.CategoryID != 0 {
		where = append(where, jobTable.Col("category_id").Eq(filter.CategoryID))
	}
	if filter.Method != "" {
		where = append(where, jobTable.Col("method").Eq(filter.Method))
	}
	return where
}

// contains finds part in a column that is folded and has a binary collation.
// Unlike LIKE it has no wildcards to escape, and unlike the tables' collation
// it tells accents and emoji apart.
func contains(column, part string) exp.LiteralExpression {
	return goqu.L("LOCATE(?, "+column+") > 0", part)
}

// containsFolded is contains for a column as it was written.
func containsFolded(column, part string) exp.LiteralExpression {
	return goqu.L("LOCATE(?, LOWER("+column+") COLLATE utf8mb4_bin) > 0", part)
}

// orderJobs sorts by the filter's key and then by id. Jobs without the key,
// which never ran or are not scheduled, come last in either direction.
func orderJobs(query *goqu.SelectDataset, filter job.Filter, now time.Time) *goqu.SelectDataset {
	var key exp.Orderable
	switch filter.Sort {
	case job.SortName: // unique, so the index alone orders the page
		return query.OrderAppend(direction(jobTable.Col("name_key"), filter.Descending))
	case job.SortStatus:
		key = goqu.L("CONCAT(j.status)") // by its name: an ENUM sorts by its number
	// deleted_at says again what notDeleted says, for an index that leads with
	// it: then a page is read in its order and nothing is sorted.
	case job.SortCreatedAt:
		query, key = query.Where(jobTable.Col("deleted_at").IsNull()), jobTable.Col("created_at")
	case job.SortUpdatedAt:
		query, key = query.Where(jobTable.Col("deleted_at").IsNull()), jobTable.Col("updated_at")
	case job.SortNextRunAt:
		ahead := dialect.From("executions").
			Select(goqu.C("job_id"), goqu.MIN("occurrence_at").As("at")).
			Where(goqu.C("status").In("pending", "queued"), goqu.C("occurrence_at").Gt(utc(now))).
			GroupBy("job_id")
		query = query.LeftJoin(ahead.As("w"), goqu.On(goqu.I("w.job_id").Eq(jobTable.Col("id")))).
			OrderAppend(goqu.L("j.next_run_at IS NULL").Asc())
		key = goqu.L("LEAST(j.next_run_at, COALESCE(w.at, j.next_run_at))")
	case job.SortLastRunAt:
		query = query.LeftJoin(goqu.T("job_stats").As("s"), goqu.On(statsTable.Col("job_id").Eq(jobTable.Col("id")))).
			OrderAppend(goqu.L("s.last_run_at IS NULL").Asc())
		key = statsTable.Col("last_run_at")
	default:
		return query.OrderAppend(direction(jobTable.Col("id"), filter.Descending))
	}
	return query.OrderAppend(direction(key, filter.Descending), direction(jobTable.Col("id"), filter.Descending))
}

func direction(key exp.Orderable, descending bool) exp.OrderedExpression {
	if descending {
		return key.Desc()
	}
	return key.Asc()
}

var _ job.Store = (*Jobs)(nil)

// lockCategoryShared reads a category and keeps it from changing until the
// transaction ends; nil where there is none.
func lockCategoryShared(ctx context.Context, tx *sql.Tx, id int64) (*job.CategoryRef, error) {
	found, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (job.CategoryRef, error) {
		var c job.CategoryRef
		var status string
		err := rows.Scan(&c.ID, &c.Name, &c.Color, &status)
		c.Status = job.CategoryStatus(status)
		return c, err
	}, "SELECT id, name, color, status FROM categories WHERE id = ? LOCK IN SHARE MODE", id)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
