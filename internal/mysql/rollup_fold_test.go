package mysql_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// TestUnreadableOutcomesStopNothing puts what cannot be read between outcomes.
func TestUnreadableOutcomesStopNothing(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	storeForPlans(t, db)
	rollups := mysql.NewRollups(db)
	if _, err := rollups.Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	job := firstJob(t, db)
	if err := finishOne(t, db, job, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "\x01", "\x01\x02\x80", "\x07 of another version", "\x01\x02\x02\x02\x7f\x02"} {
		if _, err := db.Exec("INSERT INTO rollup_deltas (samples) VALUES (?)", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := finishOne(t, db, job, noon.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	require := func(when string) {
		t.Helper()
		totals, err := rollups.Totals(t.Context(), noon.Add(time.Hour), noon.Add(3*time.Hour))
		if err != nil || totals.Summary.Success != 2 {
			t.Errorf("%s: %+v, %v", when, totals.Summary.Outcomes, err)
		}
	}
	require("before a fold")
	if folded, err := rollups.Fold(t.Context()); err != nil || folded != 7 {
		t.Fatalf("%d were folded, %v", folded, err)
	}
	require("folded")
	// An empty list of samples can be read: there is nothing in it.
	looked, err := rollups.Repair(t.Context(), true)
	if err != nil || looked.Unread != 4 || looked.Hours != 0 {
		t.Errorf("a look: %+v, %v", looked, err)
	}
	if repaired, err := rollups.Repair(t.Context(), false); err != nil || repaired.Unread != 4 {
		t.Errorf("a repair: %+v, %v", repaired, err)
	}
	if again, err := rollups.Repair(t.Context(), false); err != nil || again.Unread != 0 {
		t.Errorf("another repair: %+v, %v", again, err)
	}
	require("repaired")
}

// finishOne ends a manual run of a job with success.
func finishOne(t *testing.T, db *sql.DB, job int64, at time.Time) error {
	t.Helper()
	result, err := db.Exec(`INSERT INTO executions (job_id, trigger_type, scheduled_for, status, fence, revision, not_before, started_at, created_at, updated_at)
		VALUES (?, 'manual', ?, 'running', 1, 1, ?, ?, ?, ?)`, job, at, at, at, at, at)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	_, err = mysql.NewExecutions(db).Finish(t.Context(), at, []execution.Finish{{
		ID: id, JobID: job, CategoryID: 1000, ScheduledFor: at, Fence: 1, Trigger: execution.Manual, Status: execution.Success, FirstStartedAt: at, Lane: execution.Fast,
		Attempt: execution.Attempt{ExecutionID: id, Attempt: 1, Fence: 1, StartedAt: at, EndedAt: at},
	}})
	return err
}
