package job

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// Service is what people do with jobs.
type Service struct {
	store     Store
	scheduler Scheduler
	lookAhead time.Duration
	now       func() time.Time
}

// NewService makes a service. lookAhead is how far ahead of an instant its run
// is recorded: a job whose next run is nearer is handed to the scheduler at
// once, for the next regular look may come too late.
func NewService(store Store, scheduler Scheduler, lookAhead time.Duration, now func() time.Time) *Service {
	return &Service{store: store, scheduler: scheduler, lookAhead: lookAhead, now: now}
}

// Create stores a new job; by is the user. Its first run is the first instant
// from now on.
func (s *Service) Create(ctx context.Context, in Input, by int64) (Job, error) {
	ctx = audit.Doing(ctx, audit.JobCreate)
	now := s.now()
	created, err := s.store.CreateJob(ctx, value(in.CategoryID), func(category *CategoryRef) (Job, error) {
		j, err := in.check(Defaults(), nil, category, now)
		if err != nil {
			return Job{}, err
		}
		j.Version, j.Revision, j.CreatedBy = 1, 1, by
		j.CreatedAt, j.UpdatedAt = now, now
		j.NextRunAt, err = nextRun(j, now)
		return j, err
	})
	if err != nil {
		return Job{}, err
	}
	s.dispatch(ctx, created, now)
	return created, nil
}

// CheckNew names the faults that Create would, of a form that is at fault
// already: nothing is stored.
func (s *Service) CheckNew(ctx context.Context, in Input) error {
	category, err := s.store.FindCategory(ctx, value(in.CategoryID))
	if err != nil {
		return err
	}
	_, err = in.check(Defaults(), nil, category, s.now())
	return err
}

// CheckReplace is CheckNew for Replace, CheckPatch for Patch.
func (s *Service) CheckReplace(ctx context.Context, id int64, in Input) error {
	return s.checkEdit(ctx, id, in, replaced)
}

// CheckPatch is CheckNew for Patch.
func (s *Service) CheckPatch(ctx context.Context, id int64, in Input) error {
	return s.checkEdit(ctx, id, in, func(current Job) Job { return current })
}

func (s *Service) checkEdit(ctx context.Context, id int64, in Input, base func(current Job) Job) error {
	now := s.now()
	_, err := s.store.UpdateJob(ctx, id, value(in.CategoryID), now, func(current Job, category *CategoryRef) (Change, error) {
		_, err := in.check(base(current), &current.Request, category, now)
		return Change{Nothing: true}, err
	})
	return err
}

// Get reads a job. Its secrets may be masked; show Request.Masked to people.
func (s *Service) Get(ctx context.Context, id int64) (Job, error) {
	return s.store.GetJob(ctx, id, s.now())
}

// List reads a page of jobs and the number of all that match.
func (s *Service) List(ctx context.Context, filter Filter) ([]Job, int, error) {
	return s.store.ListJobs(ctx, filter, s.now())
}

// Replace puts the input in the place of everything that a person can write;
// fields that are not given take their default. versions are those that the
// writer will change, nil for any; another one is PreconditionFailed.
func (s *Service) Replace(ctx context.Context, id int64, in Input, versions []int) (Job, error) {
	ctx = audit.Doing(ctx, audit.JobUpdate)
	return s.edit(ctx, id, in, versions, replaced)
}

// replaced is a stored job without what a person can write of it.
func replaced(current Job) Job {
	base := Defaults()
	base.ID, base.Version, base.Revision = current.ID, current.Version, current.Revision
	base.CreatedBy, base.CreatedAt, base.UpdatedAt = current.CreatedBy, current.CreatedAt, current.UpdatedAt
	base.Stats = current.Stats
	return base
}

// Patch changes the fields that are given. versions are as with Replace.
func (s *Service) Patch(ctx context.Context, id int64, in Input, versions []int) (Job, error) {
	ctx = audit.Doing(ctx, audit.JobUpdate)
	return s.edit(ctx, id, in, versions, func(current Job) Job { return current })
}

// Pause makes a job inactive and cancels its scheduled runs that wait. A job
// that is inactive stays as it is. versions are as with Replace.
func (s *Service) Pause(ctx context.Context, id int64, versions []int) (Job, error) {
	ctx = audit.Doing(ctx, audit.JobPause)
	return s.Patch(ctx, id, Input{Status: new(string(Inactive))}, versions)
}

