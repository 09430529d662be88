package mysql_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// TestPagesOfErrors compares the pages of a search among errors, by number and
// by cursor, with all that is found, where no job has the name and where one has.
func TestPagesOfErrors(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	storeForPlans(t, db)
	for _, query := range []string{
		"UPDATE executions SET error_kind = 'connect', error_message = CONCAT('Refused ', id % 3) WHERE status = 'failed'",
		"UPDATE executions SET error_kind = 'connect', error_message = 'too often' WHERE status = 'success' AND id % 2 = 0", // which none has
		"UPDATE executions SET scheduled_for = DATE_SUB(scheduled_for, INTERVAL 2 MINUTE) WHERE status = 'failed' AND id % 2 = 0",
		"UPDATE jobs SET name = 'name refused 1', search_text = CONCAT(CAST('name refused 1' AS BINARY), 0xFF, 'x') WHERE name LIKE '%00017%'",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	history := mysql.NewHistory(db)
	for part, condition := range map[string]string{
		"refused 0": "error_message = 'Refused 0' AND status <> 'success'",
		"refused 1": "(error_message = 'Refused 1' AND status <> 'success' OR job_id IN (SELECT id FROM jobs WHERE name = 'name refused 1'))",
		"nowhere":   "FALSE",
		"too often": "FALSE", // is with successes alone, which have no error
	} {
		for _, oldest := range []bool{false, true} {
			order := " DESC"
			if oldest {
				order = " ASC"
			}
			rows, err := db.Query("SELECT id FROM executions WHERE " + condition + " ORDER BY scheduled_for" + order + ", id" + order)
			if err != nil {
				t.Fatal(err)
			}
			want, err := scanned[int64](rows)
			if err != nil {
				t.Fatal(err)
			}
			q := execution.Query{Search: part, SearchErrors: true, Oldest: oldest, Limit: 30}
			var byNumber, byCursor []int64
			for q.Offset = 0; q.Offset <= len(want); q.Offset += q.Limit {
				page, err := history.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				byNumber = append(byNumber, executionIDs(page)...)
				if page.Total != int64(len(want)) || page.TotalIsLowerBound || page.More != (q.Offset+q.Limit < len(want)) {
					t.Fatalf("%s from %d: total %d, lower bound %t, more %t, of %d", part, q.Offset, page.Total, page.TotalIsLowerBound, page.More, len(want))
				}
			}
			for q.Offset = 0; ; {
				page, err := history.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				byCursor = append(byCursor, executionIDs(page)...)
				if !page.More {
					break
				}
				last := page.Executions[len(page.Executions)-1]
				q.After = &execution.Place{ScheduledFor: last.ScheduledFor, ID: last.ID}
			}
			for how, got := range map[string][]int64{"number": byNumber, "cursor": byCursor} {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s", fmt.Sprintf("%q by %s, oldest first %t (-want +got):\n%s", part, how, oldest, diff))
				}
			}
		}
	}
}

// A success has no error, whatever its column holds: nothing is read to say so.
func TestNoSuccessIsFoundByItsError(t *testing.T) {
	t.Parallel()
	connector, err := mysql.Connector(mysqltest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	recorded := &recordingConnector{Connector: connector}
	db := sql.OpenDB(recorded)
	t.Cleanup(func() { _ = db.Close() })
	page, err := mysql.NewHistory(db).List(t.Context(), execution.Query{Search: "too often", SearchErrors: true, Status: execution.Success, Limit: 30})
	if err != nil || page.Total != 0 {
		t.Fatalf("%d are found: %v", page.Total, err)
	}
	for _, sent := range recorded.taken() {
		if strings.Contains(sent.query, "executions e") {
			t.Errorf("executions are read: %s", sent.query)
		}
	}
}

func executionIDs(page execution.Page) (ids []int64) {
	for _, e := range page.Executions {
		ids = append(ids, e.ID)
	}
	return ids
}
