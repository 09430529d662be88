package mysql_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// An action that is never done to a kind of thing has no entries of that kind:
// the database, which there is none of here, is not asked.
func TestFiltersThatContradictEachOtherAskNothing(t *testing.T) {
	t.Parallel()
	for _, q := range []audit.Query{
		{Action: audit.UserCreate, Entity: audit.Job},
		{Action: audit.JobExecute, Entity: audit.User, EntityID: 1},
		{Action: audit.Login, Entity: audit.User, UserID: 1},
	} {
		q.Limit = 10
		page, err := mysql.NewAudit(nil).List(t.Context(), q)
		if diff := cmp.Diff(audit.Page{}, page); err != nil || diff != "" {
			t.Errorf("%+v: %v, (-want +got):\n%s", q, err, diff)
		}
	}
}

// Counting what a thing's entries are filtered by passes over 100,000 of them,
// and says so where there are more.
func TestCountingAuditEntriesIsBounded(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	const bound = 100_000
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	store := func(action audit.Action, n int) {
		t.Helper()
		exec(`INSERT INTO audit_log (at, user_id, request_id, address, action, entity, entity_id, entity_name)
			WITH RECURSIVE digits AS (SELECT 0 AS d UNION ALL SELECT d + 1 FROM digits WHERE d < 9)
			SELECT TIMESTAMPADD(SECOND, n.n, ?), 1, '', '', ?, 'job', 7, '' FROM (
				SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d AS n
				FROM digits a JOIN digits b JOIN digits c JOIN digits d JOIN digits e) AS n WHERE n.n < ?`, noon, string(action), n)
	}
	store(audit.JobPause, 3)
	store(audit.JobExecute, bound-3)
	log := mysql.NewAudit(db)
	want := func(action audit.Action, total int64, lowerBound bool) {
		t.Helper()
		page, err := log.List(t.Context(), audit.Query{Action: action, Entity: audit.Job, EntityID: 7, Limit: 10})
		if err != nil || page.Total != total || page.TotalIsLowerBound != lowerBound || len(page.Entries) == 0 {
			t.Errorf("%s: %d entries of %d, at least %t, %v; want %d, at least %t", action, len(page.Entries), page.Total, page.TotalIsLowerBound, err, total, lowerBound)
		}
	}
	want(audit.JobPause, 3, false)
	want(audit.JobExecute, 10_000, true)
	exec("INSERT INTO audit_log (at, user_id, request_id, address, action, entity, entity_id, entity_name) VALUES (?, 1, '', '', ?, 'job', 7, '')",
		noon.Add(48*time.Hour), string(audit.JobDelete))
	want(audit.JobPause, 3, true)
}
