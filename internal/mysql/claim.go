package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// dueRow is a due job as the claim reads it.
type dueRow struct {
	dispatch.DueJob
	categoryID int64
	lane       execution.Lane
	revision   int
	version    int
	// unscheduled jobs have no next run yet.
	unscheduled bool
	plan        dispatch.Plan
}

func scanDue(rows *sql.Rows) (d dueRow, err error) {
	err = rows.Scan(&d.ID, &d.CronPattern, &d.Timezone, &d.MisfirePolicy, &d.NextRunAt, &d.categoryID, &d.lane, &d.revision, &d.version)
	return d, err
}

const dueColumns = "id, cron_pattern, timezone, misfire_policy, next_run_at, category_id, lane, revision, version"

// Claim locks due jobs, stores what their plans say, and moves their next run
// past the horizon, in one transaction of eight round trips.
func (s *Executions) Claim(ctx context.Context, request dispatch.ClaimRequest) (dispatch.ClaimResult, error) {
	var result dispatch.ClaimResult
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		result = dispatch.ClaimResult{}
		due, err := lockDue(ctx, tx, request)
		if err != nil || len(due) == 0 {
			return err
		}
		active, err := lockActiveCategories(ctx, tx, due, func(d dueRow) int64 { return d.categoryID })
		if err != nil {
			return err
		}
		result.Last = place(due)
		due = slices.DeleteFunc(due, func(d dueRow) bool {
			if !active[d.categoryID] && !slices.Contains(result.Inactive, d.categoryID) {
				result.Inactive = append(result.Inactive, d.categoryID)
			}
			return !active[d.categoryID]
		})
		if len(due) == 0 {
			return nil
		}
		due = planJobs(due, request, &result)
		result.Last = place(due)
		if err := claimPlanned(ctx, tx, due, request, &result); err != nil {
			return err
		}
		return raiseMoved(ctx, tx, result)
	})
	return result, err
}

// place is that of the last of some jobs.
func place(due []dueRow) *dispatch.Place {
	last := due[len(due)-1]
	return &dispatch.Place{NextRunAt: last.NextRunAt, JobID: last.ID}
}

// planJobs plans as many of the jobs as have room, and answers those.
func planJobs(due []dueRow, request dispatch.ClaimRequest, result *dispatch.ClaimResult) []dueRow {
	rows := 0
	for i := range due {
		d := &due[i]
		d.plan = request.Plan(d.DueJob)
		rows += len(d.plan.Runs)
		result.Jobs++
		if rows >= request.MaxRows {
			result.Full = i+1 < len(due)
			return due[:i+1]
		}
	}
	return due
}

// claimPlanned stores what the plans of locked jobs say. Whoever calls it ends its
// transaction with raiseMoved.
func claimPlanned(ctx context.Context, tx *sql.Tx, due []dueRow, request dispatch.ClaimRequest, result *dispatch.ClaimResult) error {
	err := advance(ctx, tx, due, request.Now, result)
	if err != nil {
		return err
	}
	result.Waiting, err = insertOccurrences(ctx, tx, due, request, result)
	return err
}

// raiseMoved raises the generation of what a claim has changed.
func raiseMoved(ctx context.Context, tx *sql.Tx, result dispatch.ClaimResult) error {
	switch {
	case result.SetAside > 0:
		return raise(ctx, tx, jobsChanged)
	case result.Jobs > 0:
		return raise(ctx, tx, schedulesMoved)
	default:
		return nil
	}
}

// lockDue reads due jobs under an exclusive lock. SKIP LOCKED is a hint: the
// compare in advance is what makes the claim right. Named jobs are waited for:
// whoever names them is about to move their schedule, and would drop what is due
// where another's lock had hidden it.
func lockDue(ctx context.Context, tx *sql.Tx, request dispatch.ClaimRequest) ([]dueRow, error) {
	query := "SELECT " + dueColumns + " FROM jobs WHERE next_run_at <= ?"
	args := []any{utc(request.Horizon)}
	if request.JobIDs != nil {
		query += " AND id IN (" + placeholders(len(request.JobIDs)) + ") ORDER BY id"
		args = append(args, ids(request.JobIDs, func(id int64) int64 { return id })...)
		if len(request.JobIDs) == 0 {
			return nil, nil
		}
	} else {
		if after := request.After; after != nil {
			query += " AND (next_run_at > ? OR next_run_at = ? AND id > ?)"
			args = append(args, utc(after.NextRunAt), utc(after.NextRunAt), after.JobID)
		}
		if len(request.Except) > 0 {
			except := ids(request.Except, func(id int64) int64 { return id })
			query += " AND category_id NOT IN (" + placeholders(len(except)) + ")"
			args = append(args, except...)
		}
		query += " ORDER BY next_run_at, id"
	}
	query += " LIMIT ? FOR UPDATE"
	if request.JobIDs == nil {
		query += " SKIP LOCKED"
	}
	return queryAllSQL(ctx, tx, scanDue, query, append(args, request.MaxJobs)...)
}

