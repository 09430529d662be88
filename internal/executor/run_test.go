package executor_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

func TestRunWaitsForTheInstant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		early time.Duration
		wait  time.Duration // -1: not called, sent back
	}{
		"5 s early":               {5 * time.Second, 5 * time.Second},
		"a millisecond early":     {time.Millisecond, time.Millisecond},
		"on time":                 {0, 0},
		"late":                    {-time.Hour, 0},
		"5 s and a bit early":     {5*time.Second + time.Millisecond, -1},
		"a quarter of an hour":    {15 * time.Minute, -1},
		"longer than SQS permits": {time.Hour, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				works := due(begun.Add(tc.early).UTC(), 3)
				l := newLab(works...)
				none(t, l.run(t.Context(), message(t, works...)))
				if tc.wait < 0 {
					if len(l.caller.calls) > 0 || l.store.starts > 0 || time.Since(begun) > 0 {
						t.Errorf("%d calls, %d starts, after %s", len(l.caller.calls), l.store.starts, time.Since(begun))
					}
					want := []execution.Waiting{}
					for _, w := range works {
						want = append(want, execution.Waiting{ID: w.ID, Attempt: 1, NotBefore: w.NotBefore, Lane: execution.Fast, Host: "target.test"})
					}
					if diff := cmp.Diff(want, l.dispatch.sent); diff != "" {
						t.Errorf("sent back (-want +got):\n%s", diff)
					}
					return
				}
				if diff := cmp.Diff([]int64{1, 2, 3}, l.caller.called()); diff != "" {
					t.Errorf("called (-want +got):\n%s", diff)
				}
				for _, m := range l.caller.calls {
					if waited := m.at.Sub(begun); waited != tc.wait {
						t.Errorf("the call came after %s, want %s", waited, tc.wait)
					}
				}
				if len(l.dispatch.sent) > 0 {
					t.Errorf("%d were sent", len(l.dispatch.sent))
				}
			})
		})
	}
}

func TestRunCallsOnlyWhatStarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 7)
		l := newLab(works...)
		wake := message(t, works...)
		l.store.set(2, execution.Running)                                  // a duplicate of another worker's
		l.store.set(3, execution.Success)                                  // done long ago
		l.store.rows[4].work.Attempt = 2                                   // this message is of the attempt before
		l.store.skip = map[int64]string{5: "busy"}                         // the job's last run is under way
		l.store.rows[6].work.NotBefore = time.Now().Add(time.Second).UTC() // the message is wrong about the instant
		l.store.onStart = func([]executor.Work) error {
			l.store.rows[7].status = execution.Cancelled // by a person, just now
			return nil
		}
		none(t, l.run(t.Context(), wake))
		if diff := cmp.Diff([]int64{1}, l.caller.called()); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
		if !strings.Contains(l.log.String(), `"status":"skipped","reason":"busy"`) {
			t.Errorf("the log is %s", l.log)
		}
	})
}

// TestRunOfDoubledMessages has the same executions in two messages of one
// invocation.
func TestRunOfDoubledMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().Add(time.Second).UTC(), 5)
		l := newLab(works...)
		none(t, l.run(t.Context(), message(t, works...), message(t, works...)))
		if diff := cmp.Diff([]int64{1, 2, 3, 4, 5}, l.caller.called()); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
		// And once more, when all is over.
		none(t, l.run(t.Context(), message(t, works...)))
		if n := len(l.caller.calls); n != 5 {
			t.Errorf("%d calls were made", n)
		}
	})
}

func TestRunReportsOurOwnFailures(t *testing.T) {
	t.Parallel()
	fault := errors.New("the database is away")
	for name, fails := range map[string]func(s *store){
		"load": func(s *store) {
			s.onLoad = func(refs []execution.Ref) error {
				if refs[0].ID == 1 {
					return fault
				}
				return nil
			}
		},
		"start": func(s *store) {
			s.onStart = func(works []executor.Work) error {
				if works[0].ID == 1 {
					return fault
				}
				return nil
			}
		},
		"finish": func(s *store) {
			s.onFinish = func(_ context.Context, _ int, batch []execution.Finish) error {
				for _, f := range batch {
					if f.ID == 1 {
						return fault
					}
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				works := due(time.Now().UTC(), 3)
				l := newLab(works...)
				fails(l.store)
				errs := l.run(t.Context(), message(t, works[0]), message(t, works[1]), message(t, works[2]))
				if !errors.Is(errs[0], fault) || !strings.HasPrefix(errs[0].Error(), name) {
					t.Errorf("the first message ended with %v", errs[0])
				}
				none(t, errs[1:])
				if l.store.status(2) != execution.Success || l.store.status(3) != execution.Success {
					t.Errorf("the others are %s and %s", l.store.status(2), l.store.status(3))
				}
			})
		})
	}
}

func TestRunDropsForeignMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 1)
		l := newLab(works...)
		none(t, l.run(t.Context(), "", "{}", "null", `{"Records":[]}`, "\x00", message(t, works...)))
		if n := strings.Count(l.log.String(), `"level":"ERROR"`); n != 5 {
			t.Errorf("%d of 5 are in the log: %s", n, l.log)
		}
		if l.store.loads != 1 || l.store.status(1) != execution.Success {
			t.Errorf("%d loads, the row is %s", l.store.loads, l.store.status(1))
		}
	})
}

// preparing is a caller whose preparations last as long as they may.
type preparing struct {
	*caller
	begun, ended time.Time
}

func (p *preparing) Prepare(ctx context.Context, _ []executor.Work) {
	p.begun = time.Now()
	<-ctx.Done()
	p.ended = time.Now()
}

// TestRunPreparesInTime lets no preparation make a call late.
func TestRunPreparesInTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		early, begin time.Duration
		prepared     bool
	}{
		"with time":        {3 * time.Second, 2 * time.Second, true},
		"with little time": {400 * time.Millisecond, 0, true},
		"without":          {200 * time.Millisecond, 0, false},
		"late":             {-time.Second, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				works := due(begun.Add(tc.early).UTC(), 1)
				l := newLab(works...)
				p := &preparing{caller: l.caller}
				runner := executor.New(l.store, l.dispatch, p, executor.WallClock{}, slog.New(slog.DiscardHandler))
				none(t, runner.Run(t.Context(), []string{message(t, works...)}))
				if at := l.caller.calls[0].at.Sub(begun); at != max(tc.early, 0) {
					t.Errorf("the call came after %s", at)
				}
				if p.begun.IsZero() == tc.prepared {
					t.Fatalf("preparing began at %s", p.begun)
				}
				if tc.prepared && (p.begun.Sub(begun) != tc.begin || p.ended.Sub(begun) != tc.early-250*time.Millisecond) {
					t.Errorf("preparing took from %s to %s", p.begun.Sub(begun), p.ended.Sub(begun))
				}
			})
		})
	}
}

func TestRunLogsNoSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		works := due(time.Now().UTC(), 1, headers("Authorization", "hidden"), body(`"hidden"`))
		l := newLab(works...)
		l.caller.answer = failing(execution.ErrTimeout)
		none(t, l.run(t.Context(), message(t, works...)))
		if text := l.log.String(); strings.Contains(text, "hidden") || !strings.Contains(text, `"host":"target.test"`) {
			t.Errorf("the log is %s", text)
		}
	})
}
