package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

func always() bool { return true }

// ranDaily stores a success a day for a job, the newest some days before noon.
func (w *world) ranDaily(jobID int64, newest, count int) {
	w.t.Helper()
	for i := range count {
		at := noon.AddDate(0, 0, -newest-i)
		result, err := w.db.ExecContext(w.t.Context(), `INSERT INTO executions (job_id, trigger_type, scheduled_for, occurrence_at, status, fence, revision, not_before,
			started_at, ended_at, created_at, updated_at) VALUES (?, 'schedule', ?, ?, 'success', 1, 1, ?, ?, ?, ?, ?)`,
			jobID, at, at, at, at, at.Add(time.Second), at, at)
		if err != nil {
			w.t.Fatal(err)
		}
		id, err := result.LastInsertId()
		if err != nil {
			w.t.Fatal(err)
		}
		w.exec("INSERT INTO attempts (execution_id, attempt, fence, started_at, ended_at) VALUES (?, 1, 1, ?, ?)", id, at, at)
	}
}

func (w *world) kept(jobID int64) string {
	w.t.Helper()
	return w.text("SELECT CONCAT(COUNT(*), ' since ', DATE(MIN(scheduled_for))) FROM executions WHERE job_id = ?", jobID)
}

// daily makes a job whose runs ahead are none of the test's.
func (w *world) daily(name string) int64 {
	w.t.Helper()
	return w.create(w.input(name, w.work.ID)).ID
}

func TestPurgeKeepsDaysOrRunsWhicheverIsMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	busy, seldom, young, long := w.daily("Busy"), w.daily("Seldom"), w.daily("Young"), w.daily("Long ago")
	w.ranDaily(busy, 1, 60)
	w.ranDaily(seldom, 25, 8)
	w.ranDaily(young, 0, 5)
	w.ranDaily(long, 100, 20)
	for days, status := range map[int]string{60: "running", 59: "queued", 58: "pending"} {
		w.exec("UPDATE executions SET status = ?, ended_at = NULL WHERE job_id = ? AND scheduled_for = ?", status, busy, noon.AddDate(0, 0, -days))
	}
	store := mysql.NewRollups(w.db)
	if _, err := store.Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	summed := w.text("SELECT SUM(success) FROM rollups")

	retention := mysql.NewRetention(w.db)
	removed, err := retention.Purge(t.Context(), noon, mysql.Keep{Days: 30, Runs: 10}, always)
	if err != nil {
		t.Fatal(err)
	}
	// Of the busy job 30 days are kept, and what runs or waits; of the others 10 runs.
	got := []any{removed, w.kept(busy), w.kept(seldom), w.kept(young), w.kept(long)}
	want := []any{27 + 10, "33 since 2025-12-02", "8 since 2025-12-30", "5 since 2026-01-27", "10 since 2025-10-14"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("removed and kept (-want +got):\n%s", diff)
	}
	if left := w.text("SELECT COUNT(*) FROM attempts a LEFT JOIN executions e ON e.id = a.execution_id WHERE e.id IS NULL"); left != "0" {
		t.Errorf("%s attempts of nothing are left", left)
	}
	if after := w.text("SELECT SUM(success) FROM rollups"); after != summed {
		t.Errorf("the summaries say %s, and said %s", after, summed)
	}
	if before := w.text("SELECT purged_before FROM job_stats WHERE job_id = ?", busy); before != "2025-12-31T13:00:00Z" {
		t.Errorf("the busy job's history is whole since %s", before)
	}
	// A recount leaves alone what is no longer there to be counted.
	done, err := store.Repair(t.Context(), false)
	if err != nil || done.Hours != 0 {
		t.Errorf("repair changed %d hours: %v, %v", done.Hours, done.Faults, err)
	}
	if removed, err := retention.Purge(t.Context(), noon, mysql.Keep{Days: 30, Runs: 10}, always); err != nil || removed != 0 {
		t.Errorf("once more: %d, %v", removed, err)
	}
}

