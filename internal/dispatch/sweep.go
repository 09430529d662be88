package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/schedule"
)

// Bounds of one tick's sweeping.
const (
	// maxResends keeps a tick from multiplying a backlog.
	maxResends = 1000
	// backlogDepth is how many messages may wait before rows that the queue
	// acknowledged count as merely behind, not lost.
	backlogDepth = 100
	lostBatch    = 500
	syncBatch    = 5000
)

// Resend times: after the first message, a row is looked at again after
// ResendFirst, then twice as long each time up to ResendMost.
const (
	ResendFirst = 120 * time.Second
	ResendMost  = 15 * time.Minute
)

func (d *Dispatcher) sweep(ctx context.Context, report *Report) error {
	if d.nearDeadline(ctx) {
		return nil
	}
	return errors.Join(d.resendStuck(ctx, report), d.recoverLost(ctx, report))
}

// resendStuck sends the waiting rows whose message was never acknowledged or
// seems lost.
func (d *Dispatcher) resendStuck(ctx context.Context, report *Report) error {
	depth, err := d.lanes[execution.Fast].Depth(ctx)
	if err != nil {
		// Not knowing, treat acknowledged rows as merely behind.
		depth = backlogDepth + 1
		d.log.WarnContext(ctx, "the queue's depth is unknown", "err", err)
	}
	stuck, err := d.store.TakeStuck(ctx, d.clock(), StuckRequest{Limit: maxResends, PendingOnly: depth > backlogDepth})
	if err != nil {
		return err
	}
	report.Resent += len(stuck)
	return d.Dispatch(ctx, stuck)
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
	now := d.clock()
	lost, err := d.store.LostLeases(ctx, now, lostBatch)
	if err != nil || len(lost) == 0 {
		return err
	}
	batch := make([]execution.Finish, len(lost))
	for i, one := range lost {
		batch[i] = abandoned(one, now)
	}
	finished, err := d.store.Finish(ctx, now, batch)
	if err != nil {
		return err
	}
	var again []execution.Waiting
	for i, done := range finished {
		if !done.Applied {
			continue
		}
		report.Recovered++
		if done.Status == execution.Pending {
			f := batch[i]
			again = append(again, execution.Waiting{
				ID: f.ID, Attempt: f.Attempt.Attempt + 1, NotBefore: f.NotBefore, Lane: f.Lane, Host: f.Host,
			})
		}
	}
	return d.Dispatch(ctx, again)
}

// abandoned is the transition of a run whose lease has ended.
func abandoned(lost Lost, now time.Time) execution.Finish {
	f := lost.Finish
	f.Attempt.EndedAt = now
	f.Attempt.Failure = &execution.Failure{
		Kind:    execution.ErrInternal,
		Message: "The worker that made this call stopped before it could record the outcome.",
	}
	delay, again := lost.Retry.Next(f.Attempt.Attempt, execution.Outcome{Failure: f.Attempt.Failure}, rand.Float64())
	if again {
		f.Status, f.NotBefore = execution.Pending, now.Add(delay)
	} else {
		f.Status, f.Reason = execution.Abandoned, "the outcome is unknown"
	}
	return f
}

// syncCategories makes jobs follow a change of their category's status: the
// change itself is one row and returns at once, the jobs follow here.
func (d *Dispatcher) syncCategories(ctx context.Context, report *Report) error {
	now := d.clock()
	next := func(due DueJob) *time.Time {
		s, err := schedule.Parse(due.CronPattern, due.Timezone)
		if err != nil {
			// Due at once: the claim sets it aside with the reason.
			return &now
		}
		if at, ok := s.Next(now); ok {
			return &at
		}
		return nil
	}
	for !d.nearDeadline(ctx) {
		changed, err := d.store.SyncCategories(ctx, now, syncBatch, next)
		report.Synced += changed
		if err != nil || changed < syncBatch {
			return err
		}
	}
	return nil
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