// lockActiveCategories reads categories under a shared lock, so that none can
// be inactivated until this transaction ends, and tells which are active.
func lockActiveCategories[T any](ctx context.Context, tx *sql.Tx, items []T, category func(T) int64) (map[int64]bool, error) {
	args := ids(items, category)
	type row struct {
		id     int64
		status job.CategoryStatus
	}
	rows, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.status)
		return r, err
	}, "SELECT id, status FROM categories WHERE id IN ("+placeholders(len(args))+") ORDER BY id LOCK IN SHARE MODE", args...)
	if err != nil {
		return nil, err
	}
	active := map[int64]bool{}
	for _, r := range rows {
		active[r.id] = r.status == job.CategoryActive
	}
	return active, nil
}

// advance moves each job's next run, comparing both its version and the next
// run that was read; all of the jobs have one, or none has. Jobs that cannot be
// planned are set aside with a reason.
func advance(ctx context.Context, tx *sql.Tx, due []dueRow, now time.Time, result *dispatch.ClaimResult) error {
	slices.SortFunc(due, func(a, b dueRow) int { return cmp.Compare(a.ID, b.ID) })
	next := newCase("id")
	read, unscheduled := newTuples("id", "version", "next_run_at"), newTuples("id", "version")
	for _, d := range due {
		next.when(d.ID, nullTime(d.plan.NextRunAt))
		read.add(d.ID, d.version, d.NextRunAt)
		unscheduled.add(d.ID, d.version)
	}
	// The CASE is cast: where every value is NULL its type would be unknown.
	value, valueArgs := next.shortest()
	asRead, asReadArgs := read.shortest()
	if due[0].unscheduled {
		asRead, asReadArgs = unscheduled.shortest()
		asRead += " AND next_run_at IS NULL"
	}
	query := "UPDATE jobs SET next_run_at = CAST(" + value + " AS DATETIME(3)) WHERE " + asRead
	matched, err := execSQL(ctx, tx, query, slices.Concat(valueArgs, asReadArgs)...)
	if err != nil {
		return err
	}
	if matched != int64(len(due)) {
		return errLostRace
	}
	for _, d := range due {
		if d.plan.SetAside == "" {
			continue
		}
		result.SetAside++
		if _, err := execSQL(ctx, tx, "UPDATE jobs SET status = 'failed', status_reason = ?, version = version + 1, updated_at = ? WHERE id = ?",
			cut(d.plan.SetAside, 500), now, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// cut shortens a text to what its column takes, in code points.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// CountDue counts due jobs, locked or not, but for those of some categories.
func (s *Executions) CountDue(ctx context.Context, horizon time.Time, except []int64) (int, error) {
	query, args := "SELECT COUNT(*) FROM jobs WHERE next_run_at <= ?", []any{utc(horizon)}
	if len(except) > 0 {
		categories := ids(except, func(id int64) int64 { return id })
		query += " AND category_id NOT IN (" + placeholders(len(categories)) + ")"
		args = append(args, categories...)
	}
	counts, err := queryAllSQL(ctx, s.db, scanInto[int], query, args...)
	if err != nil {
		return 0, translate(err)
	}
	return counts[0], nil
}

// Now is the database's clock, in UTC.
func (s *Executions) Now(ctx context.Context) (time.Time, error) {
	times, err := queryAllSQL(ctx, s.db, scanInto[time.Time], "SELECT UTC_TIMESTAMP(3)")
	if err != nil {
		return time.Time{}, translate(err)
	}
	return times[0].UTC(), nil
}