// Summaries go later than the history, and a repair does not bring them back
// where a seldom job's history is older than they.
func TestPurgeExpiresSummaries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seldom, busy := w.daily("Seldom"), w.daily("Busy")
	w.ranDaily(seldom, 390, 20)
	w.ranDaily(busy, 1, 5)
	store := mysql.NewRollups(w.db)
	if _, err := store.Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	retention := mysql.NewRetention(w.db)
	keep := mysql.Keep{Days: 30, Runs: 100, SummaryDays: 400}
	if removed, err := retention.Purge(t.Context(), noon, keep, always); err != nil || removed != 0 {
		t.Fatal(removed, err)
	}
	const left = "SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM rollups), (SELECT COUNT(*) FROM rollup_totals WHERE span = 'hour'), " +
		"(SELECT COUNT(*) FROM rollup_totals WHERE span = 'category_day'), (SELECT COUNT(*) FROM rollup_totals WHERE start < ?))"
	limit := noon.Truncate(24*time.Hour).AddDate(0, 0, -400)
	for range 2 {
		if got := w.text(left, limit); got != "16 16 16 0" {
			t.Errorf("left are %s", got)
		}
		if done, err := store.Repair(t.Context(), false); err != nil || done.Hours != 0 {
			t.Errorf("a repair changed %d hours: %v", done.Hours, err)
		}
	}
	if left := w.text("SELECT COUNT(*) FROM executions"); left != "25" {
		t.Errorf("%s executions are left, want all 25", left)
	}
}

// A walk that has no time for more goes on where it was, and comes round again.
func TestPurgeGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var jobs []int64
	for i := range 3 {
		jobs = append(jobs, w.daily(fmt.Sprintf("Walked %d", i)))
		w.ranDaily(jobs[i], 40, 4)
	}
	retention := mysql.NewRetention(w.db)
	keep := mysql.Keep{Days: 30, Runs: 100_000} // which makes steps of one job
	if _, err := retention.Purge(t.Context(), noon, keep, always); err != nil {
		t.Fatal(err)
	}
	if at := w.text("SELECT position FROM upkeep WHERE name = 'purge'"); at != fmt.Sprint(jobs[0]) {
		t.Errorf("the walk is at %s, want %d", at, jobs[0])
	}
	w.exec("UPDATE upkeep SET position = ? WHERE name = 'purge'", jobs[0])
	keep.Runs = 1
	if n, err := retention.Purge(t.Context(), noon, keep, func() bool { return false }); err != nil || n != 0 {
		t.Errorf("without time: %d, %v", n, err)
	}
	if at := w.text("SELECT position FROM upkeep WHERE name = 'purge'"); at != fmt.Sprint(jobs[1]-1) {
		t.Errorf("the walk is at %s, want %d", at, jobs[1]-1)
	}
	for range 2 {
		if _, err := retention.Purge(t.Context(), noon, keep, always); err != nil {
			t.Fatal(err)
		}
	}
	if left := w.text("SELECT COUNT(*) FROM executions"); left != "3" {
		t.Errorf("%s are left, want 3", left)
	}
	if _, err := mysql.NewRollups(w.db).Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

func TestRemoveBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Removed", nil)
	w.run(10 * time.Minute)
	w.tick()
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{Status: new("inactive")}, nil); err != nil {
		t.Fatal(err)
	}
	due := w.text("SELECT COUNT(*) FROM executions WHERE scheduled_for < ? AND status NOT IN ('pending', 'queued', 'running')", w.Now().Truncate(time.Minute))
	before := w.text("SELECT GROUP_CONCAT(id ORDER BY id) FROM executions WHERE scheduled_for >= ?", w.Now().Truncate(time.Minute))
	retention := mysql.NewRetention(w.db)
	var all sync.WaitGroup
	var mu sync.Mutex
	removed := 0
	for range 3 { // at once
		all.Go(func() {
			n, complete, err := retention.RemoveBefore(context.WithoutCancel(t.Context()), w.Now().Truncate(time.Minute), always)
			if err != nil || !complete {
				t.Errorf("remove: complete %t, %v", complete, err)
			}
			mu.Lock()
			defer mu.Unlock()
			removed += n
		})
	}
	all.Wait()
	if fmt.Sprint(removed) != due || removed < 5 {
		t.Errorf("%d were removed, want %s", removed, due)
	}
	if after := w.text("SELECT GROUP_CONCAT(id ORDER BY id) FROM executions"); after != before {
		t.Errorf("left are %s, want %s", after, before)
	}
	if n, complete, err := retention.RemoveBefore(t.Context(), w.Now(), func() bool { return false }); n != 0 || complete || err != nil {
		t.Errorf("without time: %d, %t, %v", n, complete, err)
	}
}

func TestPurgeExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, days := range []int{-40, -10, 1} {
		at := noon.AddDate(0, 0, days)
		w.exec("INSERT INTO sessions (id, user_id, nonce, refresh_hash, created_at, rotated_at, expires_at) VALUES (?, 1, '', '', ?, ?, ?)", i+1, at, at, at)
		w.exec("INSERT INTO idempotency_keys (user_id, idem_key, request_hash, locked_until, expires_at) VALUES (?, 'k', '', ?, ?)", i+1, at, at)
		w.exec("INSERT INTO audit_log (at, request_id, address, action, entity, entity_name) VALUES (?, '', '', '', '', '')", at)
		w.exec("INSERT INTO rate_limits (bucket, ends_at, hits) VALUES (?, ?, 1)", fmt.Sprintf("%016d", i), at)
	}
	removed, err := mysql.NewRetention(w.db).PurgeExpired(t.Context(), noon, noon.AddDate(0, 0, -20))
	left := w.text("SELECT CONCAT((SELECT COUNT(*) FROM sessions), ' ', (SELECT COUNT(*) FROM idempotency_keys), ' ', (SELECT COUNT(*) FROM rate_limits), ' ', (SELECT COUNT(*) FROM audit_log))")
	if err != nil || removed != 6 || left != "2 1 1 2" {
		t.Errorf("removed %d, left %s: %v", removed, left, err)
	}
}

// TestPurgeCutOffAnywhere ends a purge before each of its statements in turn, as
// the end of its process does: nothing is half removed or half counted, and the
// next one goes on.
func TestPurgeCutOffAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	aged, seldom := w.daily("Aged"), w.daily("Seldom")
	w.ranDaily(aged, 1, 60)
	w.ranDaily(seldom, 40, 15)
	if _, err := mysql.NewRollups(w.db).Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := mysql.NewHistory(w.db).CountDays(t.Context(), noon, always); err != nil {
		t.Fatal(err)
	}
	h := w.hook()
	db := sql.OpenDB(h)
	t.Cleanup(func() { _ = db.Close() })
	sent := 0
	for cut, done := 1, false; !done; cut++ {
		ctx, cancel := context.WithCancel(t.Context())
		sent = 0
		h.set(func(string) {
			if sent++; sent == cut {
				cancel()
			}
		}, nil)
		_, err := mysql.NewRetention(db).Purge(ctx, noon, mysql.Keep{Days: 30, Runs: 10}, always)
		cancel()
		if done = sent < cut; done == (err != nil) {
			t.Fatalf("cut off before statement %d of %d: %v", cut, sent, err)
		}
		got := w.text(`SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM executions e LEFT JOIN attempts a ON a.execution_id = e.id WHERE a.execution_id IS NULL),
			(SELECT COUNT(*) FROM attempts a LEFT JOIN executions e ON e.id = a.execution_id WHERE e.id IS NULL),
			(SELECT SUM(executions) FROM history_days) - (SELECT COUNT(*) FROM executions), (SELECT SUM(executions) FROM history_hours) - (SELECT COUNT(*) FROM executions))`)
		if got != "0 0 0 0" {
			t.Errorf("cut off before statement %d: %s executions without attempts, attempts without executions, and more in days and hours than there are", cut, got)
		}
	}
	if got := w.kept(aged) + ", " + w.kept(seldom); got != "30 since 2026-01-01, 10 since 2025-12-13" {
		t.Errorf("kept are %s", got)
	}
}

// TestPurgeWaitsForNoOther holds rows as claims, starts and finishes do while a
// purge removes most of a small history, of which an engine might rather read
// the whole than look up what is named.
func TestPurgeWaitsForNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	aged, young := w.daily("Aged"), w.daily("Young")
	w.ranDaily(young, 0, 5)
	w.ranDaily(aged, 1, 400)
	w.exec("ANALYZE TABLE executions, attempts, job_stats")
	if _, err := mysql.NewRollups(w.db).Repair(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := mysql.NewHistory(w.db).CountDays(t.Context(), noon, always); err != nil {
		t.Fatal(err)
	}
	held, err := w.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback() }()
	id := w.text("SELECT MAX(id) FROM executions WHERE job_id = ?", young)
	for _, query := range []string{
		"UPDATE executions SET attempt = attempt + 1 WHERE id = ?",
		"UPDATE attempts SET fence = fence + 1 WHERE execution_id = ?",
		"INSERT INTO executions (job_id, trigger_type, scheduled_for, status, revision, not_before, created_at, updated_at) SELECT job_id, 'manual', scheduled_for, 'pending', 1, not_before, created_at, updated_at FROM executions WHERE id = ?",
	} {
		if _, err := held.ExecContext(t.Context(), query, id); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	removed, err := mysql.NewRetention(w.db).Purge(ctx, noon, mysql.Keep{Days: 30, Runs: 1}, always)
	if err != nil || removed != 370 {
		t.Errorf("removed %d: %v", removed, err)
	}
}
