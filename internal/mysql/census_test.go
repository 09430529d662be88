package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// jobWrites are statements that write jobs.
var jobWrites = regexp.MustCompile(`(?i)UPDATE jobs (?:FORCE INDEX \(\w+\) )?SET|INSERT INTO jobs\b|DELETE FROM jobs\b|(?:Insert|Update|Delete)\("jobs"\)|Rows\(ctx, tx, "jobs",`)

// Whoever writes jobs and is not listed here: if the number of jobs, a status, a
// method, a category, a name or the time of the last change can change, do it inside changingJobs or call raise, and add
// the change to TestNoInstanceCountsWhatAnotherHasChanged.
var jobWriters = []string{
	"advance: Claim and Follow raise",
	"insertJob: callers raise", "insertJobs: ImportJobs raises", "replaceJobs: ImportJobs raises",
	"applyChange: UpdateJob raises", "writeChanges: UpdateJobs raises",
	"moveAndDelete: DeleteCategory raises", "stopJob: raises",
	"judgeJobs: lane alone", "MarkSlow: lane alone",
	"ChangeSigningKeys: raises",
}

func TestEveryWriterOfJobsIsKnown(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && jobWrites.Match(source[set.Position(f.Pos()).Offset:set.Position(f.End()).Offset]) {
				found = append(found, f.Name.Name)
			}
		}
	}
	slices.Sort(found)
	var known []string
	for _, writer := range jobWriters {
		name, _, _ := strings.Cut(writer, ":")
		known = append(known, name)
	}
	slices.Sort(known)
	if diff := cmp.Diff(known, found); diff != "" {
		t.Errorf("functions that write jobs (-known +found):\n%s", diff)
	}
}

// instance is another process's view of the same database.
type instance struct {
	*world
	categories *mysql.Categories
	dashboard  *mysql.Rollups
	list       *mysql.Jobs
}

// counted is what it answers, which must be what is stored.
func (i instance) counted(when string) string {
	i.t.Helper()
	listed, _, err := i.categories.ListCategories(i.t.Context(), job.CategoryFilter{Limit: 100})
	if err != nil {
		i.t.Fatal(err)
	}
	counts, err := i.dashboard.Counts(i.t.Context())
	if err != nil {
		i.t.Fatal(err)
	}
	var got []string
	for _, c := range listed {
		got = append(got, fmt.Sprintf("%d:%d", c.ID, c.JobCount))
	}
	got = append(got, fmt.Sprint(counts.ActiveJobs), fmt.Sprint(counts.InactiveJobs), fmt.Sprint(counts.FailedJobs))
	for _, method := range []string{"GET", "PUT"} {
		_, total, err := i.list.ListJobs(i.t.Context(), job.Filter{Method: method, Limit: 1}, i.Now())
		if err != nil {
			i.t.Fatal(err)
		}
		got = append(got, fmt.Sprint(total))
	}
	want := i.text(`SELECT CONCAT(
		(SELECT GROUP_CONCAT(CONCAT(c.id, ':', (SELECT COUNT(*) FROM jobs j WHERE j.category_id = c.id AND j.deleted_at IS NULL)) ORDER BY c.id SEPARATOR ' ') FROM categories c), ' ',
		(SELECT CONCAT(COALESCE(SUM(status = 'active'), 0), ' ', COALESCE(SUM(status = 'inactive'), 0), ' ', COALESCE(SUM(status = 'failed'), 0), ' ',
			COALESCE(SUM(method = 'GET'), 0), ' ', COALESCE(SUM(method = 'PUT'), 0)) FROM jobs WHERE deleted_at IS NULL))`)
	if answer := strings.Join(got, " "); answer != want {
		i.t.Errorf("%s: the other instance counts %s, stored are %s", when, answer, want)
	}
	i.requirePages(when)
	i.requireFound(when)
	return want
}

// requireFound compares what searches find, in the texts that it keeps, with what
// is stored.
func (i instance) requireFound(when string) {
	i.t.Helper()
	for _, part := range []string{"made", "crowd 001", "other", "item", "d"} {
		for range 2 { // the first goes to the database, if anything has changed
			_, total, err := i.list.ListJobs(i.t.Context(), job.Filter{Search: part, Limit: 1}, i.Now())
			if err != nil {
				i.t.Fatal(err)
			}
			want := i.text("SELECT COUNT(*) FROM jobs WHERE deleted_at IS NULL AND (LOCATE(?, LOWER(name)) > 0 OR LOCATE(?, LOWER(description)) > 0)", part, part)
			if fmt.Sprint(total) != want {
				i.t.Fatalf("%s: %d jobs with %q are found, stored are %s", when, total, part, want)
			}
		}
	}
}

