package job

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store keeps jobs. Its errors are apperr's: NotFound for a job that does not
// exist or is deleted, Conflict with the field "name" when another job has that
// name, Unavailable when the database is away. An error that a callback
// returns comes back as it is, and nothing is stored.
type Store interface {
	// CreateJob stores what decide makes of the category, which is read, and
	// kept from changing, in the same transaction; nil when it does not exist.
	// decide may be called more than once.
	CreateJob(ctx context.Context, categoryID int64, decide func(category *CategoryRef) (Job, error)) (Job, error)
	// FindCategory reads a category; nil when it does not exist.
	FindCategory(ctx context.Context, id int64) (*CategoryRef, error)
	// UpdateJob carries out what decide makes of the job, which is locked
	// meanwhile, with all its effects on waiting runs in one transaction.
	// category is the one that categoryID names, or the job's own at 0.
	// decide may be called more than once. now is the time of the change.
	UpdateJob(ctx context.Context, id, categoryID int64, now time.Time,
		decide func(current Job, category *CategoryRef) (Change, error)) (Job, error)
	// UpdateJobs is UpdateJob for many jobs in one transaction; ids ascend. It
	// is for changes of status, category and existence: decide sees jobs without
	// their request, stats and texts. category is the one that categoryID names,
	// or each job's own at 0. An error of decide, or of finding the job, is told
	// of that job and does not concern the others; ErrDue concerns all.
	UpdateJobs(ctx context.Context, ids []int64, categoryID int64, now time.Time,
		decide func(current Job, category *CategoryRef) (Change, error)) ([]Updated, error)
	// DuplicateJob stores what copied makes of a job, under the first name of
	// CopyName that is free.
	DuplicateJob(ctx context.Context, id int64, now time.Time, copied func(source Job) Job) (Job, error)
	// ChangeSigningKeys stores what decide makes of a job's signing keys, and
	// moves its version; nothing where there are none before and after. decide
	// may be called more than once.
	ChangeSigningKeys(ctx context.Context, id int64, now time.Time, decide func(current []SigningKey) []SigningKey) error
	// GetJob reads a job with its category, request and stats. now tells the
	// runs that are ahead from those that have begun.
	GetJob(ctx context.Context, id int64, now time.Time) (Job, error)
	// ListJobs reads a page, and the number of all jobs that match.
	ListJobs(ctx context.Context, filter Filter, now time.Time) ([]Job, int, error)
	// ImportJobs carries out what decide makes of what the query finds, in one
	// transaction, all or nothing, and sets the ids of the plan's new jobs.
	// decide may be called more than once; the last plan counts. Changes that
	// are refused for what is due are a *DueError. now is the time of the
	// change.
	ImportJobs(ctx context.Context, query ImportQuery, now time.Time,
		decide func(found ImportFound) (*ImportPlan, error)) error
	// ExportJobs reads jobs with their requests and categories by ascending id,
	// at most limit of those after an id. A category of 0 is any.
	ExportJobs(ctx context.Context, afterID, categoryID int64, limit int) ([]Job, error)
}

// ImportQuery says what an import must know of what is stored.
type ImportQuery struct {
	NameKeys     []string // as NameKey makes them
	CategoryIDs  []int64
	CategoryKeys []string // as CategoryNameKey makes them
	// Replace says that jobs which are found are read in full, and locked, since
	// they may be replaced; otherwise their ids and names do.
	Replace bool
}

// ImportFound is what is stored of what an import names. The categories cannot
// change while the import is under way.
type ImportFound struct {
	Jobs          map[string]Job // by NameKey
	CategoryByID  map[int64]CategoryRef
	CategoryByKey map[string]CategoryRef
}

// ImportPlan is what an import does. A job whose CategoryID is 0 goes to the
// category of the name Category.Name, which is among Categories.
type ImportPlan struct {
	DryRun     bool // nothing at all
	Categories []Category
	Create     []Job
	Update     []Change
	// Results tells what became of the items, once the plan is carried out.
	Results func() []Imported
}

// DueError is ErrDue of several jobs at once.
type DueError struct{ JobIDs []int64 }

// Error counts the jobs.
func (e *DueError) Error() string { return fmt.Sprintf("%v: %d jobs", ErrDue, len(e.JobIDs)) }

// Unwrap makes it an ErrDue.
func (e *DueError) Unwrap() error { return ErrDue }

