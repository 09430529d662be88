// Package job is what people keep: jobs and the categories that hold them,
// with their rules. It validates, normalises and decides; storing is its
// Store's work, and making what is due happen is its Scheduler's.
//
// It knows neither HTTP nor SQL nor AWS.
package job

import (
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Status is whether a job is scheduled.
type Status string

// The states of a job. Failed is set by the system alone.
const (
	Active   Status = "active"
	Inactive Status = "inactive"
	Failed   Status = "failed"
)

// OverlapPolicy says what happens to a run that is due while another runs.
type OverlapPolicy string

// The overlap policies.
const (
	OverlapAllow OverlapPolicy = "allow"
	OverlapSkip  OverlapPolicy = "skip"
)

// MisfirePolicy says what happens to instants that were too old when claimed.
type MisfirePolicy string

// The misfire policies.
const (
	MisfireFireOnce MisfirePolicy = "fire_once"
	MisfireSkip     MisfirePolicy = "skip"
	MisfireFireAll  MisfirePolicy = "fire_all"
)

// Request is the HTTP call of a job with its limits and rules. It is
// immutable: an edit makes a new revision.
type Request struct {
	Method  string
	URL     string
	Headers map[string]string // nil: none
	// Unreadable says that the stored headers cannot be read; they are missing
	// here. It makes no calls until they are entered again.
	Unreadable bool
	// SecretHeaders are the header names, beyond the well-known ones, whose
	// values are never shown again.
	SecretHeaders []string
	// Body is the JSON value as it was written, byte for byte; nil: none.
	Body       []byte
	BodySecret bool
	// Sealed is what the store has not opened: the values of the secrets in
	// whose places masks stand. Nil where there are none, or they are open.
	Sealed  []byte
	Timeout time.Duration
	// MaxRedirects is how many redirects are followed; at 0 a redirect is a
	// failure.
	MaxRedirects  int
	Retry         execution.RetryPolicy
	OverlapPolicy OverlapPolicy
}

// Job is a schedule and the request it makes.
type Job struct {
	ID            int64
	Name          string
	Description   string
	CronPattern   string
	Timezone      string
	CategoryID    int64
	Request       Request
	MisfirePolicy MisfirePolicy
	Status        Status
	StatusReason  string
	// Revision numbers the request; Version moves with every change by a
	// person and is the ETag.
	Revision int
	Version  int
	// NextRunAt is the next instant that has not begun; nil when nothing is
	// scheduled.
	NextRunAt *time.Time
	CreatedBy int64 // 0: the system
	CreatedAt time.Time
	UpdatedAt time.Time

	Category CategoryRef // filled by reads
	Stats    Stats       // filled by reads
	// SigningKeys is how many keys sign the job's requests; filled by reads.
	SigningKeys int
}

// Schedulable reports whether instants of the job become due: it is active and
// so is its category.
func (j *Job) Schedulable() bool {
	return j.Status == Active && j.Category.Status == CategoryActive
}

// CategoryRef is what a job shows of its category.
type CategoryRef struct {
	ID     int64
	Name   string
	Color  string
	Status CategoryStatus
}

// Stats is what a job's runs add up to.
type Stats struct {
	TotalExecutions     int64
	SuccessCount        int64
	ConsecutiveFailures int
	LastRunAt           *time.Time
	LastStatus          execution.Status // "" before the first run
}

// CategoryStatus is whether the jobs of a category fire.
type CategoryStatus string

// The states of a category.
const (
	CategoryActive   CategoryStatus = "active"
	CategoryInactive CategoryStatus = "inactive"
)

// Category groups jobs.
type Category struct {
	ID          int64
	Name        string
	Description *string
	Color       string // #RRGGBB
	Status      CategoryStatus
	JobCount    int // jobs not deleted; filled by reads
	Version     int
	CreatedAt   time.Time
	UpdatedAt   time.Time
}