// Resume makes a job active again, also one that the system has stopped. What
// was due meanwhile is not caught up. versions are as with Replace.
func (s *Service) Resume(ctx context.Context, id int64, versions []int) (Job, error) {
	ctx = audit.Doing(ctx, audit.JobResume)
	return s.Patch(ctx, id, Input{Status: new(string(Active))}, versions)
}

// Delete takes a job away and cancels all its waiting runs. Its name is free
// at once; its history stays. versions are as with Replace.
func (s *Service) Delete(ctx context.Context, id int64, versions []int) error {
	ctx = audit.Doing(ctx, audit.JobDelete)
	now := s.now()
	_, err := s.update(ctx, id, 0, now, func(current Job, _ *CategoryRef) (Change, error) {
		if err := checkVersion(current.Version, versions); err != nil {
			return Change{}, err
		}
		return deletion(current, now), nil
	})
	return err
}

// deletion is the change that takes a job away. It is inactive then, so that
// looking for active jobs never meets deleted ones.
func deletion(current Job, now time.Time) Change {
	current.Status, current.NextRunAt = Inactive, nil
	current.Version++
	current.UpdatedAt = now
	return Change{Job: current, Delete: true, Reschedule: true, Cancel: CancelAll}
}

func (s *Service) edit(ctx context.Context, id int64, in Input, versions []int, base func(current Job) Job) (Job, error) {
	now := s.now()
	rescheduled := false
	decide := func(current Job, category *CategoryRef) (Change, error) {
		if err := checkVersion(current.Version, versions); err != nil {
			return Change{}, err
		}
		j, err := in.check(base(current), &current.Request, category, now)
		if err != nil {
			return Change{}, err
		}
		change, err := changeTo(current, j, now)
		rescheduled = change.Reschedule
		return change, err
	}
	edited, err := s.update(ctx, id, value(in.CategoryID), now, decide)
	if err != nil {
		return Job{}, err
	}
	if rescheduled {
		s.dispatch(ctx, edited, now)
	}
	return edited, nil
}

// update carries out a change. Where the ticks are behind, what the job's
// schedule already has behind it is claimed first: the change would drop it
// without a record.
func (s *Service) update(ctx context.Context, id, categoryID int64, now time.Time,
	decide func(current Job, category *CategoryRef) (Change, error),
) (Job, error) {
	var edited Job
	err := afterDue(ctx, s.scheduler, []int64{id}, func() (err error) {
		edited, err = s.store.UpdateJob(ctx, id, categoryID, now, decide)
		return err
	})
	return edited, err
}

// dueTries is how often a change is tried that is refused for what is due. One
// claim may leave some of it: what is due of very many jobs, or everything where
// the database is away.
const dueTries = 4

var errStillDue = &apperr.Error{
	Code: apperr.Unavailable, RetryAfter: 5 * time.Second,
	Message: "What the schedule has behind it is still being recorded; nothing was changed. Try again in a moment.",
}

// afterDue carries out a change of these jobs. Where it is refused with ErrDue,
// what is due is claimed first: the change would drop it without a record.
func afterDue(ctx context.Context, scheduler Scheduler, ids []int64, change func() error) error {
	for try := 1; ; try++ {
		err := change()
		if !errors.Is(err, ErrDue) {
			return err
		}
		if try == dueTries {
			return errStillDue
		}
		var due *DueError
		if errors.As(err, &due) {
			ids = due.JobIDs
		}
		if err := scheduler.SettleJobs(ctx, ids); err != nil {
			slog.WarnContext(ctx, "what is due could not be claimed in line", "jobIds", ids, "error", err)
		}
	}
}

// dispatch hands a job over whose next run is near. The change is committed by
// now, so a failure is only logged.
func (s *Service) dispatch(ctx context.Context, j Job, now time.Time) {
	if j.NextRunAt == nil || j.NextRunAt.After(now.Add(s.lookAhead)) {
		return
	}
	s.dispatchInLine(ctx, []int64{j.ID})
}

func (s *Service) dispatchInLine(ctx context.Context, ids []int64) {
	if len(ids) == 0 {
		return
	}
	if err := s.scheduler.DispatchJobs(ctx, ids); err != nil {
		slog.WarnContext(ctx, "in-line dispatch failed, a tick will do it", "jobIds", ids, "error", err)
	}
}

// checkVersion refuses a change that is meant for other versions than the
// stored one; nil means any.
func checkVersion(current int, wanted []int) error {
	if wanted != nil && !slices.Contains(wanted, current) {
		return apperr.New(apperr.PreconditionFailed, "Someone else has changed this meanwhile, or If-Match is no ETag of it; read it again.")
	}
	return nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
