package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// unfollowed tells of a job j in a category c that it has yet to follow the
// category's status.
const unfollowed = "j.status = 'active' AND (j.next_run_at IS NULL) = (c.status = 'active')"

// Bounds of looking for jobs that have yet to follow: the categories that one
// statement names, and the jobs of inactive ones that it reads. Those of another
// category, behind so many, wait for a later tick; they are not started meanwhile.
const (
	categoriesAtOnce = 1000
	stoppingAtOnce   = 1000
)

// Unfollowed lists categories with jobs that have yet to follow their status. The
// categories are named to the statement that looks for such jobs, so that it reads
// those alone, by the index; told to look for them in a subquery, every engine
// reads others as well.
func (s *Executions) Unfollowed(ctx context.Context) ([]int64, error) {
	byStatus := map[bool][]int64{}
	_, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (_ struct{}, err error) {
		var id int64
		var active bool
		err = rows.Scan(&id, &active)
		byStatus[active] = append(byStatus[active], id)
		return struct{}{}, err
	}, "SELECT id, status = 'active' FROM categories ORDER BY id")
	if err != nil {
		return nil, translate(err)
	}
	var all []int64
	look := func(what string, categories []int64, next string) {
		for some := range slices.Chunk(categories, categoriesAtOnce) {
			if err != nil {
				return
			}
			var found []int64
			found, err = queryAllSQL(ctx, s.db, scanInto[int64], "SELECT "+what+" FROM jobs FORCE INDEX (ix_jobs_category) WHERE category_id IN ("+
				placeholders(len(some))+") AND status = 'active' AND next_run_at "+next, ids(some, func(id int64) int64 { return id })...)
			all = append(all, slices.Compact(found)...)
		}
	}
	look("DISTINCT category_id", byStatus[true], "IS NULL")
	look("category_id", byStatus[false], fmt.Sprintf("> '1000-01-01' LIMIT %d", stoppingAtOnce))
	return all, translate(err)
}

// Follow makes some jobs follow their category. Its locks are those of a claim:
// jobs, their categories (shared), executions.
func (s *Executions) Follow(ctx context.Context, request dispatch.FollowRequest) (dispatch.FollowResult, error) {
	var result dispatch.FollowResult
	candidates, err := s.candidates(ctx, request)
	if err != nil || len(candidates) == 0 {
		return result, translate(err)
	}
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		result = dispatch.FollowResult{}
		starting, stopping, err := lockUnfollowed(ctx, tx, candidates)
		if err != nil || len(starting)+len(stopping) == 0 {
			return err
		}
		if len(stopping) > 0 {
			if err := stopJobs(ctx, tx, stopping, request, &result); err != nil {
				return err
			}
		}
		if len(starting) > 0 {
			if err := startJobs(ctx, tx, starting, request, &result); err != nil {
				return err
			}
		}
		return raiseMoved(ctx, tx, result.ClaimResult)
	})
	return result, err
}

// startJobs gives jobs of active categories their next run, and records what was
// due since the category's change.
func startJobs(ctx context.Context, tx *sql.Tx, starting []dueRow, request dispatch.FollowRequest, result *dispatch.FollowResult) error {
	starting = planJobs(starting, request.ClaimRequest, &result.ClaimResult)
	// A schedule that never fires again has nothing to follow.
	planned := len(starting)
	starting = slices.DeleteFunc(starting, func(d dueRow) bool { return d.plan.NextRunAt == nil && d.plan.SetAside == "" })
	if result.Jobs -= planned - len(starting); len(starting) == 0 {
		return nil
	}
	return claimPlanned(ctx, tx, starting, request.ClaimRequest, &result.ClaimResult)
}

// candidates are jobs that may have to follow: those that are named, or some of
// the category.
func (s *Executions) candidates(ctx context.Context, request dispatch.FollowRequest) ([]any, error) {
	if request.JobIDs != nil {
		return ids(request.JobIDs, func(id int64) int64 { return id }), nil
	}
	statuses, err := queryAllSQL(ctx, s.db, scanInto[string], "SELECT status FROM categories WHERE id = ?", request.CategoryID)
	if err != nil || len(statuses) == 0 {
		return nil, err
	}
	is := "IS NOT NULL"
	if statuses[0] == string(job.CategoryActive) {
		is = "IS NULL"
	}
	found, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT id FROM jobs FORCE INDEX (ix_jobs_category) WHERE category_id = ? AND status = 'active' AND next_run_at "+is+" LIMIT ?",
		request.CategoryID, request.MaxJobs)
	return ids(found, func(id int64) int64 { return id }), err
}

