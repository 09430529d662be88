package mysql

import (
	"context"
	"database/sql"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// runnable is what a run by hand needs of its job.
type runnable struct {
	jobID    int64
	jobName  string
	revision int
	lane     execution.Lane
	host     string
	overlap  job.OverlapPolicy
	// masked reports a request whose secret was never entered.
	masked bool
}

// CreateRun records a run by hand, unless the job is gone or, where runs must
// not overlap, one is under way.
func (s *Executions) CreateRun(ctx context.Context, now time.Time, run dispatch.NewRun) (execution.Execution, execution.Waiting, error) {
	now = utc(now)
	recorded := execution.Execution{
		Trigger: execution.Manual, ScheduledFor: now, Status: execution.Pending, Attempt: 1,
		ReplayOf: run.ReplayOf, CreatedAt: now, UpdatedAt: now,
	}
	if run.ReplayOf != 0 {
		recorded.Trigger = execution.Replay
	}
	waiting := execution.Waiting{Attempt: 1, NotBefore: now}
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		found, err := lockRunnable(ctx, tx, run)
		if err != nil {
			return err
		}
		if found.overlap == job.OverlapSkip {
			held, err := slotHolders(ctx, tx, []executor.Work{{JobID: found.jobID}})
			if err != nil {
				return err
			}
			if holder := held[found.jobID]; holder != 0 {
				return apperr.Newf(apperr.Conflict, "Execution %d of this job is still running, and its overlap policy is skip.", holder)
			}
		}
		recorded.JobID, recorded.JobName = found.jobID, found.jobName
		waiting.Lane, waiting.Host = found.lane, found.host
		insert := dialect.Insert("executions").Rows(map[string]any{
			"job_id": found.jobID, "trigger_type": string(recorded.Trigger), "scheduled_for": now, "status": string(recorded.Status),
			"lane": string(found.lane), "revision": found.revision, "attempt": 1, "fence": 0, "not_before": now,
			"resend_after": utc(run.ResendAfter), "replay_of": idOrNull(run.ReplayOf), "requested_by": run.RequestedBy,
			"created_at": now, "updated_at": now,
		})
		recorded.ID, err = insertID(ctx, tx, insert)
		if waiting.ID = recorded.ID; err != nil {
			return err
		}
		if err := record(ctx, tx, auditedRun(recorded)); err != nil {
			return err
		}
		return noteEffect(ctx, tx, recorded)
	})
	return recorded, waiting, err
}

// auditedRun is the entry of a run by hand; it is the job that it was done to.
func auditedRun(run execution.Execution) audit.Entry {
	fields := []audit.Field{{Name: "executionId", Value: run.ID}}
	if run.ReplayOf != 0 {
		fields = append(fields, audit.Field{Name: "replayOf", Value: run.ReplayOf})
	}
	return audit.Entry{Entity: audit.Job, EntityID: run.JobID, EntityName: run.JobName, After: audit.Created(fields)}
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
		unknown = apperr.New(apperr.Conflict, "The job of this execution has been deleted; what it called cannot be called again.")
	}
	if _, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT id FROM jobs WHERE id = ? LOCK IN SHARE MODE", run.JobID); err != nil {
		return runnable{}, err
	}
	rows, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r runnable, err error) {
		err = rows.Scan(&r.jobID, &r.jobName, &r.revision, &r.lane, &r.host, &r.overlap, &r.masked)
		return r, err
	}, "SELECT j.id, j.name, r.revision, j.lane, "+hostOfURL+", p.overlap_policy, "+neverEntered+` FROM jobs j
		JOIN job_requests p ON p.job_id = j.id AND p.revision = j.revision
		JOIN job_requests r ON r.job_id = j.id AND r.revision = `+revision+" WHERE j.id = ? AND j.deleted_at IS NULL", append(args, run.JobID)...)
	if err != nil {
		return runnable{}, err
	}
	if len(rows) == 0 {
		return runnable{}, unknown
	}
	// A replay's values are those of its job by then.
	if rows[0].masked && run.ReplayOf == 0 {
		return runnable{}, apperr.New(apperr.Conflict, "A secret of this job was never entered: enter it before the job runs.")
	}
	return rows[0], nil
}

// neverEntered tells whether a mask is stored in r in the place of a secret: an
// import brings it, of a header among the values or as the body. Those that were
// entered stand there by their names alone, and quotes in a value are escaped.
const neverEntered = `(COALESCE(r.secret_headers LIKE '%:"********"%', FALSE) OR COALESCE(r.body_secret AND r.body = '"********"', FALSE))`

// bringUpToDate gives replays what belongs to their job as it is now. Other
// executions keep to the request that they were made with.
func (s *Executions) bringUpToDate(ctx context.Context, works []executor.Work) error {
	var replays []executor.Work
	for _, w := range works {
		if w.Trigger == execution.Replay && w.Broken == nil {
			replays = append(replays, w)
		}
	}
	if len(replays) == 0 {
		return nil
	}
	type present struct {
		jobID    int64
		revision int
		request  job.Request
		broken   error
	}
	args := ids(replays, func(w executor.Work) int64 { return w.JobID })
	found, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (p present, err error) {
		var row requestRow
		if err := rows.Scan(append([]any{&p.jobID, &p.revision}, row.targets()...)...); err != nil {
			return p, err
		}
		p.request, p.broken = row.request()
		return p, nil
	}, "SELECT j.id, r.revision, "+requestColumnsOfR+` FROM jobs j JOIN job_requests r ON r.job_id = j.id AND r.revision = j.revision
		WHERE j.id IN (`+placeholders(len(args))+")", args...)
	if err != nil {
		return err
	}
	for i := range found {
		p := &found[i]
		if p.broken != nil {
			continue
		}
		if p.broken = openRequest(ctx, s.ring, s.db, p.jobID, p.revision, &p.request); p.broken != nil && isDatabase(p.broken) {
			return p.broken
		}
	}
	for i := range works {
		for _, p := range found {
			switch {
			case works[i].Trigger != execution.Replay || works[i].JobID != p.jobID || works[i].Broken != nil:
			case p.broken != nil:
				works[i].Broken = p.broken
			default:
				works[i].Request = works[i].Request.ReplayedUnder(p.request)
			}
		}
	}
	return nil
}
