package mysql

import (
	"context"
	"database/sql"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// maxNews bounds how many changes one look takes in.
const maxNews = 1000

// News lists the executions that have changed since a change, of those that a
// query's JobID, CategoryID, Status, Trigger and DueBy ask for. What changed is
// read off an index; only its rows are read, so that a look at nothing new
// costs next to nothing, whatever is stored.
func (s *History) News(ctx context.Context, q execution.Query, after execution.Change) (execution.News, error) {
	news := execution.News{Last: after}
	since := utc(after.UpdatedAt)
	due := ""
	args := []any{since, since, after.ID}
	if q.DueBy != nil {
		due, args = " AND e.scheduled_for <= ?", append(args, utc(*q.DueBy))
	}
	changes, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (c execution.Change, err error) {
		err = rows.Scan(&c.ID, &c.UpdatedAt)
		return c, err
	}, `SELECT e.id, e.updated_at FROM executions e FORCE INDEX (ix_executions_updated)
		WHERE e.updated_at >= ? AND (e.updated_at > ? OR e.id > ?)`+due+" ORDER BY e.updated_at, e.id LIMIT ?", append(args, maxNews+1)...)
	if err != nil || len(changes) == 0 {
		return news, translate(err)
	}
	if len(changes) > maxNews {
		news.More, changes = true, changes[:maxNews]
	}
	news.Last = changes[len(changes)-1]
	changed := make([]int64, len(changes))
	for i, c := range changes {
		changed[i] = c.ID
	}
	asked := []goqu.Expression{executionTable.Col("id").In(changed)}
	if q.JobID != 0 {
		asked = append(asked, executionTable.Col("job_id").Eq(q.JobID))
	}
	if q.CategoryID != 0 {
		asked = append(asked, goqu.I("j.category_id").Eq(q.CategoryID))
	}
	if q.Status != "" {
		asked = append(asked, executionTable.Col("status").Eq(string(q.Status)))
	}
	if q.Trigger != "" {
		asked = append(asked, executionTable.Col("trigger_type").Eq(string(q.Trigger)))
	}
	found, err := queryAll(ctx, s.db, selectExecutions().Where(asked...), scanExecution)
	news.Executions = inChosenOrder(found, changed)
	return news, translate(err)
}

// inChosenOrder arranges executions as ids are; those that retention was faster
// with, or that are not asked for, are left out.
func inChosenOrder(found []execution.Execution, ids []int64) []execution.Execution {
	byID := make(map[int64]execution.Execution, len(found))
	for _, e := range found {
		byID[e.ID] = e
	}
	ordered := make([]execution.Execution, 0, len(found))
	for _, id := range ids {
		if e, ok := byID[id]; ok {
			ordered = append(ordered, e)
		}
	}
	return ordered
}
