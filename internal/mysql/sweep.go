package mysql

import (
	"context"
	"database/sql"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// LostLeases lists running executions whose worker's lease has ended. The
// transition that follows compares the fence, so reading is enough here. One
// whose job or request is not there any more is not tried again.
func (s *Executions) LostLeases(ctx context.Context, now time.Time, limit int) ([]dispatch.Lost, error) {
	lost, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (l dispatch.Lost, err error) {
		var (
			delay   int64
			attempt int
			started time.Time
			leased  time.Time
		)
		err = rows.Scan(&l.ID, &l.JobID, &l.CategoryID, &l.ScheduledFor, &l.Fence, &l.Trigger, &attempt, &l.Lane, &started, &leased, &l.Host,
			&l.Retry.Attempts, &delay, &l.Retry.Backoff)
		l.Retry.Delay = time.Duration(delay) * time.Millisecond
		l.FirstStartedAt = started
		l.Attempt = execution.Attempt{ExecutionID: l.ID, Attempt: attempt, Fence: l.Fence, StartedAt: leased}
		return l, err
	}, `SELECT e.id, e.job_id, COALESCE(j.category_id, 0), e.scheduled_for, e.fence, e.trigger_type, e.attempt, e.lane, e.started_at,
		CASE WHEN e.attempt = 1 THEN e.started_at ELSE e.updated_at END, COALESCE(`+hostOfURL+`, ''),
		IF(j.id IS NULL, 0, COALESCE(r.retry_attempts, 0)), COALESCE(r.retry_delay_ms, 0), COALESCE(r.retry_backoff, 'fixed')
		FROM executions e LEFT JOIN job_requests r ON r.job_id = e.job_id AND r.revision = e.revision LEFT JOIN jobs j ON j.id = e.job_id
		WHERE e.status = 'running' AND e.lease_until < ? ORDER BY e.id LIMIT ?`, utc(now), limit)
	return lost, translate(err)
}
