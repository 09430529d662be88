package mysql_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// TestSummariesWalkIndexes asks the engine how it carries out what the
// dashboard reads, folds and purges.
func TestSummariesWalkIndexes(t *testing.T) {
	t.Parallel()
	db, check := watchPlans(t)
	storeForPlans(t, db)
	rollups, retention := mysql.NewRollups(db), mysql.NewRetention(db)
	if _, err := rollups.Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ANALYZE TABLE rollups, rollup_totals"); err != nil {
		t.Fatal(err)
	}
	day, job := noon.Truncate(24*time.Hour), firstJob(t, db)
	for name, act := range map[string]func() error{
		"a day":   func() error { _, err := rollups.Totals(t.Context(), noon.Add(-24*time.Hour), noon); return err },
		"a month": func() error { _, err := rollups.Totals(t.Context(), noon.AddDate(0, 0, -30), noon); return err },
		"hours": func() error {
			_, err := rollups.Timeline(t.Context(), []time.Time{noon.Add(-24 * time.Hour), noon})
			return err
		},
		"days": func() error {
			_, err := rollups.Timeline(t.Context(), []time.Time{day.AddDate(0, 0, -5), day})
			return err
		},
		"a job":     func() error { _, err := rollups.OfJob(t.Context(), job, noon.AddDate(0, 0, -30), noon); return err },
		"under way": func() error { _, err := rollups.UnderWay(t.Context(), 0, day, noon, noon); return err },
		"of a job":  func() error { _, err := rollups.UnderWay(t.Context(), job, day, noon, noon); return err },
		"recent":    func() error { _, err := rollups.Recent(t.Context(), noon, 10); return err },
		"upcoming":  func() error { _, err := rollups.Upcoming(t.Context(), noon, 10); return err },
		"failing":   func() error { _, err := rollups.Failing(t.Context(), 10); return err },
		"a purge": func() error {
			_, err := retention.Purge(t.Context(), noon, mysql.Keep{Days: 10, Runs: 1}, always)
			return err
		},
		"a removal": func() error {
			_, _, err := retention.RemoveBefore(t.Context(), noon.AddDate(0, 0, -9), always)
			return err
		},
		"a recount":   func() error { _, err := rollups.Repair(t.Context(), true); return err },
		"what is due": func() error { return foldOne(t, db, rollups, job) },
	} {
		check(name, act)
	}
}

// foldOne ends a run of a job, and folds that.
func foldOne(t *testing.T, db *sql.DB, rollups *mysql.Rollups, job int64) error {
	t.Helper()
	now := noon.Add(time.Hour)
	result, err := db.Exec(`INSERT INTO executions (job_id, trigger_type, scheduled_for, status, fence, revision, not_before, started_at, created_at, updated_at)
		VALUES (?, 'manual', ?, 'running', 1, 1, ?, ?, ?, ?)`, job, now, now, now, now, now)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	done, err := mysql.NewExecutions(db).Finish(t.Context(), now, []execution.Finish{{
		ID: id, JobID: job, ScheduledFor: now, Fence: 1, Trigger: execution.Manual, Status: execution.Success, FirstStartedAt: now, Lane: execution.Fast,
		Attempt: execution.Attempt{ExecutionID: id, Attempt: 1, Fence: 1, StartedAt: now, EndedAt: now},
	}})
	if err != nil || !done[0].Applied {
		return fmt.Errorf("finish: %+v, %w", done, err)
	}
	folded, err := rollups.Fold(t.Context())
	if err == nil && folded != 1 {
		err = fmt.Errorf("%d rows were folded", folded)
	}
	return err
}
