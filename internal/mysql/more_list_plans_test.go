package mysql_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// TestOtherListsWalkIndexes is TestListsWalkIndexes for the lists of all else,
// and for the history at depth and by its errors.
func TestOtherListsWalkIndexes(t *testing.T) {
	t.Parallel()
	db, check := watchPlans(t)
	category := storeForPlans(t, db)
	storePeopleForPlans(t, db)
	ctx, until := t.Context(), noon
	log := mysql.NewAudit(db)
	from := noon.Add(-100 * time.Hour)
	for _, user := range []int64{0, 3} {
		for _, action := range []audit.Action{"", audit.JobExecute, audit.UserCreate} {
			for _, entity := range []audit.Entity{"", audit.Job} {
				for _, of := range []int64{0, 1, 17} {
					if of != 0 && entity == "" || entity != "" && action == audit.UserCreate {
						continue
					}
					for _, q := range []audit.Query{
						{Limit: 20},
						{Limit: 20, Offset: 40},
						{Limit: 1000},
						{Limit: 20, From: &from, To: &until},
						{Limit: 20, After: &audit.Place{At: noon.Add(-50 * time.Hour), ID: 1000}},
					} {
						q.UserID, q.Action, q.Entity, q.EntityID = user, action, entity, of
						var page audit.Page
						check(fmt.Sprintf("audit %+v", q), func() (err error) { page, err = log.List(ctx, q); return err })
						if want := countEntries(t, db, q); page.Total != min(want, 10_000) || page.TotalIsLowerBound != (want > 10_000) {
							t.Errorf("audit %+v: %d, at least %t, want %d", q, page.Total, page.TotalIsLowerBound, want)
						}
					}
				}
			}
		}
	}

	accounts, categories, jobs := mysql.NewAccounts(db), mysql.NewCategories(db), mysql.NewJobs(db)
	check("sessions", func() error { _, _, err := accounts.ListSessions(ctx, 3, noon, 0, 20); return err })
	check("tokens", func() error { _, _, err := accounts.ListTokens(ctx, 3, 0, 20); return err })
	active := true
	for _, filter := range []account.UserFilter{{}, {Search: "a"}, {Role: account.Viewer, IsActive: &active}, {Sort: account.SortByEmail}, {Sort: account.SortByName, Descending: true}} {
		filter.Limit, filter.Offset = 20, 20
		check(fmt.Sprintf("users %+v", filter), func() error { _, _, err := accounts.ListUsers(ctx, filter); return err })
	}
	for _, filter := range []job.CategoryFilter{{}, {Search: "a"}, {Status: job.CategoryActive}, {Sort: job.SortName}, {Sort: job.SortStatus}} {
		filter.Limit = 20
		check(fmt.Sprintf("categories %+v", filter), func() error { _, _, err := categories.ListCategories(ctx, filter); return err })
	}
	check("category", func() error { _, err := categories.GetCategory(ctx, category); return err })
	check("secrets", func() error { _, _, err := mysql.NewSecrets(db, nil).ListSecrets(ctx, 0, 20); return err })
	for _, of := range []int64{0, category, category + 2} {
		for _, after := range []int64{0, firstJob(t, db) + planJobs/2} {
			check(fmt.Sprintf("export of %d after %d", of, after), func() error { _, err := jobs.ExportJobs(ctx, after, of, 100); return err })
		}
	}

	history := mysql.NewHistory(db)
	one := firstJob(t, db)
	day := noon.Add(-24 * time.Hour)
	for _, q := range []execution.Query{
		{JobID: one, CategoryID: category},
		{JobID: one, CategoryID: category, Status: execution.Failed},
		{JobID: one, Search: "refused", SearchErrors: true},
		{JobID: one, Search: "refused", SearchErrors: true, Status: execution.Failed},
		{From: &day, To: &until, Search: "refused", SearchErrors: true},
		{From: &day, To: &until, Search: "report", SearchErrors: true, CategoryID: category},
	} {
		for _, oldest := range []bool{false, true} {
			q.DueBy, q.Oldest, q.Limit = &until, oldest, 20
			history := mysql.NewHistory(db) // one that keeps no texts goes to the database for each search
			check(fmt.Sprintf("history %+v", q), func() error { _, err := history.List(ctx, q); return err })
		}
	}
	for range 2 { // as far as nothing is counted, and where all days are
		for _, q := range []execution.Query{
			{},
			{Status: execution.Success},
			{Trigger: execution.Schedule},
			{Status: execution.Success, Trigger: execution.Schedule},
			{From: &from},
			{CategoryID: category},
			{CategoryID: category, Status: execution.Success},
			{Search: "report"},
		} {
			for _, oldest := range []bool{false, true} {
				for _, offset := range []int{999, 1000, 9_990, 15_000, 30_000} {
					q.DueBy, q.Oldest, q.Limit, q.Offset = &until, oldest, 20, offset
					history := mysql.NewHistory(db)
					check(fmt.Sprintf("deep history %+v", q), func() error { _, err := history.List(ctx, q); return err })
				}
			}
		}
		check("counting days", func() error { _, err := history.CountDays(ctx, noon, always); return err })
	}
}

