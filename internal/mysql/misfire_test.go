package mysql_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// However long nothing ran, a job that catches up makes a bounded number of calls,
// oldest first, and the rest is told in one row.
func TestCatchingUpIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Catches up", func(in *job.Input) {
		in.CronPattern, in.MisfirePolicy = new("*/5 * * * *"), new("fire_all")
	})
	w.at(24*time.Hour + minute) // 12:05 to 11:55 of the next day are missed: 287
	report := w.tick()
	w.deliver()
	// 12:00 is a minute late, and 12:05 is ahead.
	w.want(j.ID, map[string]int{"success": dispatch.MaxCatchUp + 1, "missed": 1, "queued": 1}, dispatch.MaxCatchUp+1)
	if report.Missed != 1 || report.Claimed != dispatch.MaxCatchUp+2 {
		t.Errorf("%+v", report)
	}
	got := w.text("SELECT CONCAT(DATE_FORMAT(scheduled_for, '%d %H:%i'), ', ', DATE_FORMAT(missed_until, '%d %H:%i'), ', ', missed_count) FROM executions WHERE status = 'missed'")
	if want := fmt.Sprintf("31 20:25, 01 11:55, %d", 287-dispatch.MaxCatchUp); got != want {
		t.Errorf("summed up as %s, want %s", got, want)
	}
	// They are the oldest; one after another is up to the workers.
	slices.SortFunc(w.calls, func(a, b executor.Work) int { return a.ScheduledFor.Compare(b.ScheduledFor) })
	for i, call := range w.calls[:dispatch.MaxCatchUp] {
		if want := noon.Add(time.Duration(i+1) * 5 * time.Minute); !call.ScheduledFor.Equal(want) {
			t.Fatalf("call %d is for %s, want %s", i+1, call.ScheduledFor, want)
		}
	}
}

// A summary whose oldest instants have rows of their own stands for the others.
func TestASummaryLeavesOutWhatHasARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Claimed before", func(in *job.Input) { in.MisfirePolicy = new("skip") })
	beside := w.minutely("Beside it", func(in *job.Input) { in.MisfirePolicy = new("skip") })
	w.run(62 * time.Second)
	// As though 12:01, which ran, and 12:02 to 12:04, which wait, were due once more.
	w.exec("UPDATE jobs SET next_run_at = ? WHERE id = ?", noon.Add(time.Minute), j.ID)
	w.messages = nil
	w.at(10*time.Minute + second)
	w.tick()
	ahead := []string{"12:08 queued", "12:09 queued", "12:10 queued", "12:11 queued", "12:12 queued", "12:13 queued", "12:14 queued"}
	want := append([]string{"12:01 success", "12:02 queued", "12:03 queued", "12:04 queued", "12:05-12:08 missed"}, ahead[1:]...)
	w.wantRecorded(j.ID, want...)
	w.wantRecorded(beside.ID, want...)
	if got := w.text("SELECT GROUP_CONCAT(missed_count) FROM executions WHERE status = 'missed'"); got != "4,4" {
		t.Errorf("%s are counted, want 4 of each", got)
	}
}

// An executor that has one connection makes do with it, whatever it is given.
func TestOneConnectionIsEnoughForTenMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 6 {
		w.minutely(fmt.Sprint("Plain ", i), nil)
		w.minutely(fmt.Sprint("Exclusive ", i), func(in *job.Input) { in.OverlapPolicy = new("skip") })
		w.minutely(fmt.Sprint("Failing ", i), func(in *job.Input) { in.RetryAttempts, in.RetryDelay = new(int64(1)), new(int64(0)) })
	}
	w.exec("UPDATE jobs SET lane = 'slow' WHERE name LIKE 'Plain %'")
	w.answer = func(work executor.Work) execution.Attempt {
		if work.Attempt == 1 && len(work.JobName) > 7 && work.JobName[:7] == "Failing" {
			return failing(execution.ErrReset)(work)
		}
		return execution.Attempt{Response: &execution.Response{Status: 200}}
	}
	options := mysqltest.Options(t)
	if err := w.db.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&options.Database); err != nil {
		t.Fatal(err)
	}
	options.MaxConns = 1
	db, err := mysql.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	store := mysql.NewExecutions(db).WithKeys(w.ring)
	sends := dispatch.New(store, w, w, w.Now, slog.New(slog.DiscardHandler))
	w.executor = executor.New(store, sends, w, w, slog.New(slog.DiscardHandler))

	w.at(4 * time.Minute) // four instants of each are due
	w.mu.Lock()
	var bodies []string
	for _, m := range w.messages {
		bodies = append(bodies, m.body)
	}
	w.messages = nil
	w.mu.Unlock()
	if len(bodies) < 10 {
		t.Fatalf("%d messages, want ten at least", len(bodies))
	}
	for batch := range slices.Chunk(bodies, 10) {
		for _, err := range w.executor.Run(t.Context(), batch) {
			if err != nil {
				t.Errorf("a message failed: %v", err)
			}
		}
	}
	w.pass(time.Second)
	w.deliver() // the retries
	if got := w.text("SELECT CONCAT(SUM(status = 'success'), ' of ', COUNT(*)) FROM executions WHERE status <> 'skipped'"); got[:3] == "0 o" {
		t.Errorf("successes: %s", got)
	}
	if got := w.text("SELECT COUNT(*) FROM executions WHERE status NOT IN ('success', 'skipped')"); got != "0" {
		t.Errorf("%s executions did not come to their end", got)
	}
}
