package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Bounds of making jobs follow a change of their category's status: the change
// itself is one row and returns at once.
const (
	// followJobs, with claimRows, and followCancelled bound one transaction. A job
	// that fires every second has some 300 runs that wait.
	followJobs      = 500
	followCancelled = 5000
	// followTime is how long a tick lets jobs follow before it looks for what got
	// stuck; the rest follows after that, in what time is left.
	followTime = 10 * time.Second
)

// follow makes the jobs of categories follow their status, for so long, 0
// meaning as long as the tick may take. It answers the categories that are left.
func (d *Dispatcher) follow(ctx context.Context, categories []int64, within time.Duration, report *Report) ([]int64, error) {
	if len(categories) == 0 {
		return nil, nil
	}
	began := time.Now()
	err := d.sending(ctx, func(claimed chan<- []execution.Waiting) error {
		var failures []error
		for len(categories) > 0 && !d.nearDeadline(ctx) && (within == 0 || time.Since(began) < within) {
			request := d.followRequest()
			request.CategoryID = categories[0]
			result, err := d.store.Follow(ctx, request)
			if err != nil {
				failures = append(failures, err)
			}
			if err != nil || !result.changed() {
				categories = categories[1:]
				continue
			}
			report.Synced += result.Jobs
			report.Stopped += result.Cancelled
			report.Claimed += len(result.Waiting)
			report.Missed += result.Missed
			report.SetAside += result.SetAside
			if len(result.Waiting) > 0 {
				claimed <- result.Waiting
			}
		}
		return errors.Join(failures...)
	})
	return categories, err
}

func (r FollowResult) changed() bool { return r.Jobs+r.Cancelled > 0 }

func (d *Dispatcher) followRequest() FollowRequest {
	request := FollowRequest{ClaimRequest: d.claimRequest(), MaxCancelled: followCancelled}
	request.MaxJobs = followJobs
	return request
}

// FollowCategory makes the jobs of a category follow its status in line, as many
// as a request waits for.
func (d *Dispatcher) FollowCategory(ctx context.Context, categoryID int64) error {
	return d.followInLine(ctx, FollowRequest{CategoryID: categoryID})
}

// SettleJobs makes jobs follow their category, and claims and sends what they
// have due, in line: before a change that starts from there.
func (d *Dispatcher) SettleJobs(ctx context.Context, jobIDs []int64) error {
	following := d.followInLine(ctx, FollowRequest{ClaimRequest: ClaimRequest{JobIDs: jobIDs}})
	return errors.Join(following, d.DispatchJobs(ctx, jobIDs))
}

// followInLine lets some jobs follow for as long as a request waits.
func (d *Dispatcher) followInLine(ctx context.Context, which FollowRequest) error {
	inTime, cancel := context.WithTimeout(ctx, inlineTime)
	defer cancel()
	for inTime.Err() == nil {
		request := d.followRequest()
		request.CategoryID, request.JobIDs = which.CategoryID, which.JobIDs
		result, err := d.store.Follow(inTime, request)
		if err != nil {
			return err
		}
		if err := d.sendInline(ctx, result.Waiting); err != nil {
			d.leaveToTick(ctx, result.Waiting, nil, "a category's runs wait for a tick", "rows", len(result.Waiting), "err", err)
		}
		if !result.changed() {
			break
		}
	}
	return nil
}
