package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Bounds of one claim transaction: short, so that people's changes to the
// same jobs wait little.
const (
	claimJobs = 2000
	claimRows = 2000
)

// stopBefore is how long before its deadline a tick begins nothing more.
const stopBefore = 10 * time.Second

// hiddenRetries is how often a tick looks again at due jobs that it could not
// lock because someone else held them, and hiddenPause how long it waits.
const (
	hiddenRetries = 5
	hiddenPause   = 50 * time.Millisecond
)

// claimTries is how many claims of one tick may fail before it gives up.
const claimTries = 3

// Bounds of sending beside claiming. Rows of several claims are cut into
// messages together: the larger the crowd of an instant that is known, the
// fewer and fuller its messages. Those that are there do not wait for a claim
// that stands still, though, for longer than gatherTime.
const (
	gatherRows   = 2000
	gatherTime   = time.Second
	claimsUnsent = 4
)

// Report is what one tick did.
type Report struct {
	Claimed   int // rows made to run
	Jobs      int // jobs claimed
	Missed    int // summary rows of missed instants
	SetAside  int // jobs whose schedule cannot be read
	Hidden    int // due jobs that someone else held to the end
	Resent    int // waiting rows whose message was sent again
	Recovered int // runs whose worker had vanished
	Synced    int // jobs that followed their category's status
	Stopped   int // runs that were cancelled with an inactive category
	Skew      time.Duration
	Cut       bool // the deadline came first; the next tick goes on
}

// Tick claims and sends everything due inside the look-ahead, then sweeps. It
// stops near the context's deadline; two at once are harmless. The report is
// right as far as the tick came, also beside an error.
func (d *Dispatcher) Tick(ctx context.Context) (Report, error) {
	var report Report
	// What is due comes first, and so does what got stuck: the jobs of a category
	// may take more than a tick, and those of an inactive one are not started.
	unfollowed, unknown := d.store.Unfollowed(ctx)
	err := errors.Join(unknown, d.claimAll(ctx, &report))
	left, following := d.follow(ctx, unfollowed, followTime, &report)
	err = errors.Join(err, following, d.sweep(ctx, &report))
	if len(left) > 0 {
		_, following = d.follow(ctx, left, 0, &report)
		err = errors.Join(err, following)
	}
	report.Cut = d.nearDeadline(ctx)
	return report, err
}

// nearDeadline reports whether nothing more should be begun.
func (d *Dispatcher) nearDeadline(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < stopBefore
}

// claimAll claims everything due and sends it, side by side.
func (d *Dispatcher) claimAll(ctx context.Context, report *Report) error {
	return d.sending(ctx, func(claimed chan<- []execution.Waiting) error { return d.claimDue(ctx, claimed, report) })
}

// sending sends beside what it is sent for.
func (d *Dispatcher) sending(ctx context.Context, claim func(claimed chan<- []execution.Waiting) error) error {
	claimed := make(chan []execution.Waiting, claimsUnsent)
	sent := make(chan error, 1)
	go func() { sent <- d.sendBeside(ctx, claimed) }()
	err := claim(claimed)
	close(claimed)
	return errors.Join(err, <-sent)
}

// sendBeside sends what is claimed meanwhile, until there is no more. Rows that
// it cannot send are safe: a later tick does.
func (d *Dispatcher) sendBeside(ctx context.Context, claimed <-chan []execution.Waiting) error {
	var failures []error
	var gathered []execution.Waiting
	var long <-chan time.Time // since the first of gathered
	for more := true; more; {
		var waiting []execution.Waiting
		enough := false
		select {
		case waiting, more = <-claimed:
		case <-long:
			enough = true
		}
		if len(gathered) == 0 && len(waiting) > 0 {
			long = time.After(gatherTime)
		}
		gathered = append(gathered, waiting...)
		if enough || !more || len(gathered) >= gatherRows {
			failures = append(failures, d.Dispatch(ctx, gathered))
			gathered, long = nil, nil
		}
	}
	return errors.Join(failures...)
}

// claimDue claims until a plain read shows nothing due. Rows that another
// transaction holds are invisible to the claim; they are waited for briefly,
// then counted.
func (d *Dispatcher) claimDue(ctx context.Context, claimed chan<- []execution.Waiting, report *Report) error {
	var failures []error
	hidden, broken := 0, 0
	var after *Place
	var inactive []int64
	for !d.nearDeadline(ctx) {
		result, err := d.claim(ctx, nil, after, inactive)
		if err != nil {
			failures = append(failures, err)
			// One transaction's bad luck must not keep the rest waiting for the
			// next tick.
			if broken++; broken == claimTries || !pause(ctx, hiddenPause) {
				return errors.Join(failures...)
			}
			continue
		}
		report.Jobs += result.Jobs
		report.Claimed += len(result.Waiting)
		report.Missed += result.Missed
		report.SetAside += result.SetAside
		if len(result.Waiting) > 0 {
			claimed <- result.Waiting
		}
		after = result.Last
		inactive = append(inactive, result.Inactive...)
		if result.Jobs+len(result.Inactive) > 0 {
			hidden = 0
			continue
		}
		due, err := d.store.CountDue(ctx, d.clock().Add(LookAhead), inactive)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		report.Hidden = due
		if due == 0 && len(failures) > 0 {
			d.log.WarnContext(ctx, "some claims failed; others have done their work", "err", errors.Join(failures...))
			return nil
		}
		if due == 0 || hidden == hiddenRetries {
			break
		}
		hidden++
		if !pause(ctx, hiddenPause) {
			break
		}
	}
	return errors.Join(failures...)
}

// claim runs one claim transaction, for all due jobs or some.
func (d *Dispatcher) claim(ctx context.Context, jobIDs []int64, after *Place, except []int64) (ClaimResult, error) {
	request := d.claimRequest()
	request.JobIDs, request.After, request.Except = jobIDs, after, except
	return d.store.Claim(ctx, request)
}

// claimRequest is for whatever is due.
func (d *Dispatcher) claimRequest() ClaimRequest {
	now := d.clock()
	horizon := now.Add(LookAhead)
	return ClaimRequest{
		Now:         now,
		Horizon:     horizon,
		MaxJobs:     claimJobs,
		MaxRows:     claimRows,
		ResendAfter: now.Add(SendGrace),
		Plan:        func(due DueJob) Plan { return PlanJob(due, now, horizon) },
	}
}

// pause waits, and reports false where the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
