package mysql

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/job"
)

// UpdateJobs carries out what decide makes of each of the jobs, in one
// transaction whose number of round trips does not depend on theirs. The locks
// and their order are those of UpdateJob.
func (s *Jobs) UpdateJobs(ctx context.Context, ids []int64, categoryID int64, now time.Time,
	decide func(current job.Job, category *job.CategoryRef) (job.Change, error),
) ([]job.Updated, error) {
	var updated []job.Updated
	err := changingJobs(ctx, s.db, func(tx *sql.Tx) error {
		updated = make([]job.Updated, len(ids))
		current, err := lockJobs(ctx, tx, ids)
		if err != nil {
			return err
		}
		categories, err := lockCategoriesOf(ctx, tx, current, categoryID)
		if err != nil {
			return err
		}
		var changes []bulkChange
		for i, id := range ids {
			updated[i].ID = id
			j, found := current[id]
			if !found {
				updated[i].Err = errNoJob
				continue
			}
			wanted := j.CategoryID
			if categoryID != 0 {
				wanted = categoryID
			}
			if own := categories[j.CategoryID]; own != nil {
				j.Category = *own
			}
			change, err := decide(j, categories[wanted])
			if updated[i].Err = err; err != nil || change.Nothing {
				continue
			}
			due := change.Reschedule && j.NextRunAt != nil && !j.NextRunAt.After(now)
			// It must follow its own category first.
			if due || j.Status == job.Active && (j.NextRunAt != nil) != (j.Category.Status == job.CategoryActive) {
				return job.ErrDue
			}
			updated[i].Rescheduled, updated[i].NextRunAt = change.Reschedule, change.Job.NextRunAt
			changes = append(changes, bulkChange{before: j, Change: change})
		}
		if err := applyChanges(ctx, tx, changes, now); err != nil {
			return err
		}
		entries := make([]audit.Entry, len(changes))
		for i, c := range changes {
			entries[i] = c.AuditedBriefly(c.before)
		}
		if err := record(ctx, tx, entries...); err != nil {
			return err
		}
		var done []int64
		for _, u := range updated {
			if u.Err == nil {
				done = append(done, u.ID)
			}
		}
		return noteMore(ctx, tx, done)
	})
	if err != nil {
		return nil, err
	}
	return updated, nil
}

var errNoJob = apperr.New(apperr.NotFound, "There is no such job.")

// lockJobs locks jobs, ascending, and reads what deciding about their status,
// category and existence needs. NextRunAt is as it is stored.
func lockJobs(ctx context.Context, tx *sql.Tx, wanted []int64) (map[int64]job.Job, error) {
	args := ids(wanted, func(id int64) int64 { return id })
	rows, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (j job.Job, err error) {
		var reason sql.Null[string]
		var next sql.Null[time.Time]
		err = rows.Scan(&j.ID, &j.Name, &j.CronPattern, &j.Timezone, &j.CategoryID, &j.Status, &reason, &j.Version, &next)
		j.StatusReason = reason.V
		if next.Valid {
			j.NextRunAt = &next.V
		}
		return j, err
	}, "SELECT id, name, cron_pattern, timezone, category_id, status, status_reason, version, next_run_at FROM jobs WHERE id IN ("+
		placeholders(len(args))+") AND name_key IS NOT NULL ORDER BY id FOR UPDATE", args...)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]job.Job, len(rows))
	for _, j := range rows {
		found[j.ID] = j
	}
	return found, nil
}

// lockCategoriesOf reads the jobs' categories and one more, unless it is 0, and
// keeps them from changing until the transaction ends.
func lockCategoriesOf(ctx context.Context, tx *sql.Tx, jobs map[int64]job.Job, another int64) (map[int64]*job.CategoryRef, error) {
	wanted := []int64{another}
	for _, j := range jobs {
		wanted = append(wanted, j.CategoryID)
	}
	args := ids(wanted, func(id int64) int64 { return id })
	rows, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (c job.CategoryRef, err error) {
		err = rows.Scan(&c.ID, &c.Name, &c.Color, &c.Status)
		return c, err
	}, "SELECT id, name, color, status FROM categories WHERE id IN ("+placeholders(len(args))+") ORDER BY id LOCK IN SHARE MODE", args...)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]*job.CategoryRef, len(rows))
	for _, c := range rows {
		found[c.ID] = &c
	}
	return found, nil
}

// bulkChange is a change with what it starts from.
type bulkChange struct {
	before job.Job
	job.Change
}

// sameWrite is what the changes that one statement can make have in common.
// Zero fields are columns that stay.
type sameWrite struct {
	status     job.Status
	unexplain  bool // the reason of the status goes
	categoryID int64
	reschedule bool
	remove     bool
}

func (c bulkChange) write() sameWrite {
	w := sameWrite{
		reschedule: c.Reschedule, remove: c.Delete,
		unexplain: c.before.StatusReason != "" && c.Job.StatusReason == "",
	}
	if c.Job.Status != c.before.Status {
		w.status = c.Job.Status
	}
	if c.Job.CategoryID != c.before.CategoryID {
		w.categoryID = c.Job.CategoryID
	}
	return w
}

// applyChanges writes changes of status, category and existence, as applyChange
// does for one job.
func applyChanges(ctx context.Context, tx *sql.Tx, changes []bulkChange, now time.Time) error {
	cancels := map[job.Cancel][]int64{}
	writes := map[sameWrite][]bulkChange{}
	var forgiven, deleted []int64
	for _, c := range changes {
		if c.Delete {
			deleted = append(deleted, c.Job.ID)
		}
		if c.Cancel != job.CancelNone {
			cancels[c.Cancel] = append(cancels[c.Cancel], c.Job.ID)
		}
		if c.ForgetFailures {
			forgiven = append(forgiven, c.Job.ID)
		}
		w := c.write()
		writes[w] = append(writes[w], c)
	}
	for which, jobIDs := range cancels {
		if err := cancelWaiting(ctx, tx, jobIDs, which, now); err != nil {
			return err
		}
	}
	for w, same := range writes {
		if err := writeChanges(ctx, tx, w, same, now); err != nil {
			return err
		}
	}
	if len(forgiven) > 0 {
		if err := forgetFailures(ctx, tx, forgiven); err != nil {
			return err
		}
	}
	if len(deleted) == 0 {
		return nil
	}
	return forgetDeleted(ctx, tx, deleted)
}

func writeChanges(ctx context.Context, tx *sql.Tx, w sameWrite, changes []bulkChange, now time.Time) error {
	set := []string{"version = version + 1", "updated_at = ?"}
	args := []any{utc(now)}
	with := func(column string, values ...any) {
		set = append(set, column)
		args = append(args, values...)
	}
	if w.status != "" {
		with("status = ?", string(w.status))
	}
	if w.unexplain {
		with("status_reason = NULL")
	}
	if w.categoryID != 0 {
		with("category_id = ?", w.categoryID)
	}
	if w.remove {
		with("name_key = NULL, deleted_at = ?", utc(now))
	}
	if w.reschedule {
		next := newCase("id")
		for _, c := range changes {
			next.when(c.Job.ID, nullTime(c.Job.NextRunAt))
		}
		value, values := next.shortest()
		with("next_run_at = CAST("+value+" AS DATETIME(3))", values...)
	}
	idArgs := ids(changes, func(c bulkChange) int64 { return c.Job.ID })
	_, err := execSQL(ctx, tx, "UPDATE jobs SET "+strings.Join(set, ", ")+" WHERE id IN ("+placeholders(len(idArgs))+")",
		slices.Concat(args, idArgs)...)
	return err
}
