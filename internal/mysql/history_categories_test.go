package mysql_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// TestPagesOfCategories compares the pages of categories whose jobs are looked
// up, and of one whose jobs are named, with all that is stored: executions of
// several kinds at one instant lie on both sides of a page's edge.
func TestPagesOfCategories(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	category := storeForPlans(t, db)
	for _, query := range []string{
		"UPDATE executions SET scheduled_for = DATE_ADD(scheduled_for, INTERVAL (id % 16) * 2 MINUTE)", // sixteen at each instant
		"UPDATE executions SET trigger_type = 'replay' WHERE id % 9 = 0",
		"UPDATE executions SET status = 'failed' WHERE id % 5 = 0",
		"UPDATE executions SET status = 'abandoned' WHERE id % 301 = 0",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	history := mysql.NewHistory(db)
	from, to := noon.Add(-20*24*time.Hour), noon.Add(-5*24*time.Hour)
	for of := category; of <= category+2; of++ {
		for _, q := range []execution.Query{
			{},
			{Status: execution.Failed},
			{Status: execution.Success},
			{Status: execution.Abandoned},
			{Trigger: execution.Manual},
			{Trigger: execution.Replay},
			{Trigger: execution.Replay, Status: execution.Failed},
			{Trigger: execution.Replay, Status: execution.Missed},
			{Trigger: execution.Replay, From: &from, To: &to},
			{From: &from, To: &to},
		} {
			for _, q.Oldest = range []bool{false, true} {
				q.CategoryID = of
				condition, order := "j.category_id = ?", "DESC"
				args := []any{of}
				for column, value := range map[string]string{"status": string(q.Status), "trigger_type": string(q.Trigger)} {
					if value != "" {
						condition, args = condition+" AND e."+column+" = ?", append(args, value)
					}
				}
				if q.From != nil {
					condition, args = condition+" AND e.scheduled_for BETWEEN ? AND ?", append(args, from, to)
				}
				if q.Oldest {
					order = "ASC"
				}
				rows, err := db.Query("SELECT e.id FROM executions e JOIN jobs j ON j.id = e.job_id WHERE "+condition+" ORDER BY e.scheduled_for "+order+", e.id "+order, args...)
				if err != nil {
					t.Fatal(err)
				}
				stored, err := scanned[int64](rows)
				if err != nil {
					t.Fatal(err)
				}
				requirePagesOf(t, history, q, stored)
			}
		}
	}
}

// requirePagesOf reads some pages by number and the first ones by cursor.
func requirePagesOf(t *testing.T, history *mysql.History, q execution.Query, stored []int64) {
	t.Helper()
	const limit = 30
	list := func(q execution.Query) execution.Page {
		t.Helper()
		page, err := history.List(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if page.Total > int64(len(stored)) || !page.TotalIsLowerBound && page.Total != int64(len(stored)) {
			t.Errorf("%+v: total %d, lower bound %t, of %d", q, page.Total, page.TotalIsLowerBound, len(stored))
		}
		return page
	}
	want := func(offset int) []int64 { return stored[min(offset, len(stored)):min(offset+limit, len(stored))] }
	q.Limit = limit
	for _, offset := range []int{0, 30, 60, 150, 180, 390, 960} {
		q.Offset = offset
		page := list(q)
		if diff := cmp.Diff(want(offset), executionIDs(page), cmpopts.EquateEmpty()); diff != "" || page.More != (offset+limit < len(stored)) {
			t.Errorf("%s", fmt.Sprintf("%+v: more %t of %d (-want +got):\n%s", q, page.More, len(stored), diff))
		}
	}
	q.Offset = 0
	for offset := 0; offset < 6*limit; offset += limit {
		page := list(q)
		if diff := cmp.Diff(want(offset), executionIDs(page), cmpopts.EquateEmpty()); diff != "" || page.More != (offset+limit < len(stored)) {
			t.Errorf("%s", fmt.Sprintf("%+v: by cursor, more %t of %d (-want +got):\n%s", q, page.More, len(stored), diff))
		}
		if !page.More {
			return
		}
		last := page.Executions[len(page.Executions)-1]
		q.After = &execution.Place{ScheduledFor: last.ScheduledFor, ID: last.ID}
	}
}
