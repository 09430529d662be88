package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

// QueueFaults say how a system's queue misbehaves. The zero value does not.
type QueueFaults struct {
	// Copies is how many more times each message is delivered.
	Copies int
	// LateMost delays each copy of a message by a random time up to this, which
	// also puts messages out of order.
	LateMost time.Duration
	// Lost is the share of messages that are acknowledged and forgotten,
	// Rejected that of batch entries that fail, Down that of calls that fail as
	// a whole, Unanswered that of calls that happen and get no answer.
	Lost, Rejected, Down, Unanswered float64
	// DieBeforeSend and DieAfterSend kill the system at its next batch: with
	// its rows committed and no message sent, or sent and not noted.
	DieBeforeSend, DieAfterSend bool
}

func (f QueueFaults) hooks() sqsserver.Hooks {
	return sqsserver.Hooks{
		BeforeCall: func(_ context.Context, call sqsserver.Call) error {
			if call.Operation != "SendMessageBatch" {
				return nil
			}
			if f.DieBeforeSend {
				die()
			}
			if rand.Float64() < f.Down {
				return sqsserver.Unavailable()
			}
			return nil
		},
		AfterCall: func(_ context.Context, call sqsserver.Call) error {
			if call.Operation != "SendMessageBatch" {
				return nil
			}
			if f.DieAfterSend {
				die()
			}
			if rand.Float64() < f.Unanswered {
				return sqsserver.ErrHangUp
			}
			return nil
		},
		OnSend: func(string, string) sqsserver.Fate {
			fate := sqsserver.Fate{Copies: f.Copies, Drop: rand.Float64() < f.Lost}
			if rand.Float64() < f.Rejected {
				fate.Reject = sqsserver.Throttled()
			}
			if f.LateMost > 0 {
				fate.Late = rand.N(f.LateMost)
			}
			return fate
		},
	}
}

// die ends this process as a crash does: nothing is cleaned up.
func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // nothing more may happen while the kill is on its way
}
