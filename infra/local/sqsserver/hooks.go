package sqsserver

import (
	"context"
	"errors"
	"time"
)

// ErrHangUp is what a hook returns to close the connection without an answer.
var ErrHangUp = errors.New("hang up")

// Call says which operation a hook is asked about.
type Call struct {
	Operation string // such as "SendMessageBatch"
	Queue     string // the queue's name; empty for operations on no queue
}

// Hooks make the server misbehave on purpose. A nil hook does nothing. They
// are called from many goroutines, without locks held.
type Hooks struct {
	// BeforeCall is asked before the operation happens. It may block, until
	// its context ends, to delay the call. An error (an *Error, or ErrHangUp)
	// is the answer, and the operation does not happen.
	BeforeCall func(context.Context, Call) error
	// AfterCall is asked once the operation has happened. An error replaces
	// the answer, so that the client cannot know the outcome.
	AfterCall func(context.Context, Call) error
	// OnSend decides the fate of each valid message that is sent.
	OnSend func(queue, body string) Fate
}

// Fate is what becomes of a message. The zero value delivers it once.
type Fate struct {
	// Reject fails the entry with this error, and with it the call when the
	// message was not sent in a batch.
	Reject *Error
	// Drop acknowledges the message and forgets it.
	Drop bool
	// Copies is how many more times the message is delivered, under the same id.
	Copies int
	// Late is added to the delay that the sender asked for.
	Late time.Duration
}

func (h *Hooks) fate(queue, body string) Fate {
	if h == nil || h.OnSend == nil {
		return Fate{}
	}
	return h.OnSend(queue, body)
}
