package execution

import "time"

// Finish is the transition that ends one start of an execution: to a final
// state, or back to waiting for another attempt. It takes effect only while
// the execution is running under the same fence.
type Finish struct {
	ID    int64
	JobID int64
	// CategoryID is the job's category, and ScheduledFor the execution's
	// instant: the summaries count by them.
	CategoryID   int64
	ScheduledFor time.Time
	Fence        int
	// Trigger matters to a retry: a scheduled run of a stopped job ends.
	Trigger Trigger
	// Attempt is the record of the call; its number is the attempt that ended.
	Attempt Attempt
	// FirstStartedAt is when the first attempt's call began.
	FirstStartedAt time.Time
	// Unknown says that nobody knows how the call ended for its target, or
	// whether it was made: its worker is gone, or had to stop.
	Unknown bool
	// Status is Success, Failed or Abandoned, or Pending for another attempt.
	Status Status
	Reason string
	// NotBefore is when the next attempt may start, for Pending.
	NotBefore time.Time
	Lane      Lane
	Host      string
}

// Finished is what became of a Finish.
type Finished struct {
	// Applied is false where the row was no longer held under that fence: the
	// outcome was appended to the attempts and changed nothing else.
	Applied bool
	// Status is the row's state afterwards, when applied. A retry of a job
	// that was stopped meanwhile ends instead, as End says.
	Status Status
}

// End is the state of a run that fails and gets no other attempt.
func (f Finish) End() Status {
	if f.Unknown {
		return Abandoned
	}
	return Failed
}

// OfTarget reports whether a failed run says something of its target: not where
// the fault is ours.
func (f Finish) OfTarget() bool {
	return !f.Unknown && (f.Attempt.Failure == nil || f.Attempt.Failure.Kind != ErrInternal)
}

// OutcomeUnknown is the reason of a run that is abandoned.
const OutcomeUnknown = "the outcome is unknown"

// LeaseSlack is how much longer than the call's timeout a worker holds an
// execution before it counts as lost.
const LeaseSlack = 30 * time.Second

// JobStopped is the reason of a retry that was given up because its job was
// paused or deleted.
const JobStopped = "job stopped"
