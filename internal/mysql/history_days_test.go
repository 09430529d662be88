package mysql_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// TestDeepPages compares pages that skip whole days with those that a walk
// through everything finds.
func TestDeepPages(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	storeForPlans(t, db)
	history := mysql.NewHistory(db)
	compareDeepPages(t, db, history, fewOffsets)

	count := func(now time.Time) int {
		t.Helper()
		counted, err := history.CountDays(t.Context(), now, always)
		if err != nil {
			t.Fatal(err)
		}
		return counted
	}
	if n := count(noon.AddDate(0, 0, -10)); n != 23 {
		t.Errorf("%d days were counted, 23 have ended ten days before", n)
	}
	compareDeepPages(t, db, history, fewOffsets)
	if n := count(noon); n < 10 {
		t.Errorf("%d days were counted, ten more have ended", n)
	}
	compareDeepPages(t, db, history, everyOffset)

	// A day without executions, days with fewer, and none of the oldest.
	for _, query := range []string{
		"DELETE FROM executions WHERE scheduled_for < ?",
		"DELETE FROM executions WHERE DATE(scheduled_for) = DATE(?)",
		"DELETE FROM executions WHERE scheduled_for < DATE_ADD(?, INTERVAL 10 DAY) AND id % 7 = 0",
	} {
		if _, err := db.Exec(query, noon.AddDate(0, 0, -30)); err != nil {
			t.Fatal(err)
		}
	}
	for range 7 { // every day anew, some in each step
		count(noon)
	}
	compareDeepPages(t, db, history, fewOffsets)

	// What the product removes is taken out of the counts at once, within a day
	// and an hour too, wherever it is cut off.
	retention := mysql.NewRetention(db)
	for batches := range 2 {
		left := 2 + 100*batches
		removed, all, err := retention.RemoveBefore(t.Context(), noon.AddDate(0, 0, -20).Add(37*time.Minute), func() bool { left--; return left >= 0 })
		if err != nil || removed == 0 || all != (batches == 1) {
			t.Fatalf("removed %d, all %t, %v", removed, all, err)
		}
		compareDeepPages(t, db, history, fewOffsets)
	}
	count(noon)
	compareDeepPages(t, db, history, fewOffsets)
}

// everyOffset is where pages begin that are compared where all is counted, and
// fewOffsets before and after: TiDB takes its time.
var (
	everyOffset = []int{1000, 1001, 2500, 7777, 10_000, 13_131, 17_000, 22_990, 23_995, 30_000}
	fewOffsets  = []int{1001, 13_131, 22_990}
)

func compareDeepPages(t *testing.T, db *sql.DB, history *mysql.History, offsets []int) {
	t.Helper()
	from, to, due := noon.Add(-29*24*time.Hour), noon.Add(-5*24*time.Hour), noon.Add(time.Hour)
	deepest := 0
	for _, q := range []execution.Query{
		{DueBy: &due},
		{},
		{Status: execution.Success},
		{Trigger: execution.Schedule},
		{Status: execution.Success, Trigger: execution.Schedule},
		{From: &from},
		{From: &from, To: &to},
		{To: &to, Status: execution.Success},
	} {
		for _, oldest := range []bool{false, true} {
			for _, offset := range offsets {
				q.Oldest, q.Offset, q.Limit = oldest, offset, 10
				page, err := history.List(t.Context(), q)
				if err != nil || page.TooDeep {
					t.Fatalf("%+v: %v, %t", q, err, page.TooDeep)
				}
				var got []int64
				for _, e := range page.Executions {
					got = append(got, e.ID)
				}
				want := walkedPage(t, db, q)
				more := len(want) > q.Limit
				want = want[:min(len(want), q.Limit)]
				if diff := cmp.Diff(want, got); diff != "" || page.More != more {
					t.Errorf("%+v: more %t, want %t (-walked +listed):\n%s", q, page.More, more, diff)
				}
				all := countedAll(t, db, q)
				if page.Total != min(all, 10_000) || page.TotalIsLowerBound != (all > 10_000) {
					t.Errorf("%+v: total %d, lower bound %t, of %d", q, page.Total, page.TotalIsLowerBound, all)
				}
				if len(got) > 0 {
					deepest = max(deepest, offset)
				}
			}
		}
	}
	if deepest < 13_000 {
		t.Errorf("the deepest page that held anything began at %d", deepest)
	}
}

// countedAll counts all that is asked for.
func countedAll(t *testing.T, db *sql.DB, q execution.Query) (n int64) {
	t.Helper()
	where, args := conditionOf(q)
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM executions WHERE "+where, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func conditionOf(q execution.Query) (where string, args []any) {
	where = "TRUE"
	add := func(condition string, arg any) { where, args = where+" AND "+condition, append(args, arg) }
	if q.Status != "" {
		add("status = ?", string(q.Status))
	}
	if q.Trigger != "" {
		add("trigger_type = ?", string(q.Trigger))
	}
	if q.From != nil {
		add("scheduled_for >= ?", *q.From)
	}
	if q.To != nil {
		add("scheduled_for <= ?", *q.To)
	}
	return where, args
}

// walkedPage reads the ids of a page and one more.
func walkedPage(t *testing.T, db *sql.DB, q execution.Query) (ids []int64) {
	t.Helper()
	where, args := conditionOf(q)
	query, way := "SELECT id FROM executions WHERE "+where, "DESC"
	if q.Oldest {
		way = "ASC"
	}
	query += fmt.Sprintf(" ORDER BY scheduled_for %s, id %s LIMIT %d OFFSET %d", way, way, q.Limit+1, q.Offset)
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}
