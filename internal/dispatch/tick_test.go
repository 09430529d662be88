package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// tickStore is a database of a tick: every step takes some time, and the test
// says what each finds.
type tickStore struct {
	dispatch.Store
	steps  []string
	takes  map[string]time.Duration
	claims []func() (dispatch.ClaimResult, error) // none left: nothing is due
	due    int
	// unfollowed categories have that many batches left to follow.
	unfollowed map[int64]int
}

func (s *tickStore) step(name string) {
	if len(s.steps) == 0 || s.steps[len(s.steps)-1] != name {
		s.steps = append(s.steps, name)
	}
	time.Sleep(s.takes[name])
}

func (s *tickStore) Unfollowed(context.Context) ([]int64, error) {
	var all []int64
	for id := range s.unfollowed {
		all = append(all, id)
	}
	slices.Sort(all)
	return all, nil
}

func (s *tickStore) Claim(context.Context, dispatch.ClaimRequest) (dispatch.ClaimResult, error) {
	s.step("claim")
	if len(s.claims) == 0 {
		return dispatch.ClaimResult{}, nil
	}
	next := s.claims[0]
	s.claims = s.claims[1:]
	return next()
}

func (s *tickStore) CountDue(context.Context, time.Time, []int64) (int, error) { return s.due, nil }

func (s *tickStore) Follow(_ context.Context, request dispatch.FollowRequest) (dispatch.FollowResult, error) {
	s.step("follow")
	if s.unfollowed[request.CategoryID] == 0 {
		return dispatch.FollowResult{}, nil
	}
	s.unfollowed[request.CategoryID]--
	return dispatch.FollowResult{ClaimResult: dispatch.ClaimResult{Jobs: 1}}, nil
}

func (s *tickStore) TakeStuck(_ context.Context, _ time.Time, request dispatch.StuckRequest) ([]execution.Waiting, error) {
	s.step("resend")
	if request.Acknowledged && request.Lane == execution.Fast {
		s.steps = append(s.steps, "resend acknowledged")
	}
	return nil, nil
}

func (s *tickStore) Now(context.Context) (time.Time, error) { return time.Now(), nil }

func (s *tickStore) LostLeases(context.Context, time.Time, int) ([]dispatch.Lost, error) {
	s.step("recover")
	return nil, nil
}

func (s *tickStore) MarkQueued(context.Context, time.Time, []execution.Ref) error { return nil }

// deep is a queue in which so many messages wait.
type deep struct {
	refusing
	depth int
	err   error
}

func (q *deep) Depth(context.Context) (int, error) { return q.depth, q.err }

func newDeep(depth int, err error) *deep {
	return &deep{refusing{refuse: func(int, string) bool { return false }}, depth, err}
}

func tickOf(store *tickStore, queue dispatch.Queue) *dispatch.Dispatcher {
	return dispatch.New(store, queue, queue, time.Now, slog.New(slog.DiscardHandler))
}

// What is due and what is stuck does not wait for the jobs of a category, however
// many there are, and the tick ends before its time is over.
func TestALargeCategoryHoldsNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &tickStore{
			takes: map[string]time.Duration{"follow": 300 * time.Millisecond}, unfollowed: map[int64]int{1: 1_000_000, 2: 1},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
		defer cancel()
		began := time.Now()
		report, err := tickOf(store, newDeep(0, nil)).Tick(ctx)
		if err != nil || !report.Cut {
			t.Errorf("%+v, %v", report, err)
		}
		want := []string{"claim", "follow", "resend", "resend acknowledged", "resend", "recover", "follow"}
		if diff := cmp.Diff(want, store.steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		if took := time.Since(began); took < 44*time.Second || took > 46*time.Second {
			t.Errorf("it took %s of 55 s", took)
		}
	})
}

// A tick stops some time before its deadline; what it has claimed is sent, and the
// next one goes on from there.
func TestATickStopsNearItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs = 100
		claimed := 0
		store := &tickStore{takes: map[string]time.Duration{"claim": time.Second}}
		for i := range jobs {
			store.claims = append(store.claims, func() (dispatch.ClaimResult, error) {
				claimed++
				row := execution.Waiting{ID: int64(i + 1), Attempt: 1, Lane: execution.Fast, NotBefore: time.Now()}
				return dispatch.ClaimResult{Jobs: 1, Waiting: []execution.Waiting{row}}, nil
			})
		}
		queue := newDeep(0, nil)
		d := tickOf(store, queue)
		for number, want := range []struct {
			claimed int
			cut     bool
			steps   []string
		}{
			{46, true, []string{"claim"}},
			{92, true, []string{"claim"}},
			{100, false, []string{"claim", "resend", "resend acknowledged", "resend", "recover"}},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
			report, err := d.Tick(ctx)
			cancel()
			if err != nil || report.Cut != want.cut || claimed != want.claimed {
				t.Errorf("tick %d: %d claimed so far, want %d; %+v, %v", number+1, claimed, want.claimed, report, err)
			}
			if diff := cmp.Diff(want.steps, store.steps); diff != "" {
				t.Errorf("tick %d: steps (-want +got):\n%s", number+1, diff)
			}
			store.steps = nil
		}
		sent := 0
		for _, bodies := range queue.sends {
			sent += len(bodies)
		}
		if sent != jobs {
			t.Errorf("%d messages for %d rows", sent, jobs)
		}
	})
}

// A claim that fails is made up for by the others: the tick has done its work.
func TestAFailedClaimThatOthersMakeUpForIsNoFailure(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("the connection broke")
	broken := func() (dispatch.ClaimResult, error) { return dispatch.ClaimResult{}, errBroken }
	works := func() (dispatch.ClaimResult, error) { return dispatch.ClaimResult{Jobs: 1}, nil }
	for name, tc := range map[string]struct {
		claims []func() (dispatch.ClaimResult, error)
		due    int
		fails  bool
	}{
		"one of three":                  {[]func() (dispatch.ClaimResult, error){works, broken, works}, 0, false},
		"something is due all the same": {[]func() (dispatch.ClaimResult, error){works, broken, works}, 1, true},
		"too many":                      {[]func() (dispatch.ClaimResult, error){broken, broken, broken, works}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &tickStore{claims: tc.claims, due: tc.due}
				report, err := tickOf(store, newDeep(0, nil)).Tick(t.Context())
				if tc.fails != errors.Is(err, errBroken) {
					t.Errorf("%+v, %v", report, err)
				}
				if report.Hidden != tc.due {
					t.Errorf("%d hidden, want %d", report.Hidden, tc.due)
				}
			})
		})
	}
}

// A backlog is not multiplied: while messages wait, rows whose message the queue
// has acknowledged are merely behind.
func TestABacklogIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		depth int
		err   error
		again bool
	}{
		"an empty queue":    {0, nil, true},
		"a few messages":    {100, nil, true},
		"a backlog":         {101, nil, false},
		"a depth not known": {0, errors.New("throttled"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &tickStore{}
			if _, err := tickOf(store, newDeep(tc.depth, tc.err)).Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(store.steps, "resend") {
				t.Error("rows of which no message is known were not looked for")
			}
			if got := slices.Contains(store.steps, "resend acknowledged"); got != tc.again {
				t.Errorf("acknowledged rows were sent again: %t, want %t", got, tc.again)
			}
		})
	}
}