// lockUnfollowed locks jobs and their categories, and answers the jobs that have
// to follow: those that start to run, and those that stop. What they have due
// counts from, or up to, the last change of the category's status. Jobs that came
// from another category later, as it was deleted, count from then.
func lockUnfollowed(ctx context.Context, tx *sql.Tx, candidates []any) (starting, stopping []dueRow, err error) {
	type row struct {
		dueRow
		next    sql.Null[time.Time]
		updated time.Time
	}
	locked, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.ID, &r.CronPattern, &r.Timezone, &r.MisfirePolicy, &r.next, &r.categoryID, &r.lane, &r.revision, &r.version, &r.updated)
		return r, err
	}, "SELECT "+dueColumns+", updated_at FROM jobs WHERE id IN ("+placeholders(len(candidates))+") AND status = 'active' ORDER BY id FOR UPDATE", candidates...)
	if err != nil || len(locked) == 0 {
		return nil, nil, err
	}
	type state struct {
		id     int64
		active bool
		since  time.Time
	}
	args := ids(locked, func(r row) int64 { return r.categoryID })
	states, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (s state, err error) {
		err = rows.Scan(&s.id, &s.active, &s.since)
		return s, err
	}, "SELECT id, status = 'active', COALESCE(status_at, updated_at) FROM categories WHERE id IN ("+placeholders(len(args))+") ORDER BY id LOCK IN SHARE MODE", args...)
	if err != nil {
		return nil, nil, err
	}
	categories := make(map[int64]state, len(states))
	for _, s := range states {
		categories[s.id] = s
	}
	for _, r := range locked {
		category, known := categories[r.categoryID]
		switch d := r.dueRow; {
		case !known || r.next.Valid == category.active:
		case category.active:
			if category.since.Before(r.updated) {
				category.since = r.updated
			}
			d.unscheduled, d.NextRunAt = true, category.since.Add(time.Millisecond)
			starting = append(starting, d)
		default:
			d.NextRunAt, d.Until = r.next.V, &category.since
			stopping = append(stopping, d)
		}
	}
	return starting, stopping, nil
}

const categoryInactive = "category inactive"

// stopJobs takes their next run from jobs of inactive categories, and ends what
// waits of them; what they had due until then is recorded. Jobs that have more
// waiting runs than may be ended at once keep their next run until those have
// ended: they are found again by it.
func stopJobs(ctx context.Context, tx *sql.Tx, stopping []dueRow, request dispatch.FollowRequest, result *dispatch.FollowResult) error {
	// The index is named: for so many jobs the optimizer would read their whole
	// history. They are read before they are locked, for the bound.
	args := ids(stopping, func(d dueRow) int64 { return d.ID })
	waiting, err := queryAllSQL(ctx, tx, scanInto[int64], `SELECT id FROM executions FORCE INDEX (ix_executions_job_status)
		WHERE job_id IN (`+placeholders(len(args))+") AND status IN ('pending', 'queued') AND trigger_type = 'schedule' LIMIT ?",
		slices.Concat(args, []any{request.MaxCancelled})...)
	if err != nil {
		return err
	}
	if err := endInactive(ctx, tx, request.Now, waiting, result); err != nil || len(waiting) == request.MaxCancelled {
		return err
	}
	stopping = planJobs(stopping, request.ClaimRequest, &result.ClaimResult)
	if err := claimPlanned(ctx, tx, stopping, request.ClaimRequest, &result.ClaimResult); err != nil {
		return err
	}
	recorded := make([]int64, len(result.Waiting))
	for i, w := range result.Waiting {
		recorded[i] = w.ID
	}
	result.Waiting = nil
	return endInactive(ctx, tx, request.Now, recorded, result)
}

func endInactive(ctx context.Context, tx *sql.Tx, now time.Time, waiting []int64, result *dispatch.FollowResult) error {
	if len(waiting) == 0 {
		return nil
	}
	ended, err := endWaiting(ctx, tx, now, ending{
		status: execution.Cancelled, reason: categoryInactive, index: "PRIMARY",
		where: "id IN (" + placeholders(len(waiting)) + ")", args: ids(waiting, func(id int64) int64 { return id }),
	})
	result.Cancelled += len(ended)
	return err
}
