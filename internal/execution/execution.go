// Package execution is what the product knows about a run of a job: its
// states and which may follow which, how failures are classified and retried,
// and what is kept of each attempt.
//
// It is pure: no clock, no database, no HTTP, no queue.
package execution

import (
	"time"
)

// Status is where an execution stands.
type Status string

// The states. Pending to Running are under way; the rest are final.
const (
	Pending   Status = "pending"   // recorded, not yet acknowledged by the queue
	Queued    Status = "queued"    // the queue holds a message for it
	Running   Status = "running"   // a worker holds it, under a lease
	Success   Status = "success"   // the last answer was 200–299
	Failed    Status = "failed"    // the last attempt failed and none is left
	Skipped   Status = "skipped"   // a rule of the job said not to run it
	Missed    Status = "missed"    // too old when it was claimed
	Cancelled Status = "cancelled" // the job was paused, edited or deleted first
	Abandoned Status = "abandoned" // its worker vanished or had to stop in mid-call: outcome unknown
)

// Statuses are all states, in the order of an execution's life.
var Statuses = []Status{Pending, Queued, Running, Success, Failed, Skipped, Missed, Cancelled, Abandoned}

// Terminal reports whether nothing follows this state (but that a row
// cancelled before it ever started may be revived).
func (s Status) Terminal() bool {
	switch s {
	case Pending, Queued, Running:
		return false
	default:
		return true
	}
}

// Waiting reports whether the row waits for a worker.
func (s Status) Waiting() bool { return s == Pending || s == Queued }

// Trigger is why an execution exists.
type Trigger string

// The triggers.
const (
	Schedule Trigger = "schedule"
	Manual   Trigger = "manual"
	Replay   Trigger = "replay"
)

// Triggers are all triggers.
var Triggers = []Trigger{Schedule, Manual, Replay}

// ErrorKind classifies a failure; it is part of the API.
type ErrorKind string

// The kinds of failure.
const (
	ErrDNS            ErrorKind = "dns"
	ErrConnect        ErrorKind = "connect"
	ErrTLS            ErrorKind = "tls"
	ErrTimeout        ErrorKind = "timeout"
	ErrReset          ErrorKind = "reset"
	ErrProtocol       ErrorKind = "protocol"
	ErrBlockedAddress ErrorKind = "blocked_address"
	ErrBlockedSecret  ErrorKind = "blocked_secret"
	ErrRedirect       ErrorKind = "redirect"
	ErrHTTPStatus     ErrorKind = "http_status"
	ErrTooLarge       ErrorKind = "too_large"
	ErrCancelled      ErrorKind = "cancelled"
	ErrInternal       ErrorKind = "internal"
)

// Failure says what went wrong; its message is safe to show to who may read
// the job's history.
type Failure struct {
	Kind    ErrorKind
	Message string
}

// Execution is one run of a job, with all its attempts.
type Execution struct {
	ID           int64
	JobID        int64
	JobName      string
	Trigger      Trigger
	ScheduledFor time.Time
	Status       Status
	Reason       string
	StartedAt    *time.Time // start of the first attempt
	EndedAt      *time.Time // end of the last
	Attempt      int        // from 1
	// ResponseStatus is the last answer's; 0 where there was none.
	ResponseStatus int
	Failure        *Failure
	// MissedUntil and MissedCount say how many instants a missed row stands
	// for, up to and including which; zero on other rows.
	MissedUntil *time.Time
	MissedCount int
	ReplayOf    int64 // 0: not a replay
	CreatedAt   time.Time
	UpdatedAt   time.Time

	// Attempts are filled by a detail query alone, oldest first.
	Attempts []Attempt
}

// Duration is from the first attempt's start to the last one's end; false
// while there is no end, or where nothing ran.
func (e *Execution) Duration() (time.Duration, bool) {
	if e.StartedAt == nil || e.EndedAt == nil {
		return 0, false
	}
	return e.EndedAt.Sub(*e.StartedAt), true
}

// Lateness is how long after its instant the first attempt started; false
// where nothing has started.
func (e *Execution) Lateness() (time.Duration, bool) {
	if e.StartedAt == nil {
		return 0, false
	}
	return e.StartedAt.Sub(e.ScheduledFor), true
}

// Attempt is one call of an execution and its outcome.
type Attempt struct {
	ExecutionID int64
	Attempt     int // from 1
	Fence       int // which start of the execution made the call
	StartedAt   time.Time
	EndedAt     time.Time
	// Late marks an outcome that came after the execution had been given to
	// another worker; it is kept and changes nothing else.
	Late     bool
	Response *Response // nil where no answer came
	Failure  *Failure  // nil on success
	Timings  Timings
}

// Response is what is kept of a target's answer.
type Response struct {
	Status    int
	Headers   map[string][]string
	Body      []byte // the first MaxResponseBody bytes
	Truncated bool
}

// MaxResponseBody is how much of an answer is kept, in bytes.
const MaxResponseBody = 64 << 10

// Timings are the phases of a call; nil where a phase did not happen (a reused
// connection has no DNS, connect or TLS).
type Timings struct {
	DNS, Connect, TLS, TTFB, Total *time.Duration
}
