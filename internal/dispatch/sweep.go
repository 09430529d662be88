package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// Bounds of sweeping.
const (
	// resendBatch is how many waiting rows are sent again at a time; of those
	// that the queue has acknowledged one batch a tick, so that a backlog is
	// not multiplied.
	resendBatch = 1000
	// backlogDepth is how many messages may wait in a lane before rows that it
	// acknowledged count as merely behind, not lost.
	backlogDepth = 100
	lostBatch    = 500
)

// Resend times: after the first message, a row is looked at again after
// ResendFirst, then twice as long each time up to ResendMost.
const (
	ResendFirst = 120 * time.Second
	ResendMost  = 15 * time.Minute
)

func (d *Dispatcher) sweep(ctx context.Context, report *Report) error {
	var failures []error
	for _, lane := range []execution.Lane{execution.Fast, execution.Slow} {
		if d.nearDeadline(ctx) {
			break
		}
		failures = append(failures, d.resendStuck(ctx, lane, report))
	}
	if !d.nearDeadline(ctx) {
		failures = append(failures, d.recoverLost(ctx, report))
	}
	return errors.Join(failures...)
}

// resendStuck sends a lane's waiting rows again: all of which no message is
// known, and some whose message seems lost.
func (d *Dispatcher) resendStuck(ctx context.Context, lane execution.Lane, report *Report) error {
	for !d.nearDeadline(ctx) {
		stuck, err := d.resend(ctx, StuckRequest{Lane: lane, Limit: resendBatch}, report)
		if err != nil {
			return err
		}
		if stuck < resendBatch {
			break
		}
	}
	depth, err := d.lanes[lane].Depth(ctx)
	if err != nil {
		d.log.WarnContext(ctx, "the queue's depth is unknown; nothing it acknowledged is sent again", "lane", lane, "err", err)
		return nil
	}
	if depth > backlogDepth {
		return nil
	}
	_, err = d.resend(ctx, StuckRequest{Lane: lane, Acknowledged: true, Limit: resendBatch}, report)
	return err
}

func (d *Dispatcher) resend(ctx context.Context, request StuckRequest, report *Report) (int, error) {
	stuck, err := d.store.TakeStuck(ctx, d.clock(), request)
	if err != nil {
		return 0, err
	}
	report.Resent += len(stuck)
	return len(stuck), d.Dispatch(ctx, stuck)
}

// recoverLost gives runs whose worker vanished another attempt where the job
// allows one, and ends the others as abandoned: nobody knows their outcome.
func (d *Dispatcher) recoverLost(ctx context.Context, report *Report) error {
	theirs, err := d.store.Now(ctx)
	if err != nil {
		return err
	}
	report.Skew = d.clock().Sub(theirs)
	if report.Skew.Abs() > MaxSkew {
		d.log.ErrorContext(ctx, "our clock and the database's differ; no lease is judged", "skew", report.Skew)
		return nil
	}
	for !d.nearDeadline(ctx) {
		lost, err := d.recoverBatch(ctx, report)
		if err != nil || lost < lostBatch {
			return err
		}
	}
	return nil
}

func (d *Dispatcher) recoverBatch(ctx context.Context, report *Report) (int, error) {
	now := d.clock()
	lost, err := d.store.LostLeases(ctx, now, lostBatch)
	if err != nil || len(lost) == 0 {
		return 0, err
	}
	batch := make([]execution.Finish, len(lost))
	for i, one := range lost {
		batch[i] = abandoned(one, now)
	}
	finished, err := d.store.Finish(ctx, now, batch)
	if err != nil {
		return 0, err
	}
	var again []execution.Waiting
	for i, done := range finished {
		if !done.Applied {
			continue
		}
		report.Recovered++
		outcome := string(done.Status)
		if done.Status == execution.Pending {
			outcome = "retry"
			f := batch[i]
			again = append(again, execution.Waiting{
				ID: f.ID, Attempt: f.Attempt.Attempt + 1, NotBefore: f.NotBefore, Lane: f.Lane, Host: f.Host,
			})
		}
		telemetry.Observe(ctx, telemetry.Executions, outcome, 1)
	}
	return len(lost), d.Dispatch(ctx, again)
}

// abandoned is the transition of a run whose lease has ended.
func abandoned(lost Lost, now time.Time) execution.Finish {
	f := lost.Finish
	f.Attempt.EndedAt = now
	f.Attempt.Failure = &execution.Failure{
		Kind:    execution.ErrInternal,
		Message: "The worker that made this call stopped before it could record the outcome.",
	}
	f.Unknown = true
	delay, again := lost.Retry.Next(f.Attempt.Attempt, execution.Outcome{Failure: f.Attempt.Failure}, rand.Float64())
	if again {
		f.Status, f.NotBefore = execution.Pending, now.Add(delay)
	} else {
		f.Status, f.Reason = f.End(), execution.OutcomeUnknown
	}
	return f
}

// resendAllBatch is how many waiting rows are read at a time.
const resendAllBatch = 2000

// ResendWaiting sends a message for every waiting row at once, whatever was
// sent before. It is for when the queue has lost its messages: a purge, or the
// start of the local runner, whose queue lives in memory. Doubled messages are
// harmless. It returns how many rows it sent for.
func (d *Dispatcher) ResendWaiting(ctx context.Context) (int, error) {
	sent, last := 0, int64(0)
	for {
		waiting, err := d.store.WaitingAfter(ctx, last, resendAllBatch)
		if err != nil || len(waiting) == 0 {
			return sent, err
		}
		last = waiting[len(waiting)-1].ID
		if err := d.Dispatch(ctx, waiting); err != nil {
			return sent, err
		}
		sent += len(waiting)
	}
}
