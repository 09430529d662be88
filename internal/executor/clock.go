package executor

import (
	"context"
	"time"
)

// WallClock is the machine's clock.
type WallClock struct{}

// Now is the present.
func (WallClock) Now() time.Time { return time.Now() }

// SleepUntil waits by the wall clock: a timer runs on the monotonic clock, so
// the wall clock is asked again when it ends.
func (c WallClock) SleepUntil(ctx context.Context, at time.Time) error {
	for {
		wait := at.Sub(c.Now().Round(0))
		if wait <= 0 {
			return context.Cause(ctx)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
