package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// sendStore notes what is marked, and answers claims from a list.
type sendStore struct {
	dispatch.Store
	marked []int64
	claims []dispatch.ClaimResult
	named  [][]int64
	handed []int64 // jobs whose rows were handed over
}

func (s *sendStore) MarkQueued(_ context.Context, _ time.Time, sent []execution.Ref) error {
	for _, ref := range sent {
		s.marked = append(s.marked, ref.ID)
	}
	return nil
}

func (s *sendStore) HandOver(context.Context, time.Time, []execution.Waiting) error { return nil }

func (s *sendStore) HandOverJobs(_ context.Context, _ time.Time, jobIDs []int64) error {
	s.handed = append(s.handed, jobIDs...)
	return nil
}

func (s *sendStore) Claim(_ context.Context, request dispatch.ClaimRequest) (dispatch.ClaimResult, error) {
	s.named = append(s.named, request.JobIDs)
	if len(s.claims) == 0 {
		return dispatch.ClaimResult{}, errors.New("the database is away")
	}
	result := s.claims[0]
	s.claims = s.claims[1:]
	return result, nil
}

// refusing is a queue that refuses messages while refuse says so.
type refusing struct {
	refuse func(send int, body string) bool
	sends  [][]string
}

var errRefused = errors.New("refused")

func (q *refusing) Send(_ context.Context, messages []dispatch.Message) []error {
	errs := make([]error, len(messages))
	var bodies []string
	for i, m := range messages {
		bodies = append(bodies, m.Body)
		if q.refuse(len(q.sends), m.Body) {
			errs[i] = errRefused
		}
	}
	q.sends = append(q.sends, bodies)
	return errs
}

func (q *refusing) Depth(context.Context) (int, error) { return 0, nil }

func waitingRows(n int) []execution.Waiting {
	rows := make([]execution.Waiting, n)
	for i := range rows {
		// Instants of their own, so that each is a message.
		rows[i] = execution.Waiting{ID: int64(i + 1), Attempt: 1, Lane: execution.Fast, NotBefore: time.Now().Add(time.Duration(i) * time.Second)}
	}
	return rows
}

func TestRefusedMessagesAreOfferedAgain(t *testing.T) {
	t.Parallel()
	second := func(body string) bool { return strings.Contains(body, `"id":2,`) }
	for name, tc := range map[string]struct {
		refuse func(send int, body string) bool
		offers []int // messages of each send
		marked []int64
		fails  bool
	}{
		"none refused":           {func(int, string) bool { return false }, []int{3}, []int64{1, 2, 3}, false},
		"one, once":              {func(send int, body string) bool { return send == 0 && second(body) }, []int{3, 1}, []int64{1, 2, 3}, false},
		"one, always":            {func(_ int, body string) bool { return second(body) }, []int{3, 1, 1}, []int64{1, 3}, true},
		"all, once":              {func(send int, _ string) bool { return send == 0 }, []int{3, 3}, []int64{1, 2, 3}, false},
		"the queue is not there": {func(int, string) bool { return true }, []int{3, 3, 3}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, queue := &sendStore{}, &refusing{refuse: tc.refuse}
				d := dispatch.New(store, queue, queue, time.Now, slog.New(slog.DiscardHandler))
				err := d.Dispatch(t.Context(), waitingRows(3))
				if tc.fails != errors.Is(err, errRefused) {
					t.Errorf("error: %v", err)
				}
				var offers []int
				for _, send := range queue.sends {
					offers = append(offers, len(send))
				}
				if diff := cmp.Diff(tc.offers, offers); diff != "" {
					t.Errorf("messages offered (-want +got):\n%s", diff)
				}
				slices.Sort(store.marked)
				if diff := cmp.Diff(tc.marked, store.marked); diff != "" {
					t.Errorf("marked (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestQueueThatTakesNothingIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, queue := &sendStore{}, &refusing{refuse: func(int, string) bool { return true }}
		d := dispatch.New(store, queue, queue, time.Now, slog.New(slog.DiscardHandler))
		if err := d.Dispatch(t.Context(), waitingRows(400)); !errors.Is(err, errRefused) {
			t.Errorf("error: %v", err)
		}
		if len(queue.sends) != 3 {
			t.Errorf("%d sends, want three of the first batch alone", len(queue.sends))
		}
	})
}

// What a write leaves behind must not wait for the minute.
func TestLeftoverAsksForATick(t *testing.T) {
	t.Parallel()
	full := func() dispatch.ClaimResult {
		rows := waitingRows(2000)
		for i := range rows {
			rows[i].NotBefore = time.Now()
		}
		return dispatch.ClaimResult{Waiting: rows, Jobs: 10, Full: true}
	}
	few := func() dispatch.ClaimResult { return dispatch.ClaimResult{Waiting: waitingRows(3), Jobs: 3} }
	for name, tc := range map[string]struct {
		claims []dispatch.ClaimResult
		jobs   int
		named  []int64 // the first job of each claim
		asked  int
		handed int // jobs that may have been claimed
		fails  bool
	}{
		"all done":                       {[]dispatch.ClaimResult{few()}, 3, []int64{1}, 0, 0, false},
		"a full claim is named again":    {[]dispatch.ClaimResult{full(), few(), few()}, 2100, []int64{1, 1, 2001}, 0, 0, false},
		"more than a request waits for":  {[]dispatch.ClaimResult{full(), full(), full(), full()}, 2100, []int64{1, 1, 1}, 1, 0, false},
		"the database is away":           {nil, 3, []int64{1}, 1, 3, true},
		"the database went away halfway": {[]dispatch.ClaimResult{few()}, 2100, []int64{1, 2001}, 1, 100, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, queue := &sendStore{claims: tc.claims}, &refusing{refuse: func(int, string) bool { return false }}
				d := dispatch.New(store, queue, queue, time.Now, slog.New(slog.DiscardHandler))
				asked := 0
				d.AskTickBy(func(context.Context) error { asked++; return nil })
				jobs := make([]int64, tc.jobs)
				for i := range jobs {
					jobs[i] = int64(i + 1)
				}
				if err := d.DispatchJobs(t.Context(), jobs); (err != nil) != tc.fails {
					t.Errorf("error: %v", err)
				}
				var named []int64
				for _, ids := range store.named {
					named = append(named, ids[0])
				}
				if diff := cmp.Diff(tc.named, named); diff != "" {
					t.Errorf("first jobs named (-want +got):\n%s", diff)
				}
				if len(store.handed) != tc.handed {
					t.Errorf("the rows of %d jobs were handed over, want %d", len(store.handed), tc.handed)
				}
				if asked != tc.asked {
					t.Errorf("a tick was asked for %d times, want %d", asked, tc.asked)
				}
			})
		})
	}
}
