package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

const selectWork = `SELECT e.id, e.job_id, j.name, j.category_id, e.trigger_type, e.scheduled_for, e.not_before, e.attempt, e.revision,
	IF(j.lane = 'slow', j.lane, e.lane), e.started_at, k.sealed, ` + requestColumnsOfR + `
	FROM executions e JOIN jobs j ON j.id = e.job_id JOIN job_requests r ON r.job_id = e.job_id AND r.revision = e.revision
	LEFT JOIN signing_keys k ON k.job_id = e.job_id `

func scanWork(rows *sql.Rows) (w executor.Work, err error) {
	var request requestRow
	err = rows.Scan(append([]any{
		&w.ID, &w.JobID, &w.JobName, &w.CategoryID, &w.Trigger, &w.ScheduledFor, &w.NotBefore, &w.Attempt, &w.Revision,
		&w.Lane, &w.StartedAt, &w.SealedKeys,
	}, request.targets()...)...)
	if err != nil {
		return w, err
	}
	// A request that cannot be read must not hold up the others.
	if w.Request, w.Broken = request.request(); w.Broken != nil {
		w.Request = job.Request{OverlapPolicy: job.OverlapAllow}
	}
	return w, nil
}

// Load reads the named executions that still wait for that attempt.
func (s *Executions) Load(ctx context.Context, refs []execution.Ref) ([]executor.Work, error) {
	args := ids(refs, func(r execution.Ref) int64 { return r.ID })
	works, err := queryAllSQL(ctx, s.db, scanWork,
		selectWork+"WHERE e.id IN ("+placeholders(len(args))+") AND e.status IN ('pending', 'queued') ORDER BY e.id", args...)
	if err == nil {
		err = s.openWorks(ctx, works)
	}
	if err == nil {
		err = s.bringUpToDate(ctx, works)
	}
	if err == nil {
		err = s.fillVaults(ctx, works)
	}
	if err == nil {
		err = s.openSigners(ctx, works)
	}
	if err != nil {
		return nil, translate(err)
	}
	named := map[execution.Ref]bool{}
	for _, ref := range refs {
		named[ref] = true
	}
	return slices.DeleteFunc(works, func(w executor.Work) bool { return !named[execution.Ref{ID: w.ID, Attempt: w.Attempt}] }), nil
}

// openWorks opens the secrets of works. One that cannot be opened is set aside,
// and does not hold up the others.
func (s *Executions) openWorks(ctx context.Context, works []executor.Work) error {
	for i := range works {
		w := &works[i]
		if w.Broken != nil || w.Request.Sealed == nil {
			continue
		}
		err := openRequest(ctx, s.ring, s.db, w.JobID, w.Revision, &w.Request)
		if err != nil && isDatabase(err) {
			return err
		}
		w.Broken = err
	}
	return nil
}

// Start makes waiting rows running. What was started is what is read back by
// the ticket's token: neither the number of changed rows nor the fence tells.
// Rows of jobs that must not overlap also take their job's slot. With an error
// the answer still tells what is known to have started.
func (s *Executions) Start(ctx context.Context, now time.Time, ticket executor.Ticket, works []executor.Work) ([]executor.Started, error) {
	started := make([]executor.Started, len(works))
	index := map[int64]int{}
	var free, exclusive []executor.Work
	for i, w := range works {
		index[w.ID] = i
		if w.Request.OverlapPolicy == job.OverlapSkip {
			exclusive = append(exclusive, w)
		} else {
			free = append(free, w)
		}
	}
	var failures []error
	note := func(done map[int64]executor.Started, err error) {
		for id, one := range done {
			started[index[id]] = one
		}
		failures = append(failures, err)
	}
	if len(free) > 0 {
		note(s.startGroup(ctx, now, ticket, free, false))
	}
	if len(exclusive) > 0 {
		note(s.startExclusive(ctx, now, ticket, exclusive))
	}
	return started, errors.Join(failures...)
}

// startGroup starts works in one transaction and tells what became of those
// that started or were skipped.
func (s *Executions) startGroup(ctx context.Context, now time.Time, ticket executor.Ticket, works []executor.Work, exclusive bool) (map[int64]executor.Started, error) {
	works = slices.SortedFunc(slices.Values(works), func(a, b executor.Work) int { return cmp.Compare(a.ID, b.ID) })
	var done map[int64]executor.Started
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		done = nil
		runnable, err := s.endUnwanted(ctx, tx, now, works)
		if err != nil {
			return err
		}
		these := starting{ticket: ticket, fresh: runnable.start, all: runnable.start, exclusive: exclusive}
		if ticket.Again {
			// What an earlier try has started was not refused then.
			these.all = works
		}
		if len(these.all) > 0 {
			if err := updateRunning(ctx, tx, now, these); err != nil {
				return err
			}
			if done, err = readStarted(ctx, tx, these); err != nil {
				return err
			}
		}
		for _, w := range runnable.skipped {
			if done == nil {
				done = map[int64]executor.Started{}
			}
			done[w.ID] = executor.Started{Skipped: execution.LimitOfRuns}
		}
		return nil
	})
	if err != nil && !isDuplicateSlot(err) {
		return nil, err
	}
	return done, err
}

