package chaos

import (
	"fmt"
	"net"
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
	// hanging is how many calls are held open, and hungMost how many were.
	hanging, hungMost int
	ended             chan struct{}
}

// NewTarget starts a target. One that hangs answers nobody until the caller
// gives up.
func NewTarget(hang bool) *Target {
	t := &Target{hang: hang, ended: make(chan struct{})}
	t.Server = httptest.NewServer(t)
	return t
}

// NewTargetEverywhere is a target with many addresses; see At.
func NewTargetEverywhere(hang bool) (*Target, error) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0") //nolint:gosec // each address of the loopback, for a while
	if err != nil {
		return nil, err
	}
	t := &Target{hang: hang, ended: make(chan struct{})}
	t.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: t, ReadHeaderTimeout: time.Minute}}
	t.Start()
	return t, nil
}

// At is a target of NewTargetEverywhere as the nth host, counted from 1.
func (t *Target) At(n int) string {
	return fmt.Sprintf("http://127.0.1.%d:%d", n, t.Listener.Addr().(*net.TCPAddr).Port)
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
		t.count(1)
		defer t.count(-1)
		select {
		case <-r.Context().Done():
		case <-t.ended:
		}
		return
	}
	if before != nil {
		before(0, call)
	}
	w.WriteHeader(http.StatusOK)
}

func (t *Target) count(calls int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hanging += calls
	t.hungMost = max(t.hungMost, t.hanging)
}

// HungMost is how many calls hung at once.
func (t *Target) HungMost() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hungMost
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

// End closes the target, and lets go of the calls that hang.
func (t *Target) End() {
	close(t.ended)
	t.CloseClientConnections()
	t.Close()
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
