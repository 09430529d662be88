package executor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cronjobs/cronjobs/internal/executor"
)

func TestSleepUntil(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	for name, tc := range map[string]struct {
		sleep time.Duration
		stop  time.Duration // -1: never
		woken time.Duration
		err   error
	}{
		"an instant to come":              {3 * time.Second, -1, 3 * time.Second, nil},
		"an instant that has passed":      {-time.Second, -1, 0, nil},
		"stopped before":                  {3 * time.Second, time.Second, time.Second, stopped},
		"stopped before it has begun":     {3 * time.Second, 0, 0, stopped},
		"passed, and stopped before that": {-time.Second, 0, 0, stopped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				switch {
				case tc.stop == 0:
					cancel(stopped)
				case tc.stop > 0:
					time.AfterFunc(tc.stop, func() { cancel(stopped) })
				}
				err := executor.WallClock{}.SleepUntil(ctx, begun.Add(tc.sleep).UTC().Round(0))
				if !errors.Is(err, tc.err) || time.Since(begun) != tc.woken {
					t.Errorf("woken after %s with %v", time.Since(begun), err)
				}
			})
		})
	}
}
