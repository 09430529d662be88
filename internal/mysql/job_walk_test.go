package mysql_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// TestDeepPagesOfJobsArePartsOfTheWholeList compares pages that are read from
// the nearer end, or behind a part that is only counted, with the list read at
// one go.
func TestDeepPagesOfJobsArePartsOfTheWholeList(t *testing.T) {
	t.Parallel()
	connector, err := mysql.Connector(mysqltest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	category := storeForPlans(t, db)
	for _, change := range []string{
		`INSERT INTO job_requests (job_id, revision, method, url, timeout_ms, max_redirects, retry_attempts, retry_delay_ms, retry_backoff, overlap_policy, created_at)
			SELECT id, revision, method, 'https://example.com/', 30000, 0, 0, 0, 'fixed', 'allow', created_at FROM jobs`,
		"UPDATE jobs SET deleted_at = created_at, name_key = NULL, next_run_at = NULL WHERE id % 29 = 0",
		"UPDATE jobs SET status = 'inactive', next_run_at = NULL WHERE id % 3 = 0 AND status = 'active'",
		"DELETE FROM job_stats WHERE job_id % 4 = 0",
	} {
		if _, err := db.Exec(change); err != nil {
			t.Fatal(err)
		}
	}
	jobs := mysql.NewJobs(db)
	list := func(filter job.Filter) []int64 {
		t.Helper()
		found, _, err := jobs.ListJobs(t.Context(), filter, noon)
		if err != nil {
			t.Fatalf("%+v: %v", filter, err)
		}
		ids := make([]int64, len(found))
		for i, j := range found {
			ids[i] = j.ID
		}
		return ids
	}
	t.Run("with jobs that the statistics lack", func(t *testing.T) { requireDeepPages(t, list, category) })
	for range planJobs / 500 {
		if _, err := mysql.NewRetention(db).Purge(t.Context(), noon, mysql.Keep{Days: 3650, Runs: 100}, func() bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	var wrong int
	if err := db.QueryRow(`SELECT COUNT(*) FROM jobs j LEFT JOIN job_stats s ON s.job_id = j.id
		WHERE s.job_id IS NULL OR s.deleted <> (j.deleted_at IS NOT NULL)`).Scan(&wrong); err != nil || wrong > 0 {
		t.Fatalf("the walk of the purge leaves %d jobs without their statistics (%v)", wrong, err)
	}
	t.Run("with statistics of all", func(t *testing.T) { requireDeepPages(t, list, category) })
}

// leastDeep is the least offset that is read in the deep way.
const leastDeep = 1000

func requireDeepPages(t *testing.T, list func(job.Filter) []int64, category int64) {
	t.Helper()
	for _, sort := range []job.Sort{job.SortID, job.SortName, job.SortStatus, job.SortCreatedAt, job.SortUpdatedAt, job.SortNextRunAt, job.SortLastRunAt} {
		for _, filter := range []job.Filter{
			{},
			{Status: job.Active},
			{Method: "GET"},
			{CategoryID: category},
			{CategoryID: category, Search: "report"},
		} {
			for _, filter.Descending = range []bool{false, true} {
				filter.Sort, filter.Offset, filter.Limit = sort, 0, planJobs
				whole := list(filter)
				if len(whole) < leastDeep {
					t.Fatalf("%+v: no page is deep in %d jobs", filter, len(whole))
				}
				seen := slices.Clone(whole)
				if slices.Sort(seen); len(slices.Compact(seen)) != len(whole) {
					t.Errorf("%+v: jobs are listed twice", filter)
				}
				filter.Limit = 70
				for filter.Offset = leastDeep - 10; filter.Offset < len(whole)+200; filter.Offset += 130 {
					want := whole[min(filter.Offset, len(whole)):min(filter.Offset+filter.Limit, len(whole))]
					if diff := cmp.Diff(want, list(filter)); diff != "" {
						t.Errorf("%s: differs from the whole list (-want +got):\n%s", fmt.Sprintf("%+v", filter), diff)
					}
				}
			}
		}
	}
}
