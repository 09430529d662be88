package mysql

import (
	"context"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/job"
)

// endOfTime is after every run that is recorded: who does not ask for the runs
// ahead pays nothing for them.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// ExportJobs reads jobs in full by ascending id.
func (s *Jobs) ExportJobs(ctx context.Context, afterID, categoryID int64, limit int) ([]job.Job, error) {
	where := []goqu.Expression{notDeleted, jobTable.Col("id").Gt(afterID)}
	if categoryID != 0 {
		where = append(where, jobTable.Col("category_id").Eq(categoryID))
	}
	// As with lists, the page is chosen on narrow rows.
	ids, err := queryAll(ctx, s.db, dialect.From(goqu.T("jobs").As("j")).Select(jobTable.Col("id")).Where(where...).
		Order(jobTable.Col("id").Asc()).Limit(uint(limit)), scanInto[int64])
	if err != nil || len(ids) == 0 {
		return nil, translate(err)
	}
	full := selectJobs(goqu.T("jobs").As("j"), endOfTime).Where(jobTable.Col("id").In(ids), notDeleted)
	found, err := queryAll(ctx, s.db, full, scanJob)
	return inOrder(found, ids), translate(err)
}
