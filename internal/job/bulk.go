package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// BulkAction is what is done to many jobs at once.
type BulkAction string

// The actions.
const (
	BulkPause  BulkAction = "pause"
	BulkResume BulkAction = "resume"
	BulkDelete BulkAction = "delete"
	BulkMove   BulkAction = "move" // to another category
)

// bulkDeeds are the actions as the audit log names them.
var bulkDeeds = map[BulkAction]audit.Action{
	BulkPause: audit.JobPause, BulkResume: audit.JobResume, BulkDelete: audit.JobDelete, BulkMove: audit.JobMove,
}

// MaxBulk is how many jobs one request may name.
const MaxBulk = 500

// bulkJobs is how many jobs are changed in one transaction.
const bulkJobs = 100

// Bulk is one action for many jobs.
type Bulk struct {
	Action BulkAction
	IDs    []int64
	// CategoryID is where BulkMove moves them; 0 with all others.
	CategoryID int64
	// Done are jobs that an earlier attempt has changed, and left there.
	Done []int64
}

// Check names the faults that can be seen without the stored jobs.
func (b Bulk) Check() error {
	var f apperr.Faults
	if !slices.Contains([]BulkAction{BulkPause, BulkResume, BulkDelete, BulkMove}, b.Action) {
		f.Add("action", "must be pause, resume, delete or move")
	}
	if len(b.IDs) == 0 || len(b.IDs) > MaxBulk {
		f.Addf("ids", "must name 1 to %d jobs", MaxBulk)
	}
	seen := make(map[int64]bool, len(b.IDs))
	for i, id := range b.IDs {
		if seen[id] {
			f.Add(fmt.Sprintf("ids[%d]", i), "is given more than once")
		}
		seen[id] = true
	}
	switch {
	case b.Action == BulkMove && b.CategoryID == 0:
		f.Add("categoryId", missing)
	case b.Action != BulkMove && b.CategoryID != 0:
		f.Add("categoryId", "belongs to the action move alone")
	}
	return f.Err()
}

// Outcome is what became of one of many jobs.
type Outcome struct {
	ID  int64
	Err error // nil: done, or there was nothing to do
}

// ChangeMany does one thing to many jobs, each as Pause, Resume, Delete and
// Patch would do it. Jobs stand for themselves: what fails for one is told in
// its outcome, in the order of the ids, and others go on. An error of the whole
// means that nothing was changed.
func (s *Service) ChangeMany(ctx context.Context, bulk Bulk) ([]Outcome, error) {
	if err := s.CheckMany(ctx, bulk); err != nil {
		return nil, err
	}
	ctx = audit.Doing(ctx, bulkDeeds[bulk.Action])
	now := s.now()
	outcomes := make(map[int64]error, len(bulk.IDs))
	var near []int64
	changed := len(bulk.Done) > 0
	left := slices.DeleteFunc(slices.Sorted(slices.Values(bulk.IDs)), func(id int64) bool { return slices.Contains(bulk.Done, id) })
	for batch := range slices.Chunk(left, bulkJobs) {
		updated, err := s.updateMany(ctx, batch, bulk, now)
		if err != nil && !changed {
			return nil, err
		}
		for _, id := range batch {
			outcomes[id] = err
		}
		for _, u := range updated {
			if errors.Is(u.Err, errNoCategory) && !changed {
				return nil, u.Err
			}
			outcomes[u.ID] = u.Err
			changed = changed || u.Err == nil
			if u.Rescheduled && u.NextRunAt != nil && !u.NextRunAt.After(now.Add(s.lookAhead)) {
				near = append(near, u.ID)
			}
		}
	}
	s.dispatchInLine(ctx, near)
	all := make([]Outcome, len(bulk.IDs))
	for i, id := range bulk.IDs {
		all[i] = Outcome{ID: id, Err: outcomes[id]}
	}
	return all, nil
}

// CheckMany names the faults that can be seen without the stored jobs, that of a
// category that does not exist among them.
func (s *Service) CheckMany(ctx context.Context, bulk Bulk) error {
	err := bulk.Check()
	if bulk.Action != BulkMove || bulk.CategoryID == 0 {
		return err
	}
	category, failed := s.store.FindCategory(ctx, bulk.CategoryID)
	switch {
	case failed != nil:
		return failed
	case category != nil:
		return err
	case err == nil:
		return errNoCategory
	}
	return apperr.InvalidFields(append(fieldsOf(err), errNoCategory.Fields...))
}

// updateMany carries out a bulk for some jobs, as update does for one.
func (s *Service) updateMany(ctx context.Context, ids []int64, bulk Bulk, now time.Time) ([]Updated, error) {
	decide := func(current Job, category *CategoryRef) (Change, error) { return bulk.change(current, category, now) }
	var updated []Updated
	err := afterDue(ctx, s.scheduler, ids, func() (err error) {
		updated, err = s.store.UpdateJobs(ctx, ids, bulk.CategoryID, now, decide)
		return err
	})
	return updated, err
}

var errNoCategory = apperr.InvalidField("categoryId", "there is no such category")

// change is what the bulk makes of one job.
func (b Bulk) change(current Job, category *CategoryRef, now time.Time) (Change, error) {
	edited := current
	switch b.Action {
	case BulkDelete:
		return deletion(current, now), nil
	case BulkPause:
		edited.Status = Inactive
	case BulkResume:
		if current.StatusReason == reasonSecretMissing { // its request is not here to be looked at
			return Change{}, apperr.New(apperr.Invalid, "A secret of the job "+neverEntered+".")
		}
		edited.Status = Active
	case BulkMove:
		if category == nil {
			return Change{}, errNoCategory
		}
		edited.CategoryID, edited.Category = category.ID, *category
	}
	return changeTo(current, edited, now)
}
