package mysql

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

// moveAtOnce is how many jobs move to another category in one transaction: what
// is locked is hidden from the claim.
const moveAtOnce = 500

// DeleteCategory removes a category. Jobs that move keep their next run; where
// the categories differ in status, ticks see to it, and instants count up to the
// move, or from it. Jobs that have something behind them which would be forgotten
// by that are a *job.DueError. Deleted jobs move along,
// so that their history keeps a category.
//
// Up to moveAtOnce jobs move in the very transaction that removes the category.
// Where there are more, the others move before, in transactions of their own:
// who is cut off in between finds them moved, the category still there, and may
// ask again.
func (s *Categories) DeleteCategory(ctx context.Context, id, reassignTo int64, now time.Time,
	check func(current job.Category) error,
) error {
	if reassignTo == 0 {
		return s.deleteEmpty(ctx, id, check)
	}
	for done := false; !done; {
		err := changingJobs(ctx, s.db, func(tx *sql.Tx) (err error) {
			done, err = moveAndDelete(ctx, tx, id, reassignTo, now, check)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Categories) deleteEmpty(ctx context.Context, id int64, check func(current job.Category) error) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		// Whoever puts a job into the category waits for this lock, or has
		// committed and is counted below.
		current, err := lockCategory(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := check(current); err != nil {
			return err
		}
		if err := refuseJobs(ctx, tx, current); err != nil {
			return err
		}
		if _, err = exec(ctx, tx, dialect.Delete("categories").Where(goqu.C("id").Eq(id))); err != nil {
			return err
		}
		return record(ctx, tx, current.AuditedDeletion(0))
	})
}

func refuseJobs(ctx context.Context, tx *sql.Tx, category job.Category) error {
	counted := []job.Category{category}
	if err := countJobs(ctx, tx, counted); err != nil {
		return err
	}
	if n := counted[0].JobCount; n > 0 {
		return apperr.Newf(apperr.Conflict,
			"The category has jobs (%d). Move them with ?reassignTo=ID, or delete them first.", n)
	}
	return nil
}

// moveAndDelete moves jobs and, once none is left, removes the category; done
// tells whether it has. The locks are taken in the order of every change of a
// job: its row, then its category.
func moveAndDelete(ctx context.Context, tx *sql.Tx, from, to int64, now time.Time,
	check func(current job.Category) error,
) (done bool, err error) {
	found, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE category_id = ? LIMIT ?", from, moveAtOnce)
	if err != nil {
		return false, err
	}
	args := ids(found, func(id int64) int64 { return id })
	if len(found) > 0 {
		if _, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE id IN ("+placeholders(len(args))+") ORDER BY id FOR UPDATE", args...); err != nil {
			return false, err
		}
	}
	current, target, err := lockForMove(ctx, tx, from, to, check)
	if err != nil {
		return false, err
	}
	if len(found) > 0 {
		moves := make([]job.Change, len(found))
		for i, id := range found {
			moves[i] = job.Change{Job: job.Job{ID: id}, Reschedule: current.Status != target.Status}
		}
		if err := refuseDue(ctx, tx, moves, now); err != nil {
			return false, err
		}
		if _, err := execSQL(ctx, tx, "UPDATE jobs FORCE INDEX (PRIMARY) SET category_id = ?, version = version + 1, updated_at = ? WHERE id IN ("+
			placeholders(len(args))+") AND category_id = ?", slices.Concat([]any{to, utc(now)}, args, []any{from})...); err != nil {
			return false, err
		}
	}
	// Jobs beyond the bound, and those that came before the category was locked.
	left, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE category_id = ? LIMIT 1", from)
	if err != nil || len(left) > 0 {
		return false, err
	}
	if _, err = exec(ctx, tx, dialect.Delete("categories").Where(goqu.C("id").Eq(from))); err != nil {
		return false, err
	}
	return true, record(ctx, tx, current.AuditedDeletion(to))
}

// lockForMove locks both categories in the order of their ids, so that two that
// are deleted into each other do not wait for each other.
func lockForMove(ctx context.Context, tx *sql.Tx, from, to int64, check func(current job.Category) error) (current job.Category, target *job.CategoryRef, err error) {
	lockTarget := func() (err error) {
		target, err = lockCategoryShared(ctx, tx, to)
		return err
	}
	if to < from {
		if err := lockTarget(); err != nil {
			return job.Category{}, nil, err
		}
	}
	current, err = lockCategory(ctx, tx, from)
	if err != nil {
		return job.Category{}, nil, err
	}
	if err := check(current); err != nil {
		return job.Category{}, nil, err
	}
	if to > from {
		if err := lockTarget(); err != nil {
			return job.Category{}, nil, err
		}
	}
	if target == nil {
		return job.Category{}, nil, apperr.InvalidField("reassignTo", "there is no such category")
	}
	return current, target, nil
}