// Change is what an edit makes of a job.
type Change struct {
	Job Job // as it shall be
	// Nothing leaves everything as it is.
	Nothing bool
	// NewRevision stores the request anew.
	NewRevision bool
	// Reschedule sets the next run to Job.NextRunAt, which may be nil; without
	// it the stored instant stays, for a claim may just have moved it.
	Reschedule bool
	// Cancel says which waiting runs end.
	Cancel Cancel
	// ForgetFailures starts the count of failures in a row anew.
	ForgetFailures bool
	// Delete frees the name and takes the job out of every list.
	Delete bool
}

// Updated is what became of one of many jobs.
type Updated struct {
	ID  int64
	Err error
	// Rescheduled says that the next run was set, to NextRunAt.
	Rescheduled bool
	NextRunAt   *time.Time
}

// Cancel says which waiting runs of a job a change ends.
type Cancel int

// What is cancelled.
const (
	CancelNone Cancel = iota
	// CancelFuture: scheduled runs before their first attempt whose instant is
	// still ahead; they are made again with the new request or schedule.
	CancelFuture
	// CancelScheduled: scheduled runs, retries included.
	CancelScheduled
	// CancelAll: manual runs and replays as well.
	CancelAll
)

// Reason is what the cancelled runs tell.
func (c Cancel) Reason() string {
	switch c {
	case CancelFuture:
		return "job edited"
	case CancelScheduled:
		return "job paused"
	case CancelAll:
		return "job deleted"
	default:
		return ""
	}
}

// ErrDue is a store's answer to a change that comes before the claim of
// instants which the job's present schedule already has behind it, or before the
// job has followed a change of its category's status: the change would drop
// instants without a record.
var ErrDue = errors.New("job: due instants are not claimed yet")

// Filter selects and orders jobs. Zero values do not filter.
type Filter struct {
	Search     string // a part of the name or description, in any case
	Status     Status
	CategoryID int64
	Method     string
	Sort       Sort
	Descending bool
	Offset     int
	Limit      int
}

// Sort is what a list of jobs is ordered by; jobs that are equal are in the
// order of their ids.
type Sort string

// What jobs can be ordered by. The zero value is SortID. Jobs that never ran,
// or that are not scheduled, come first in ascending order.
const (
	SortID        Sort = "id"
	SortName      Sort = "name"
	SortStatus    Sort = "status"
	SortCreatedAt Sort = "createdAt"
	SortUpdatedAt Sort = "updatedAt"
	SortNextRunAt Sort = "nextRunAt"
	SortLastRunAt Sort = "lastRunAt"
)

// Scheduler makes what became due inside the look-ahead happen at once. Its
// errors are logged and never fail a write: the next tick does the same.
type Scheduler interface {
	DispatchJobs(ctx context.Context, jobIDs []int64) error
	// SettleJobs makes jobs follow their category's status before that.
	SettleJobs(ctx context.Context, jobIDs []int64) error
}

// CategoryScheduler makes the jobs of categories follow.
type CategoryScheduler interface {
	Scheduler
	// FollowCategory makes jobs follow the status of their category, as many of
	// them as a request can wait for.
	FollowCategory(ctx context.Context, categoryID int64) error
	// AskTick asks for a tick, which makes all jobs follow.
	AskTick(ctx context.Context)
}

// CategoryStore keeps categories. Its errors are those of Store, and Conflict
// when a category that shall be deleted still has jobs.
type CategoryStore interface {
	CreateCategory(ctx context.Context, category Category) (Category, error)
	// UpdateCategory stores what decide makes of the category, which is locked
	// meanwhile; nothing when it is returned unchanged. decide may be called
	// more than once. The error is ErrDue where jobs have yet to follow the last
	// change of the status; with hasty an inactivation does not wait for them.
	UpdateCategory(ctx context.Context, id int64, hasty bool, decide func(current Category) (Category, error)) (Category, error)
	GetCategory(ctx context.Context, id int64) (Category, error)
	ListCategories(ctx context.Context, filter CategoryFilter) ([]Category, int, error)
	// DeleteCategory removes the category if check agrees. Its jobs go to the
	// category reassignTo; 0 means that it must have none. Jobs that something is
	// due of, which the move would forget, are a *DueError.
	DeleteCategory(ctx context.Context, id, reassignTo int64, now time.Time, check func(current Category) error) error
}

// CategoryFilter selects and orders categories. Zero values do not filter.
type CategoryFilter struct {
	Search     string // a part of the name, in any case
	Status     CategoryStatus
	Sort       Sort // SortID, SortName, SortStatus, SortCreatedAt or SortUpdatedAt
	Descending bool
	Offset     int
	Limit      int
}
