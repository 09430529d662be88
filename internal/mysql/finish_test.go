package mysql_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// One row of a batch was taken from its worker meanwhile: the other outcomes
// take effect all the same, each once.
func TestABatchWithALateOutcomeRecordsTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.Now()
	var refs []execution.Ref
	for _, job := range []int64{1, 2, 3} {
		if _, err := w.db.ExecContext(t.Context(), `INSERT INTO job_requests (job_id, revision, method, url, timeout_ms, max_redirects, retry_attempts,
			retry_delay_ms, retry_backoff, overlap_policy, created_at) VALUES (?, 1, 'GET', 'https://example.com', 30000, 0, 0, 1000, 'fixed', 'allow', ?)`, job, now); err != nil {
			t.Fatal(err)
		}
		result, err := w.db.ExecContext(t.Context(), `INSERT INTO executions (job_id, trigger_type, scheduled_for, occurrence_at, status, fence, revision,
			not_before, started_at, created_at, updated_at) VALUES (?, 'schedule', ?, ?, 'running', 1, 1, ?, ?, ?, ?)`, job, now, now, now, now, now, now)
		if err != nil {
			t.Fatal(err)
		}
		id, err := result.LastInsertId()
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, execution.Ref{ID: id, Attempt: 1})
	}
	batch := make([]execution.Finish, len(refs))
	for i, ref := range refs {
		batch[i] = execution.Finish{
			ID: ref.ID, JobID: int64(i + 1), Fence: 1, Trigger: execution.Schedule, Lane: execution.Fast, Status: execution.Success, FirstStartedAt: now,
			Attempt: execution.Attempt{
				ExecutionID: ref.ID, Attempt: 1, Fence: 1, StartedAt: now, EndedAt: now.Add(time.Second),
				Response: &execution.Response{Status: 200},
			},
		}
	}
	if _, err := w.db.ExecContext(t.Context(), "UPDATE executions SET fence = 2 WHERE id = ?", refs[1].ID); err != nil {
		t.Fatal(err)
	}
	finished, err := w.store.Finish(t.Context(), now.Add(time.Second), batch)
	if err != nil {
		t.Fatal(err)
	}
	done := execution.Finished{Applied: true, Status: execution.Success}
	if diff := cmp.Diff([]execution.Finished{done, {}, done}, finished); diff != "" {
		t.Errorf("what became of the batch (-want +got):\n%s", diff)
	}
	var running, late, counted int
	if err := w.db.QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM executions WHERE status = 'running' AND fence = 2),
		(SELECT SUM(late) FROM attempts), (SELECT SUM(total_executions) FROM job_stats)`).Scan(&running, &late, &counted); err != nil {
		t.Fatal(err)
	}
	if running != 1 || late != 1 || counted != 2 {
		t.Errorf("%d rows run on, %d attempts are late, %d runs are counted; want 1, 1 and 2", running, late, counted)
	}
}
