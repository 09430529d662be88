package mysql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// Two instances over one database: claims and runs, which change nothing else of
// the jobs, move them in the lists by next run and by last run, of which the other
// instance remembers places.
func TestNoInstanceListsByRunsThatHaveMovedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lists := runLists{w, mysql.NewJobs(w.db), mysql.NewRollups(w.db)}
	w.crowd(2200, w.work.ID)
	w.exec("UPDATE jobs SET next_run_at = DATE_ADD(?, INTERVAL id % 700 + 600 MINUTE) WHERE id % 7 > 1", noon)
	w.exec("INSERT INTO job_stats (job_id, last_run_at) SELECT id, IF(id % 9 > 1, DATE_SUB(?, INTERVAL id % 600 + 100 MINUTE), NULL) FROM jobs", noon)
	var minutely []job.Job
	for n := range 9 {
		minutely = append(minutely, w.minutely(fmt.Sprintf("Minutely %d", n), nil))
	}
	hourly, err := w.jobs.Create(t.Context(), w.input("Hourly", w.work.ID), 1)
	if err != nil {
		t.Fatal(err)
	}
	// The jobs that a claim moves stand far behind their next run in the index.
	w.exec("UPDATE jobs SET cron_pattern = '0 0 1 1 *', next_run_at = DATE_ADD(?, INTERVAL 20 SECOND) WHERE id IN (?, ?, ?)", w.Now(),
		minutely[0].ID, minutely[1].ID, minutely[2].ID)
	var oldest int64 // of the runs
	if err := w.db.QueryRow("SELECT job_id FROM job_stats WHERE last_run_at IS NOT NULL ORDER BY last_run_at LIMIT 1").Scan(&oldest); err != nil {
		t.Fatal(err)
	}
	runNow := func(id int64) {
		if _, err := w.dispatcher.RunNow(t.Context(), id, 1); err != nil {
			t.Fatal(err)
		}
		w.deliver()
	}
	for _, step := range []struct {
		name string
		act  func()
	}{
		{"nothing", func() {}},
		{"a claim", func() { w.tick() }},
		{"runs", func() { w.run(70 * time.Second) }},
		{"a fold", lists.fold},
		{"nothing after it", func() {}},
		{"another claim", func() { w.tick() }},
		{"a first run", func() { runNow(hourly.ID) }},
		{"as many runs as a fold takes away", func() { lists.fold(); runNow(oldest) }},
		{"a pause of the category", func() {
			inactive := job.CategoryInactive
			if _, err := w.categories.Patch(t.Context(), w.work.ID, job.CategoryInput{Status: new(string(inactive))}, nil); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				w.tick()
			}
		}},
	} {
		lists.require("before " + step.name)
		step.act()
		lists.require(step.name)
	}
}

// runLists is an instance that lists jobs by their runs.
type runLists struct {
	*world
	list    *mysql.Jobs
	rollups *mysql.Rollups
}

func (l runLists) fold() {
	for {
		folded, err := l.rollups.Fold(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		if folded == 0 {
			return
		}
	}
}

// require compares pages with what is stored, some of which are read from places
// that the ones before have left.
func (l runLists) require(when string) {
	l.t.Helper()
	for _, sort := range []struct {
		by         job.Sort
		last, keys string
	}{
		{job.SortLastRunAt, "s.last_run_at IS NULL", "s.last_run_at %[1]s, j.id %[1]s"},
		{job.SortNextRunAt, "j.next_run_at IS NULL", "LEAST(j.next_run_at, COALESCE(w.at, j.next_run_at)) %[1]s, j.id %[1]s"},
	} {
		for _, descending := range []bool{false, true} {
			way := "ASC"
			if descending {
				way = "DESC"
			}
			rows, err := l.db.Query(`SELECT j.id FROM jobs j LEFT JOIN job_stats s ON s.job_id = j.id LEFT JOIN
				(SELECT job_id, MIN(scheduled_for) AS at FROM executions WHERE status IN ('pending', 'queued') AND trigger_type = 'schedule' AND scheduled_for > ? GROUP BY job_id) AS w
				ON w.job_id = j.id WHERE j.deleted_at IS NULL ORDER BY `+sort.last+", "+fmt.Sprintf(sort.keys, way), l.Now())
			if err != nil {
				l.t.Fatal(err)
			}
			stored, err := scanned[int64](rows)
			if err != nil {
				l.t.Fatal(err)
			}
			for _, offset := range []int{0, 5, 700, 1020, 1045, 1030, 1300, 1320, 1500, 1510, 1740, 1755, 1990, len(stored) - 15} {
				listed, total, err := l.list.ListJobs(l.t.Context(), job.Filter{Sort: sort.by, Descending: descending, Offset: offset, Limit: 30}, l.Now())
				if err != nil || total != len(stored) {
					l.t.Fatalf("%s: from %d of %d: total %d: %v", when, offset, len(stored), total, err)
				}
				var ids []int64
				for _, j := range listed {
					ids = append(ids, j.ID)
				}
				if diff := cmp.Diff(stored[offset:min(offset+30, len(stored))], ids); diff != "" {
					l.t.Fatalf("%s: by %s, descending %t, from %d (-stored +listed):\n%s", when, sort.by, descending, offset, diff)
				}
			}
		}
	}
}

// A page by next run is told from two statements: a claim between them, which
// moves in the index what the first has told, takes no job from it.
func TestAClaimTakesNoJobFromAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 40 {
		w.minutely(fmt.Sprintf("Minutely %02d", n), nil)
	}
	hooks, db := w.hooked()
	list := mysql.NewJobs(db)
	for _, offset := range []int{0, 1, 10} {
		for _, descending := range []bool{false, true} {
			w.tick()
			w.pass(61 * time.Second)
			claimed := 0
			hooks.mu.Lock()
			hooks.asked = func(query string) {
				if claimed == 0 && strings.Contains(query, "jobs j FORCE INDEX (ix_jobs_next_run)") {
					claimed++
					claimed += w.tick().Jobs
				}
			}
			hooks.mu.Unlock()
			page, total, err := list.ListJobs(t.Context(), job.Filter{Sort: job.SortNextRunAt, Descending: descending, Offset: offset, Limit: 20}, w.Now())
			if err != nil || len(page) != 20 || total != 40 || claimed != 41 {
				t.Errorf("from %d, descending %t: %d jobs of %d, while %d were claimed: %v", offset, descending, len(page), total, claimed-1, err)
			}
		}
	}
}
