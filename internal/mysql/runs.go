package mysql

import (
	"context"
	"database/sql"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// runnable is what a run by hand needs of its job.
type runnable struct {
	jobID    int64
	revision int
	lane     execution.Lane
	host     string
	overlap  job.OverlapPolicy
}

// CreateRun records a run by hand, unless the job is gone or, where runs must
// not overlap, one is under way.
func (s *Executions) CreateRun(ctx context.Context, now time.Time, run dispatch.NewRun) (execution.Waiting, error) {
	now = utc(now)
	waiting := execution.Waiting{Attempt: 1, NotBefore: now}
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		found, err := lockRunnable(ctx, tx, run)
		if err != nil {
			return err
		}
		if found.overlap == job.OverlapSkip {
			holder, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM executions WHERE slot_job_id = ?", found.jobID)
			if err != nil {
				return err
			}
			if len(holder) > 0 {
				return apperr.Newf(apperr.Conflict, "Execution %d of this job is still running, and its overlap policy is skip.", holder[0])
			}
		}
		trigger, replayOf := execution.Manual, any(nil)
		if run.ReplayOf != 0 {
			trigger, replayOf = execution.Replay, run.ReplayOf
		}
		waiting.Lane, waiting.Host = found.lane, found.host
		insert := dialect.Insert("executions").Rows(map[string]any{
			"job_id": found.jobID, "trigger_type": string(trigger), "scheduled_for": now, "status": string(execution.Pending),
			"lane": string(found.lane), "revision": found.revision, "attempt": 1, "fence": 0, "not_before": now,
			"resend_after": utc(run.ResendAfter), "replay_of": replayOf, "requested_by": run.RequestedBy,
			"created_at": now, "updated_at": now,
		})
		waiting.ID, err = insertID(ctx, tx, insert)
		return err
	})
	return waiting, err
}

// lockRunnable reads the job of a run under a shared lock, which holds a
// deletion back until the row exists, so that the deletion cancels it.
func lockRunnable(ctx context.Context, tx *sql.Tx, run dispatch.NewRun) (runnable, error) {
	unknown := apperr.New(apperr.NotFound, "There is no such job.")
	revision := "j.revision"
	args := []any{}
	if run.ReplayOf != 0 {
		type origin struct {
			jobID    int64
			revision int
		}
		found, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (o origin, err error) {
			err = rows.Scan(&o.jobID, &o.revision)
			return o, err
		}, "SELECT job_id, revision FROM executions WHERE id = ?", run.ReplayOf)
		if err != nil {
			return runnable{}, err
		}
		if len(found) == 0 {
			return runnable{}, apperr.New(apperr.NotFound, "There is no such execution.")
		}
		run.JobID, revision = found[0].jobID, "?"
		args = append(args, found[0].revision)
		unknown = apperr.New(apperr.Conflict, "The job of this execution has been deleted.")
	}
	if _, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE id = ? LOCK IN SHARE MODE", run.JobID); err != nil {
		return runnable{}, err
	}
	rows, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r runnable, err error) {
		err = rows.Scan(&r.jobID, &r.revision, &r.lane, &r.host, &r.overlap)
		return r, err
	}, "SELECT j.id, r.revision, j.lane, "+hostOfURL+`, r.overlap_policy FROM jobs j
		JOIN job_requests r ON r.job_id = j.id AND r.revision = `+revision+" WHERE j.id = ? AND j.deleted_at IS NULL", append(args, run.JobID)...)
	if err != nil {
		return runnable{}, err
	}
	if len(rows) == 0 {
		return runnable{}, unknown
	}
	return rows[0], nil
}
