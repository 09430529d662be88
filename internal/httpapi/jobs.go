package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

type listJobsInput struct {
	Paging
	Search
	Order
	SortBy     job.Sort   `query:"sortBy" enum:"id,name,status,createdAt,updatedAt,nextRunAt,lastRunAt" doc:"By id unless said. Jobs that are not scheduled, or never ran, come last in either order."`
	Status     job.Status `query:"status" enum:"active,inactive,failed"`
	CategoryID int64      `query:"categoryId" minimum:"1" maximum:"9007199254740991"`
	Method     string     `query:"method" enum:"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"`
}

func (s *server) listJobs(ctx context.Context, in *listJobsInput) (List[jobView], error) {
	found, total, err := s.Jobs.List(ctx, job.Filter{
		Search: in.Text(), Status: in.Status, CategoryID: in.CategoryID, Method: in.Method,
		Sort: in.SortBy, Descending: in.Descending(false), Offset: in.Offset(), Limit: in.Limit,
	})
	if err != nil {
		return List[jobView]{}, err
	}
	return List[jobView]{Data: viewJobs(ctx, found), Meta: in.meta(int64(total))}, nil
}

type createJobInput struct {
	Repeatable
	Body jobBody
}

// CheckRestIn finds the faults of the domain in a form that is at fault.
func (in *createJobInput) CheckRestIn(ctx context.Context, s *server) error {
	given := in.Body.input()
	return orWithoutStore(s.Jobs.CheckNew(ctx, given), func() error { return given.Check(true) })
}

// orWithoutStore is what a check found, or, where the store could not be asked
// or does not know the record, what is found without it: the form is at fault in
// any case.
func orWithoutStore(found error, otherwise func() error) error {
	if found == nil || apperr.Is(found, apperr.Invalid) {
		return found
	}
	return otherwise()
}

func (s *server) createJob(ctx context.Context, in *createJobInput) (One[jobView], error) {
	created, err := s.createdJob(ctx, in)
	if err != nil {
		return One[jobView]{}, err
	}
	return newJob(ctx, created, "The job has been created."), nil
}

// createdJob makes the job, unless an attempt before has made it.
func (s *server) createdJob(ctx context.Context, in *createJobInput) (job.Job, error) {
	var id int64
	if err := committed(ctx, &id); err != nil {
		return job.Job{}, err
	}
	if id != 0 {
		return s.Jobs.Get(ctx, id)
	}
	return s.Jobs.Create(ctx, in.Body.input(), principal(ctx).User.ID)
}

func newJob(ctx context.Context, j job.Job, message string) One[jobView] {
	answer := oneJob(ctx, j, message)
	answer.Status = http.StatusCreated
	answer.Location = fmt.Sprintf("/jobs/%d", j.ID)
	return answer
}

func oneJob(ctx context.Context, j job.Job, message string) One[jobView] {
	return One[jobView]{Data: viewJob(ctx, j), Version: j.Version, Message: message}
}

func (s *server) getJob(ctx context.Context, in *ByID) (One[jobView], error) {
	found, err := s.Jobs.Get(ctx, in.ID)
	if err != nil {
		return One[jobView]{}, err
	}
	return oneJob(ctx, found, ""), nil
}

type replaceJobInput struct {
	ByID
	Conditional
	Body jobBody
}

// CheckRestIn finds the faults of the domain in a form that is at fault.
func (in *replaceJobInput) CheckRestIn(ctx context.Context, s *server) error {
	given := in.Body.input()
	return orWithoutStore(s.Jobs.CheckReplace(ctx, in.ID, given), func() error { return given.Check(false) })
}

func (s *server) replaceJob(ctx context.Context, in *replaceJobInput) (One[jobView], error) {
	replaced, err := s.Jobs.Replace(ctx, in.ID, in.Body.input(), in.Versions())
	if err != nil {
		return One[jobView]{}, err
	}
	return oneJob(ctx, replaced, "The job has been replaced."), nil
}

type patchJobInput struct {
	ByID
	Conditional
	Body jobChange
}

// CheckRestIn finds the faults of the domain in a form that is at fault.
func (in *patchJobInput) CheckRestIn(ctx context.Context, s *server) error {
	given := in.Body.input()
	return orWithoutStore(s.Jobs.CheckPatch(ctx, in.ID, given), func() error { return given.Check(false) })
}

func (s *server) patchJob(ctx context.Context, in *patchJobInput) (One[jobView], error) {
	patched, err := s.Jobs.Patch(ctx, in.ID, in.Body.input(), in.Versions())
	if err != nil {
		return One[jobView]{}, err
	}
	return oneJob(ctx, patched, "The job has been changed."), nil
}

type deleteJobInput struct {
	ByID
	Conditional
}

func (s *server) deleteJob(ctx context.Context, in *deleteJobInput) (None, error) {
	if err := s.Jobs.Delete(ctx, in.ID, in.Versions()); err != nil {
		return None{}, err
	}
	return None{Message: "The job has been deleted; its history stays."}, nil
}

type switchJobInput struct {
	ByID
	Conditional
}

func (s *server) duplicateJob(ctx context.Context, in *ByID) (One[jobView], error) {
	created, err := s.Jobs.Duplicate(ctx, in.ID, principal(ctx).User.ID)
	if err != nil {
		return One[jobView]{}, err
	}
	return newJob(ctx, created, "The job has been duplicated; its copy is inactive."), nil
}

func (s *server) pauseJob(ctx context.Context, in *switchJobInput) (One[jobView], error) {
	paused, err := s.Jobs.Pause(ctx, in.ID, in.Versions())
	if err != nil {
		return One[jobView]{}, err
	}
	return oneJob(ctx, paused, "The job is paused."), nil
}

func (s *server) resumeJob(ctx context.Context, in *switchJobInput) (One[jobView], error) {
	resumed, err := s.Jobs.Resume(ctx, in.ID, in.Versions())
	if err != nil {
		return One[jobView]{}, err
	}
	return oneJob(ctx, resumed, "The job is active."), nil
}
