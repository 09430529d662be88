package job

import (
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Totals is what executions add up to.
type Totals struct {
	Summary    execution.Summary
	ByCategory []CategoryTotals // the busiest first
}

// CategoryTotals is how the executions of a category's jobs ended.
type CategoryTotals struct {
	// Category is known by its id alone where it has been deleted since.
	Category CategoryRef
	Outcomes execution.Outcomes
}

// Counts is how many jobs and categories there are, deleted jobs aside.
type Counts struct {
	ActiveJobs, InactiveJobs, FailedJobs int64
	Categories, ActiveCategories         int64
}

// Upcoming is a job and its next run.
type Upcoming struct {
	JobID                 int64
	JobName               string
	Category              CategoryRef
	CronPattern, Timezone string
	NextRunAt             time.Time
}

// Failing is a job whose last run failed.
type Failing struct {
	JobID               int64
	JobName             string
	Status              Status
	ConsecutiveFailures int
	LastFailedAt        time.Time
	// ExecutionID is the run that failed last; 0 where it is not kept.
	ExecutionID    int64
	ResponseStatus int // 0 where no answer came
	Failure        *execution.Failure
}
