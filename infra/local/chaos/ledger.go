package chaos

import (
	"context"
	"database/sql"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// row is an execution as the database holds it.
type row struct {
	id, jobID    int64
	status       execution.Status
	reason       string
	scheduledFor time.Time
	occurrence   *time.Time
	missedUntil  *time.Time
	attempt      int
}

// attemptKey names one attempt of an execution.
type attemptKey struct {
	execution int64
	attempt   int
}

// ledger is all that the database holds of the jobs' runs.
type ledger struct {
	rows []row
	// failed are the attempts that were recorded as failed or as lost with
	// their worker.
	failed map[attemptKey]string
}

func readLedger(ctx context.Context, db *sql.DB) (ledger, error) {
	l := ledger{failed: map[attemptKey]string{}}
	rows, err := db.QueryContext(ctx, "SELECT id, job_id, status, COALESCE(reason, ''), scheduled_for, occurrence_at, missed_until, attempt FROM executions ORDER BY id")
	if err != nil {
		return l, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.jobID, &r.status, &r.reason, &r.scheduledFor, &r.occurrence, &r.missedUntil, &r.attempt); err != nil {
			return l, err
		}
		l.rows = append(l.rows, r)
	}
	if err := rows.Err(); err != nil {
		return l, err
	}
	failures, err := db.QueryContext(ctx, "SELECT execution_id, attempt, error_kind FROM attempts WHERE error_kind IS NOT NULL")
	if err != nil {
		return l, err
	}
	defer func() { _ = failures.Close() }()
	for failures.Next() {
		var key attemptKey
		var kind string
		if err := failures.Scan(&key.execution, &key.attempt, &kind); err != nil {
			return l, err
		}
		l.failed[key] = kind
	}
	return l, failures.Err()
}

// Unsettled counts the rows that were due before an instant and have not ended.
func Unsettled(ctx context.Context, db *sql.DB, before time.Time) (n int, err error) {
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM executions WHERE status IN ('pending', 'queued', 'running') AND scheduled_for < ?",
		before.UTC()).Scan(&n)
	return n, err
}