// requirePages compares pages, which it reads from places that it remembers,
// with what is stored.
func (i instance) requirePages(when string) {
	i.t.Helper()
	for _, list := range []struct {
		sort         job.Sort
		status       job.Status
		order, where string
	}{
		{sort: job.SortID, order: "id"},
		{sort: job.SortName, order: "name_key"},
		{sort: job.SortCreatedAt, order: "created_at, id"},
		{sort: job.SortUpdatedAt, order: "updated_at, id"},
		{sort: job.SortStatus, order: "CONCAT(status), id"},
		{sort: job.SortUpdatedAt, status: job.Inactive, order: "updated_at, id", where: " AND status = 'inactive'"},
	} {
		rows, err := i.db.Query("SELECT id FROM jobs WHERE deleted_at IS NULL" + list.where + " ORDER BY " + list.order)
		if err != nil {
			i.t.Fatal(err)
		}
		stored, err := scanned[int64](rows)
		if err != nil {
			i.t.Fatal(err)
		}
		for _, descending := range []bool{false, true} {
			for _, offset := range []int{1020, 1040, 1030, len(stored) - 320, len(stored) - 300} {
				listed, total, err := i.list.ListJobs(i.t.Context(), job.Filter{Sort: list.sort, Status: list.status, Descending: descending, Offset: offset, Limit: 10}, i.Now())
				if err != nil || len(listed) != 10 || total != len(stored) {
					i.t.Fatalf("%s: %d jobs from %d of %d: %v", when, len(listed), offset, total, err)
				}
				for n, j := range listed {
					want := stored[offset+n]
					if descending {
						want = stored[len(stored)-1-offset-n]
					}
					if j.ID != want {
						i.t.Fatalf("%s: %+v, descending %t: job %d of the list is %d, stored is %d", when, list, descending, offset+n, j.ID, want)
					}
				}
			}
		}
	}
}

