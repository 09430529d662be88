package executor

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlotsAreTakenWholeAndNeverDeadlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(10)
		var takers sync.WaitGroup
		for range 20 {
			takers.Go(func() {
				if err := s.take(t.Context(), 7); err != nil {
					t.Error(err)
					return
				}
				if free := len(s.free); free > 3 {
					t.Errorf("%d slots are free beside 7 taken", free)
				}
				time.Sleep(time.Second)
				s.give(7)
			})
		}
		takers.Wait()
		if len(s.free) != 10 {
			t.Errorf("%d slots are left of 10", len(s.free))
		}
	})
}

func TestWaitingForSlotsEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(3)
		if err := s.take(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("stopping")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		if err := s.take(ctx, 2); !errors.Is(err, cause) {
			t.Errorf("take: %v", err)
		}
		if len(s.free) != 1 {
			t.Errorf("%d slots are free, want the one that was", len(s.free))
		}
	})
}