// sorted are works by what becomes of them.
type sorted struct{ start, skipped []executor.Work }

// endUnwanted ends scheduled rows that must not start: those of inactive
// categories, and in the slow lane those of jobs with too many runs under way.
func (s *Executions) endUnwanted(ctx context.Context, tx *sql.Tx, now time.Time, works []executor.Work) (sorted, error) {
	active, err := lockActiveCategories(ctx, tx, works, func(w executor.Work) int64 { return w.CategoryID })
	if err != nil {
		return sorted{}, err
	}
	var slow []executor.Work
	for _, w := range works {
		if w.Lane == execution.Slow && w.Trigger == execution.Schedule && w.Attempt == 1 {
			slow = append(slow, w)
		}
	}
	var over map[int64]bool
	if len(slow) > 0 {
		if over, err = s.overLimit(ctx, tx, ids(slow, func(w executor.Work) int64 { return w.JobID })); err != nil {
			return sorted{}, err
		}
	}
	var result sorted
	var stopped []executor.Work
	for _, w := range works {
		switch {
		case w.Trigger == execution.Schedule && !active[w.CategoryID]:
			stopped = append(stopped, w)
		case w.Trigger == execution.Schedule && w.Attempt == 1 && over[w.JobID]:
			result.skipped = append(result.skipped, w)
		default:
			result.start = append(result.start, w)
		}
	}
	if err := endStopped(ctx, tx, now, stopped); err != nil {
		return sorted{}, err
	}
	result.skipped, err = endWorks(ctx, tx, now, result.skipped, execution.Skipped, execution.LimitOfRuns)
	return result, err
}

// starting is what one statement starts.
type starting struct {
	ticket    executor.Ticket
	fresh     []executor.Work // which may start
	all       []executor.Work // which an earlier try may have started, too
	exclusive bool            // they take their jobs' slots
}

// updateRunning names the key of the rows: by the index of what waits, which the
// engine may take where little does, the rows would be locked in another order
// than a second worker with the same message locks them.
//
// What an earlier try of the same ticket has started is started anew, under
// another fence and a fresh lease: that try may be minutes ago, and whoever has
// found its lease ended must not end the row any more. A try whose commit is
// still under way holds the rows' locks until it is seen.
func updateRunning(ctx context.Context, tx *sql.Tx, now time.Time, s starting) error {
	lease := newCase("id")
	for _, w := range s.all {
		lease.when(w.ID, utc(now.Add(w.Request.Timeout+execution.LeaseSlack)))
	}
	slot := "NULL"
	if s.exclusive {
		slot = "job_id"
	}
	var which []string
	var whichArgs []any
	if len(s.fresh) > 0 {
		which = append(which, `status IN ('pending', 'queued') AND not_before <= ?
		AND (id, attempt, revision) IN (`+tuples(len(s.fresh), 3)+")")
		whichArgs = append(whichArgs, utc(now))
		for _, w := range s.fresh {
			whichArgs = append(whichArgs, w.ID, w.Attempt, w.Revision)
		}
	}
	if s.ticket.Again {
		which = append(which, "status = 'running' AND claim_token = ?")
		whichArgs = append(whichArgs, s.ticket.Token[:])
	}
	idArgs := ids(s.all, func(w executor.Work) int64 { return w.ID })
	query := "UPDATE executions FORCE INDEX (PRIMARY) SET fence = fence + 1, claim_token = ?, lease_until = CAST(" + lease.end() + ` AS DATETIME(3)),
		started_at = COALESCE(started_at, ?), slot_job_id = ` + slot + `, resend_after = NULL, updated_at = ?, status = 'running'
		WHERE id IN (` + placeholders(len(idArgs)) + ") AND (" + strings.Join(which, " OR ") + ")"
	_, err := execSQL(ctx, tx, query, slices.Concat([]any{s.ticket.Token[:]}, lease.args, []any{utc(now), utc(now)}, idArgs, whichArgs)...)
	return err
}

func readStarted(ctx context.Context, q querier, s starting) (map[int64]executor.Started, error) {
	idArgs := ids(s.all, func(w executor.Work) int64 { return w.ID })
	type row struct {
		id    int64
		fence int
	}
	rows, err := queryAllSQL(ctx, q, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.fence)
		return r, err
	}, "SELECT id, fence FROM executions WHERE id IN ("+placeholders(len(idArgs))+") AND claim_token = ? AND status = 'running'", append(idArgs, s.ticket.Token[:])...)
	if err != nil {
		return nil, err
	}
	started := map[int64]executor.Started{}
	for _, r := range rows {
		started[r.id] = executor.Started{Fence: r.fence}
	}
	return started, nil
}

