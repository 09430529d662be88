package system

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/app"
)

// tickHandler plays the tick's handler.
type tickHandler func(event app.TickEvent) error

func (h tickHandler) Invoke(_ context.Context, payload []byte) ([]byte, error) {
	var event app.TickEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	return []byte("{}"), h(event)
}

// What the queue has forgotten is sent again until a tick has done so: the first
// may come before the database.
func TestTicksSendWaitingRunsAgainUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	s := &System{opts: Options{TickEvery: time.Hour}, log: slog.New(slog.DiscardHandler), asked: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var resend []bool
	s.ticks(ctx, tickHandler(func(event app.TickEvent) error {
		resend = append(resend, event.ResendWaiting)
		if len(resend) == 5 {
			stop()
		}
		if err := s.askTick(ctx); err != nil {
			t.Error(err)
		}
		if len(resend) < 3 {
			return errors.New("the database is not there yet")
		}
		return nil
	}))
	if diff := cmp.Diff([]bool{true, true, true, false, false}, resend[:5]); diff != "" {
		t.Errorf("ticks that send all that waits (-want +got):\n%s", diff)
	}
}
