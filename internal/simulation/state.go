package simulation

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/schedule"
)

// snapshot is the database as it was last seen.
type snapshot struct {
	rows       map[int64]*row
	jobRows    map[int64]*jobRow
	categoryUp map[int64]bool
	// changed is when the status of a category last changed.
	changed  map[int64]time.Time
	requests map[requestKey]request
	attempts map[attemptKey]attemptRow
}

type row struct {
	id, job         int64
	trigger         execution.Trigger
	status          execution.Status
	attempt         int
	revision        int
	fence           int
	scheduled       time.Time
	occurrence      sql.Null[time.Time]
	notBefore       time.Time
	lease           sql.Null[time.Time]
	slot            sql.Null[int64]
	missedUntil     sql.Null[time.Time]
	missedCount     sql.Null[int64]
	reason, failure sql.Null[string]
	resend          sql.Null[time.Time]
	resends         int
	token           string // of who started it last
	lane            execution.Lane
}

func (r *row) String() string {
	return fmt.Sprintf("execution %d of job %d (%s for %s, %s, attempt %d, fence %d, revision %d, %s)", r.id, r.job, r.trigger,
		clockTime(r.scheduled), r.status, r.attempt, r.fence, r.revision, r.reason.V)
}

type jobRow struct {
	id, category  int64
	active        bool
	deleted       bool
	pattern, zone string
	version       int
	revision      int
	next          sql.Null[time.Time]
	updated       time.Time
	lane          execution.Lane
	// failed: the system has stopped it, for that reason.
	failed bool
	reason sql.Null[string]
}

// countsFrom is since when, or until when, a job that is to follow its category
// has anything due.
func (s snapshot) countsFrom(j *jobRow) time.Time {
	since := s.changed[j.category]
	if s.categoryUp[j.category] && j.updated.After(since) {
		since = j.updated
	}
	return since
}

// unscheduled reports an active job of an active category that has yet to get
// its next run.
func (s snapshot) unscheduled(j *jobRow) bool {
	return j.active && !j.deleted && !j.next.Valid && s.categoryUp[j.category]
}

// schedule is the job's, also where a poisoned row can no longer be read.
func (j *jobRow) schedule() *schedule.Schedule {
	parsed, err := schedule.Parse(strings.TrimPrefix(j.pattern, lost), strings.TrimPrefix(j.zone, lost))
	if err != nil {
		panic(err) // people's patterns were checked
	}
	return parsed
}

type requestKey struct {
	job      int64
	revision int
}

type request struct {
	retries int
	skip    bool
	timeout time.Duration
	created time.Time
}

type attemptKey struct {
	execution      int64
	attempt, fence int
}

// attemptRow is the record of an attempt that was not late.
type attemptRow struct {
	failure sql.Null[string]
	// again: it is recorded as late, too.
	again bool
}

// alone reports whether a running row must not run beside another of its job. A
// replay follows its job's rule of when it starts, and has the slot where that
// forbids it.
func (s snapshot) alone(r *row) bool {
	if r.trigger == execution.Replay {
		return r.slot.Valid
	}
	return s.requests[requestKey{r.job, r.revision}].skip
}

func (s *simulation) look(ctx context.Context) (now snapshot, err error) {
	now = snapshot{
		rows: map[int64]*row{}, jobRows: map[int64]*jobRow{}, categoryUp: map[int64]bool{}, changed: map[int64]time.Time{},
		requests: map[requestKey]request{}, attempts: map[attemptKey]attemptRow{},
	}
	read := func(query string, scan func(*sql.Rows) error) {
		if err != nil {
			return
		}
		var rows *sql.Rows
		if rows, err = s.plain.QueryContext(ctx, query); err != nil {
			return
		}
		defer rows.Close()
		for rows.Next() {
			if err = scan(rows); err != nil {
				return
			}
		}
		err = rows.Err()
	}
	read(`SELECT id, job_id, trigger_type, status, attempt, revision, fence, scheduled_for, occurrence_at, not_before, lease_until, slot_job_id,
		missed_until, missed_count, reason, error_kind, resend_after, resends, COALESCE(HEX(claim_token), ''), lane FROM executions`, func(rows *sql.Rows) error {
		r := &row{}
		err := rows.Scan(&r.id, &r.job, &r.trigger, &r.status, &r.attempt, &r.revision, &r.fence, &r.scheduled, &r.occurrence, &r.notBefore,
			&r.lease, &r.slot, &r.missedUntil, &r.missedCount, &r.reason, &r.failure, &r.resend, &r.resends, &r.token, &r.lane)
		now.rows[r.id] = r
		return err
	})
	read(`SELECT id, category_id, status = 'active', deleted_at IS NOT NULL, cron_pattern, timezone, version, revision, next_run_at, updated_at,
		lane, status = 'failed', status_reason FROM jobs`, func(rows *sql.Rows) error {
		j := &jobRow{}
		err := rows.Scan(&j.id, &j.category, &j.active, &j.deleted, &j.pattern, &j.zone, &j.version, &j.revision, &j.next, &j.updated,
			&j.lane, &j.failed, &j.reason)
		now.jobRows[j.id] = j
		return err
	})
	read("SELECT id, status = 'active', status_at FROM categories", func(rows *sql.Rows) error {
		var id int64
		var up bool
		var changed time.Time
		err := rows.Scan(&id, &up, &changed)
		now.categoryUp[id], now.changed[id] = up, changed
		return err
	})
	read("SELECT job_id, revision, retry_attempts, overlap_policy = 'skip', timeout_ms, created_at FROM job_requests", func(rows *sql.Rows) error {
		var k requestKey
		var r request
		var milliseconds int64
		err := rows.Scan(&k.job, &k.revision, &r.retries, &r.skip, &milliseconds, &r.created)
		r.timeout = time.Duration(milliseconds) * time.Millisecond
		now.requests[k] = r
		return err
	})
	read(`SELECT a.execution_id, a.attempt, a.fence, a.error_kind, EXISTS(SELECT 1 FROM attempts b WHERE b.execution_id = a.execution_id
		AND b.attempt = a.attempt AND b.fence = a.fence AND b.late = 1 AND b.started_at = a.started_at AND b.ended_at = a.ended_at)
		FROM attempts a WHERE a.late = 0`, func(rows *sql.Rows) error {
		var k attemptKey
		var a attemptRow
		err := rows.Scan(&k.execution, &k.attempt, &k.fence, &a.failure, &a.again)
		now.attempts[k] = a
		return err
	})
	return now, err
}