// endStopped cancels rows whose category is inactive. The category was read
// with the request, some seconds ago: a job that has moved since waits to be
// sent again.
func endStopped(ctx context.Context, tx *sql.Tx, now time.Time, works []executor.Work) error {
	if len(works) == 0 {
		return nil
	}
	args := ids(works, func(w executor.Work) int64 { return w.JobID })
	still, err := queryAllSQL(ctx, tx, scanInto[int64], `SELECT j.id FROM jobs j JOIN categories c ON c.id = j.category_id
		WHERE c.status = 'inactive' AND j.id IN (`+placeholders(len(args))+") ORDER BY j.id", args...)
	if err != nil {
		return err
	}
	works = slices.DeleteFunc(slices.Clone(works), func(w executor.Work) bool {
		_, stopped := slices.BinarySearch(still, w.JobID)
		return !stopped
	})
	_, err = endWorks(ctx, tx, now, works, execution.Cancelled, "category inactive")
	return err
}

// endWorks ends works that still wait for that attempt, without a call, and
// answers them.
func endWorks(ctx context.Context, tx *sql.Tx, now time.Time, works []executor.Work, status execution.Status, reason string) ([]executor.Work, error) {
	if len(works) == 0 {
		return nil, nil
	}
	named := newTuples("id", "attempt")
	for _, w := range works {
		named.add(w.ID, w.Attempt)
	}
	where, args := named.shortest()
	ended, err := endWaiting(ctx, tx, now, ending{status: status, reason: reason, where: where, args: args})
	return slices.DeleteFunc(slices.Clone(works), func(w executor.Work) bool { return !slices.Contains(ended, w.ID) }), err
}

// startExclusive starts rows that also take their jobs' slots. The slot's unique
// key is the lock: where another run holds it, the row ends as skipped. A row
// that waits for a retry holds its slot already. All are tried at once, and one
// by one only where one of them meets a held slot.
//
// A run that began while the job still allowed overlaps holds no slot; it is
// seen by its status.
func (s *Executions) startExclusive(ctx context.Context, now time.Time, ticket executor.Ticket, works []executor.Work) (map[int64]executor.Started, error) {
	done := map[int64]executor.Started{}
	var failures []error
	note := func(some map[int64]executor.Started, err error) {
		maps.Copy(done, some)
		failures = append(failures, err)
	}
	held, err := slotHolders(ctx, s.db, works)
	if err != nil {
		return nil, translate(err)
	}
	var open []executor.Work
	for _, w := range works {
		// A retry has begun and holds its slot: what runs beside it without one
		// began when overlaps were allowed.
		if held[w.JobID] == 0 || w.Attempt > 1 {
			open = append(open, w)
			continue
		}
		skipped, err := s.skip(ctx, now, w, held[w.JobID])
		note(skipped, err)
		if ticket.Again && err == nil && len(skipped) == 0 {
			open = append(open, w) // it may have been started before
		}
	}
	if len(open) == 0 {
		return done, errors.Join(failures...)
	}
	started, err := s.startGroup(ctx, now, ticket, open, true)
	if err == nil || !isDuplicateSlot(err) {
		note(started, err)
		return done, errors.Join(failures...)
	}
	for _, w := range open {
		started, err := s.startGroup(ctx, now, ticket, []executor.Work{w}, true)
		if isDuplicateSlot(err) {
			if held, err = slotHolders(ctx, s.db, []executor.Work{w}); err == nil {
				started, err = s.skip(ctx, now, w, held[w.JobID])
			}
			err = translate(err)
		}
		note(started, err)
	}
	return done, errors.Join(failures...)
}

// slotHolders tells which executions beside these keep their jobs from running,
// by job.
func slotHolders(ctx context.Context, q querier, works []executor.Work) (map[int64]int64, error) {
	jobs := ids(works, func(w executor.Work) int64 { return w.JobID })
	own := ids(works, func(w executor.Work) int64 { return w.ID })
	type row struct{ job, id int64 }
	rows, err := queryAllSQL(ctx, q, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.job, &r.id)
		return r, err
	}, "SELECT job_id, MIN(id) FROM executions WHERE job_id IN ("+placeholders(len(jobs))+`) AND status IN ('pending', 'queued', 'running')
		AND (slot_job_id IS NOT NULL OR status = 'running') AND id NOT IN (`+placeholders(len(own))+") GROUP BY job_id", slices.Concat(jobs, own)...)
	held := make(map[int64]int64, len(rows))
	for _, r := range rows {
		held[r.job] = r.id
	}
	return held, err
}

// skip ends a row whose job's slot is held, by an execution or, where that has
// just ended, nobody knows by which.
func (s *Executions) skip(ctx context.Context, now time.Time, work executor.Work, holder int64) (map[int64]executor.Started, error) {
	reason := "the previous run was still under way"
	if holder != 0 {
		reason = fmt.Sprintf("execution %d of this job was still running", holder)
	}
	var ended []int64
	err := inTx(ctx, s.db, func(tx *sql.Tx) (err error) {
		ended, err = endWaiting(ctx, tx, now, ending{
			status: execution.Skipped, reason: reason, where: "id = ? AND attempt = ? AND not_before <= ?",
			args: []any{work.ID, work.Attempt, utc(now)},
		})
		return err
	})
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	return map[int64]executor.Started{work.ID: {Skipped: reason}}, nil
}

// isDuplicateSlot recognises the one unique key that a start can meet. It sees
// the driver's error through translate's.
func isDuplicateSlot(err error) bool { return isDuplicate(err) }
