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
	where, args := "", []any{afterID}
	if categoryID != 0 {
		where, args = " AND j.category_id = ?", append(args, categoryID)
	}
	// As with lists, the page is chosen on narrow rows: entries of an index in
	// their order, none of which is sorted.
	ids, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT j.id FROM jobs j FORCE INDEX (ix_jobs_live) WHERE j.deleted_at IS NULL AND j.id > ?"+
		where+" ORDER BY j.id LIMIT ?", append(args, limit)...)
	if err != nil || len(ids) == 0 {
		return nil, translate(err)
	}
	full := selectJobs(goqu.T("jobs").As("j"), endOfTime).Where(jobTable.Col("id").In(ids), notDeleted)
	found, err := queryAll(ctx, s.db, full, scanJob)
	return inOrder(found, ids), translate(err)
}
