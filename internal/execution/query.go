package execution

import "time"

// Query says which executions of the history are asked for. Zero values ask
// for no restriction.
type Query struct {
	JobID      int64
	CategoryID int64
	Status     Status
	Trigger    Trigger
	From, To   *time.Time // on ScheduledFor, both inclusive
	// DueBy leaves out what is not due yet. It is no filter that a client
	// chose, and moves with the clock from page to page.
	DueBy *time.Time
	// Search is a part of the job's name, whatever its case; with
	// SearchErrors also of the error's message.
	Search       string
	SearchErrors bool

	// Oldest puts the oldest first; the newest are first otherwise.
	Oldest bool
	// After continues behind a place; Offset is not used then.
	After  *Place
	Offset int
	Limit  int
}

// MaxOffset is how deep a page may lie in what is not counted by days: the
// executions of one job, of a category or of a search. What lies deeper is reached by a Place, in no more time than the first page.
const MaxOffset = 100_000

// Place is where in the history an execution stands.
type Place struct {
	ScheduledFor time.Time
	ID           int64
}

// Page is a part of the history.
type Page struct {
	Executions []Execution // without attempts
	// More reports whether others follow.
	More bool
	// Total is how many there are in all, or at least, where
	// TotalIsLowerBound.
	Total             int64
	TotalIsLowerBound bool
	// TooDeep reports a page that was not read, for it lies beyond MaxOffset.
	TooDeep bool
}

// Change is where in the order of their last changes an execution stands.
type Change struct {
	UpdatedAt time.Time
	ID        int64
}

// News are executions that have changed, in the order in which they did.
type News struct {
	Executions []Execution // without attempts
	// Last is the last change that was looked at, whether it was asked for or
	// not; what is asked for next follows it. It is where the search began if
	// nothing has changed.
	Last Change
	// More reports that it stopped before the end.
	More bool
}