// countEntries counts entries one by one.
func countEntries(t *testing.T, db *sql.DB, q audit.Query) (n int64) {
	t.Helper()
	from, to := noon.AddDate(-1, 0, 0), noon
	if q.From != nil {
		from, to = *q.From, *q.To
	}
	err := db.QueryRow(`SELECT COUNT(*) FROM audit_log IGNORE INDEX (ix_audit_log_user, ix_audit_log_user_action, ix_audit_log_user_entity, ix_audit_log_action, ix_audit_log_entity, ix_audit_log_entity_id)
		WHERE (? = 0 OR user_id = ?) AND (? = '' OR action = ?) AND (? = '' OR entity = ?) AND (? = 0 OR entity_id = ?) AND at BETWEEN ? AND ?`,
		q.UserID, q.UserID, string(q.Action), string(q.Action), string(q.Entity), string(q.Entity), q.EntityID, q.EntityID, from, to).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// storePeopleForPlans stores users, with sessions and tokens, and a log of what
// they did: most of it the same person's, of one kind, to one job.
func storePeopleForPlans(t *testing.T, db *sql.DB) {
	t.Helper()
	fill := func(table, columns string, n int, row func(i int) []any) {
		t.Helper()
		const most = 500
		for start := 0; start < n; start += most {
			var args []any
			rows := 0
			for i := start; i < min(start+most, n); i++ {
				args = append(args, row(i)...)
				rows++
			}
			one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(args)/rows), ", ") + ")"
			if _, err := db.Exec("INSERT INTO "+table+" ("+columns+") VALUES "+strings.TrimSuffix(strings.Repeat(one+", ", rows), ", "), args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill("categories", "id, name, name_key, color, status, created_at, updated_at", 3, func(i int) []any {
		return []any{1000 + i, fmt.Sprintf("Plans %d", i), fmt.Sprintf("plans %d", i), "#112233", "active", noon, noon}
	})
	fill("users", "email, name, role, password_hash, created_at, updated_at", 200, func(i int) []any {
		return []any{fmt.Sprintf("plan%d@example.com", i), "Somebody", "viewer", "-", noon, noon}
	})
	fill("sessions", "id, user_id, nonce, refresh_hash, created_at, rotated_at, expires_at", 4000, func(i int) []any {
		return []any{1<<40 + i, i % 200, make([]byte, 16), make([]byte, 32), noon, noon, noon.Add(time.Hour)}
	})
	fill("api_tokens", "user_id, name, prefix, hash, scopes, created_at, expires_at", 4000, func(i int) []any {
		return []any{i % 200, "A token", "cj_", fmt.Appendf(nil, "%032d", i), "read", noon, noon.Add(time.Hour)}
	})
	fill("audit_log", "at, user_id, request_id, address, action, entity, entity_id, entity_name", 20_000, func(i int) []any {
		at, user, action, entity, of := noon.Add(-time.Duration(i)*time.Minute), 3, audit.JobExecute, audit.Job, 1
		if i%5 == 0 {
			user, of = i%200, i%1000
		}
		if i%50 == 0 {
			action, entity = audit.UserCreate, audit.User
		}
		return []any{at, user, "-", "-", string(action), string(entity), of, "-"}
	})
	if _, err := db.Exec(`INSERT INTO job_requests (job_id, revision, method, url, timeout_ms, max_redirects, retry_attempts, retry_delay_ms, retry_backoff, overlap_policy, created_at, secret_names)
		SELECT id, revision, method, 'https://example.com/', 30000, 0, 3, 1000, 'fixed', 'allow', created_at, IF(id % 100 = 0, '["A"]', NULL) FROM jobs`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ANALYZE TABLE job_requests, users, sessions, api_tokens, audit_log"); err != nil {
		t.Fatal(err)
	}
}
