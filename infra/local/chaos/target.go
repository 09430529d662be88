package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Call is a call that a target received.
type Call struct {
	At           time.Time
	JobID        int64
	ExecutionID  int64
	Attempt      int
	ScheduledFor time.Time
}

// Target notes the calls that it receives, and answers 200.
type Target struct {
	*httptest.Server

	mu     sync.Mutex
	calls  []Call
	faults []error
	before func(n int, call Call)
	hang   bool
}

// NewTarget starts a target. One that hangs answers nobody until the caller
// gives up.
func NewTarget(hang bool) *Target {
	t := &Target{hang: hang}
	t.Server = httptest.NewServer(t)
	return t
}

// BeforeAnswer has fn called with each call from now on, counted from 1, before
// it is answered.
func (t *Target) BeforeAnswer(fn func(n int, call Call)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	t.before = func(_ int, call Call) {
		t.mu.Lock()
		n++
		mine := n
		t.mu.Unlock()
		fn(mine, call)
	}
}

// ServeHTTP notes a call.
func (t *Target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, err := readCall(r, time.Now())
	t.mu.Lock()
	if err != nil {
		t.faults = append(t.faults, err)
	} else {
		t.calls = append(t.calls, call)
	}
	before := t.before
	t.mu.Unlock()
	if t.hang {
		<-r.Context().Done()
		return
	}
	if before != nil {
		before(0, call)
	}
	w.WriteHeader(http.StatusOK)
}

func readCall(r *http.Request, at time.Time) (Call, error) {
	call := Call{At: at}
	var err [4]error
	call.JobID, err[0] = strconv.ParseInt(r.Header.Get("X-Cron-Job-Id"), 10, 64)
	call.ExecutionID, err[1] = strconv.ParseInt(r.Header.Get("X-Cron-Execution-Id"), 10, 64)
	call.Attempt, err[2] = strconv.Atoi(r.Header.Get("X-Cron-Attempt"))
	call.ScheduledFor, err[3] = time.Parse(time.RFC3339, r.Header.Get("X-Cron-Scheduled-For"))
	for _, one := range err {
		if one != nil {
			return call, fmt.Errorf("a call without its headers: %w", one)
		}
	}
	if key := r.Header.Get("Idempotency-Key"); key != strconv.FormatInt(call.ExecutionID, 10) {
		return call, fmt.Errorf("execution %d came with the Idempotency-Key %q", call.ExecutionID, key)
	}
	return call, nil
}

// Calls are those received so far.
func (t *Target) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Call(nil), t.calls...)
}

// Faults are calls that were not made as they must be.
func (t *Target) Faults() []error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]error(nil), t.faults...)
}
