package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// LostLeases lists running executions whose worker's lease has ended. The
// transition that follows compares the fence, so reading is enough here.
func (s *Executions) LostLeases(ctx context.Context, now time.Time, limit int) ([]dispatch.Lost, error) {
	lost, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (l dispatch.Lost, err error) {
		var (
			delay   int64
			attempt int
			started time.Time
			leased  time.Time
		)
		err = rows.Scan(&l.ID, &l.JobID, &l.CategoryID, &l.ScheduledFor, &l.Fence, &l.Trigger, &attempt, &l.Lane, &started, &leased, &l.Host,
			&l.Retry.Attempts, &delay, &l.Retry.Backoff)
		l.Retry.Delay = time.Duration(delay) * time.Millisecond
		l.FirstStartedAt = started
		l.Attempt = execution.Attempt{ExecutionID: l.ID, Attempt: attempt, Fence: l.Fence, StartedAt: leased}
		return l, err
	}, `SELECT e.id, e.job_id, j.category_id, e.scheduled_for, e.fence, e.trigger_type, e.attempt, e.lane, e.started_at,
		CASE WHEN e.attempt = 1 THEN e.started_at ELSE e.updated_at END, `+hostOfURL+`, r.retry_attempts, r.retry_delay_ms, r.retry_backoff
		FROM executions e JOIN job_requests r ON r.job_id = e.job_id AND r.revision = e.revision JOIN jobs j ON j.id = e.job_id
		WHERE e.status = 'running' AND e.lease_until < ? ORDER BY e.id LIMIT ?`, utc(now), limit)
	return lost, translate(err)
}

// SyncCategories makes a batch of jobs follow their category's status: jobs of
// inactive categories lose their next run and their waiting scheduled runs,
// jobs of categories that are active again get a next run.
func (s *Executions) SyncCategories(ctx context.Context, now time.Time, limit int, next func(dispatch.DueJob) *time.Time) (int, error) {
	stopped, err := s.stopInactive(ctx, now, limit)
	if err != nil || stopped == limit {
		return stopped, err
	}
	resumed, err := s.resumeActive(ctx, limit-stopped, next)
	return stopped + resumed, err
}

func (s *Executions) stopInactive(ctx context.Context, now time.Time, limit int) (int, error) {
	count := 0
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		count = 0
		// STRAIGHT_JOIN: from the few categories to their jobs by the index, so
		// that the cost follows what has to change.
		found, err := queryAllSQL(ctx, tx, scanInto[int64], `SELECT j.id FROM categories c STRAIGHT_JOIN jobs j
			ON j.category_id = c.id AND j.status = 'active' AND j.next_run_at IS NOT NULL WHERE c.status = 'inactive' LIMIT ?`, limit)
		if err != nil || len(found) == 0 {
			return err
		}
		args := ids(found, func(id int64) int64 { return id })
		locked, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE id IN ("+placeholders(len(args))+") ORDER BY id FOR UPDATE", args...)
		if err != nil || len(locked) == 0 {
			return err
		}
		// Once more under the lock: the category may be active again.
		if _, err := execSQL(ctx, tx, `UPDATE jobs SET next_run_at = NULL WHERE id IN (`+placeholders(len(args))+`)
			AND category_id IN (SELECT id FROM categories WHERE status = 'inactive')`, args...); err != nil {
			return err
		}
		count = len(found)
		// The index is named: for so many jobs the optimizer would read their
		// whole history.
		stopped, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE next_run_at IS NULL AND id IN ("+placeholders(len(args))+")", args...)
		if err != nil || len(stopped) == 0 {
			return err
		}
		_, err = endWaiting(ctx, tx, now, ending{
			status: execution.Cancelled, reason: "category inactive", index: "ix_executions_job_status",
			where: "trigger_type = 'schedule' AND job_id IN (" + placeholders(len(stopped)) + ")",
			args:  ids(stopped, func(id int64) int64 { return id }),
		})
		return err
	})
	return count, err
}

func (s *Executions) resumeActive(ctx context.Context, limit int, next func(dispatch.DueJob) *time.Time) (int, error) {
	count := 0
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		count = 0
		type row struct {
			dispatch.DueJob
			version int
		}
		found, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r row, err error) {
			err = rows.Scan(&r.ID, &r.CronPattern, &r.Timezone, &r.version)
			return r, err
		}, `SELECT j.id, j.cron_pattern, j.timezone, j.version FROM categories c STRAIGHT_JOIN jobs j
			ON j.category_id = c.id AND j.status = 'active' AND j.next_run_at IS NULL
			WHERE c.status = 'active' AND j.deleted_at IS NULL LIMIT ?`, limit)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return nil
		}
		// Locked in the order of ids first, as everyone locks jobs.
		found = slices.SortedFunc(slices.Values(found), func(a, b row) int { return cmp.Compare(a.ID, b.ID) })
		all := ids(found, func(r row) int64 { return r.ID })
		if _, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE id IN ("+placeholders(len(all))+") ORDER BY id FOR UPDATE", all...); err != nil {
			return err
		}
		values := newCase("id")
		var compare []any
		for _, r := range found {
			if at := next(r.DueJob); at != nil {
				values.when(r.ID, utc(*at))
				compare = append(compare, r.ID, r.version)
				count++
			}
		}
		if count == 0 {
			return nil
		}
		idArgs := ids(found, func(r row) int64 { return r.ID })
		_, err = execSQL(ctx, tx, "UPDATE jobs SET next_run_at = CAST("+values.end()+" AS DATETIME(3)) WHERE id IN ("+placeholders(len(idArgs))+
			") AND next_run_at IS NULL AND status = 'active' AND deleted_at IS NULL AND (id, version) IN ("+tuples(count, 2)+")",
			slices.Concat(values.args, idArgs, compare)...)
		return err
	})
	return count, err
}