func scanned[T any](rows *sql.Rows) (all []T, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one T
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// crowd stores many jobs, among which those of a test stand.
func (w *world) crowd(n int, categoryID int64) {
	w.t.Helper()
	var values []string
	var args []any
	for i := range n {
		name := fmt.Sprintf("%c crowd %04d", "aF"[i%2], i) // names before and behind those of a test
		at := noon.Add(time.Duration(i%7-3) * time.Hour)
		values = append(values, "(?, ?, ?, '', '0 0 1 1 *', 'UTC', ?, 'GET', 'inactive', ?, ?)")
		args = append(args, name, job.NameKey(name), []byte(job.NameKey(name)+"\xff"), categoryID, at, at)
	}
	w.exec("INSERT INTO jobs (name, name_key, search_text, description, cron_pattern, timezone, category_id, method, status, created_at, updated_at) VALUES "+strings.Join(values, ", "), args...)
	w.exec(`INSERT INTO job_requests (job_id, revision, method, url, timeout_ms, max_redirects, retry_attempts, retry_delay_ms, retry_backoff, overlap_policy, created_at)
		SELECT id, revision, method, 'https://example.com/', 30000, 0, 0, 0, 'fixed', 'allow', created_at FROM jobs WHERE name LIKE '%crowd%'`)
}

// Two instances over one database: whatever one of them does, the other, which
// has counted before, counts anew.
func TestNoInstanceCountsWhatAnotherHasChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := instance{w, mysql.NewCategories(w.db), mysql.NewRollups(w.db), mysql.NewJobs(w.db)}
	other := w.category("Other")
	w.crowd(2200, w.work.ID)
	existing := w.minutely("Existing", nil)
	ctx := t.Context()
	var last job.Job
	for _, step := range []struct {
		name string
		act  func() error
	}{
		{"create", func() (err error) { last, err = w.jobs.Create(ctx, w.input("Made", w.work.ID), 1); return err }},
		{"pause", func() error { _, err := w.jobs.Pause(ctx, existing.ID, nil); return err }},
		{"resume", func() error { _, err := w.jobs.Resume(ctx, existing.ID, nil); return err }},
		{"move", func() error { _, err := w.jobs.Patch(ctx, last.ID, job.Input{CategoryID: &other.ID}, nil); return err }},
		{"another method", func() error { _, err := w.jobs.Patch(ctx, last.ID, job.Input{Method: new("PUT")}, nil); return err }},
		{"duplicate", func() (err error) { last, err = w.jobs.Duplicate(ctx, existing.ID, 1); return err }},
		{"many at once", func() error {
			_, err := w.jobs.ChangeMany(ctx, job.Bulk{Action: job.BulkMove, IDs: []int64{existing.ID, last.ID}, CategoryID: other.ID})
			return err
		}},
		{"import", func() error {
			_, err := w.jobs.Import(ctx, w.items(3, other.ID, nil), job.ImportOptions{OnConflict: job.ConflictFail})
			return err
		}},
		{"import over what is there", func() error {
			_, err := w.jobs.Import(ctx, w.items(3, w.work.ID, nil), job.ImportOptions{OnConflict: job.ConflictUpdate})
			return err
		}},
		{"another name", func() error {
			_, err := w.jobs.Patch(ctx, existing.ID, job.Input{Name: new("Made by another name"), Method: new("POST")}, nil)
			return err
		}},
		{"delete", func() error { return w.jobs.Delete(ctx, last.ID, nil) }},
		{"a target that is gone", func() error {
			w.answer = func(executor.Work) execution.Attempt {
				return execution.Attempt{Response: &execution.Response{Status: 410}, Failure: &execution.Failure{Kind: execution.ErrHTTPStatus}}
			}
			_, err := w.dispatcher.RunNow(ctx, existing.ID, 1)
			w.deliver()
			return err
		}},
		{"a schedule that cannot be read", func() error {
			broken, err := w.jobs.Create(ctx, w.input("Broken", other.ID), 1)
			w.exec("UPDATE jobs SET cron_pattern = 'never', next_run_at = ? WHERE id = ?", w.Now(), broken.ID)
			b.counted("before it is set aside")
			w.tick()
			return err
		}},
		{"a category's end", func() error { return w.categories.Delete(ctx, other.ID, w.work.ID, nil) }},
	} {
		before := b.counted("before " + step.name)
		if err := step.act(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if after := b.counted(step.name); before == after {
			t.Errorf("%s changed no count: %s", step.name, after)
		}
	}
}

// One instance serves many requests at once, whatever is written meanwhile.
func TestListsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crowd(1500, w.work.ID)
	changed := w.minutely("Changed", nil)
	list := mysql.NewJobs(w.db)
	var all sync.WaitGroup
	for reader := range 4 {
		all.Go(func() {
			for n := range 40 {
				filter := job.Filter{Sort: job.SortName, Descending: n%2 == 0, Offset: 200 + (n*131+reader*17)%1200, Limit: 20}
				if n%4 == 0 {
					filter.Search = "crowd"
				}
				page, total, err := list.ListJobs(context.WithoutCancel(t.Context()), filter, w.Now())
				if err != nil || len(page) != 20 || total < 1500 {
					t.Errorf("%+v: %d of %d: %v", filter, len(page), total, err)
				}
			}
		})
	}
	for n := range 20 {
		if _, err := w.jobs.Patch(t.Context(), changed.ID, job.Input{Name: new(fmt.Sprintf("Changed %d", n))}, nil); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}

// Jobs come and go behind the page that is read: it stays the same, though it is
// read from the end of the list, or from a place behind it.
func TestPagesStandStillBeforeWhatIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crowd(1500, w.work.ID)
	source := w.minutely("Source", func(in *job.Input) { in.Status = new("inactive") })
	rows, err := w.db.Query("SELECT id FROM jobs ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	all, err := scanned[int64](rows)
	if err != nil {
		t.Fatal(err)
	}
	list := mysql.NewJobs(w.db)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 60 {
			made, err := w.jobs.Duplicate(context.WithoutCancel(t.Context()), source.ID, 1)
			if err == nil && made.ID%3 > 0 {
				err = w.jobs.Delete(context.WithoutCancel(t.Context()), made.ID, nil)
			}
			if err != nil {
				t.Errorf("write: %v", err)
			}
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-written:
			if n < 20 {
				t.Errorf("only %d pages were read meanwhile", n)
			}
			return
		default:
		}
		offset := 760 + n*37%700
		page, _, err := list.ListJobs(t.Context(), job.Filter{Sort: []job.Sort{job.SortID, ""}[n%2], Offset: offset, Limit: 20}, w.Now())
		if err != nil || len(page) != 20 {
			t.Fatalf("%d jobs from %d: %v", len(page), offset, err)
		}
		for i, j := range page {
			if j.ID != all[offset+i] {
				t.Fatalf("read %d: job %d of the list is %d, and was %d all the time", n, offset+i, j.ID, all[offset+i])
			}
		}
	}
}
