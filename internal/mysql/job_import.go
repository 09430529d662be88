package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/job"
)

// ImportJobs carries out an import in one transaction of a dozen round trips,
// whatever the number of jobs. The order of locks is that of every change by a
// person: jobs, categories (shared), executions, stats. Where another one took
// a name meanwhile the whole of it is done again, and finds the name.
func (s *Jobs) ImportJobs(ctx context.Context, query job.ImportQuery, now time.Time,
	decide func(found job.ImportFound) (*job.ImportPlan, error),
) error {
	return changingJobs(ctx, s.db, func(tx *sql.Tx) error {
		found, err := s.findForImport(ctx, tx, query, now)
		if err != nil {
			return err
		}
		plan, err := decide(found)
		if err != nil || plan.DryRun {
			return err
		}
		if err := refuseDue(ctx, tx, plan.Update, now); err != nil {
			return err
		}
		if err := insertCategories(ctx, tx, plan); err != nil {
			return err
		}
		seal := newSealer(s.ring, tx, now)
		if err := replaceJobs(ctx, tx, seal, plan.Update, now); err != nil {
			return err
		}
		if err := insertJobs(ctx, tx, seal, plan.Create); err != nil {
			return err
		}
		if err := recordImport(ctx, tx, found, plan); err != nil {
			return err
		}
		return noteEffect(ctx, tx, plan.Results())
	})
}

// recordImport leaves an entry for each job that is new or changed.
func recordImport(ctx context.Context, tx *sql.Tx, found job.ImportFound, plan *job.ImportPlan) error {
	before := make(map[int64]job.Job, len(found.Jobs))
	for _, j := range found.Jobs {
		before[j.ID] = j
	}
	entries := make([]audit.Entry, 0, len(plan.Create)+len(plan.Update))
	for _, j := range plan.Create {
		entries = append(entries, j.Audited())
	}
	for _, change := range plan.Update {
		entries = append(entries, change.Audited(before[change.Job.ID]))
	}
	return record(ctx, tx, entries...)
}

// findForImport reads the jobs and categories that an import names. Categories
// are locked against changes, and so are jobs that may be replaced.
func (s *Jobs) findForImport(ctx context.Context, tx *sql.Tx, query job.ImportQuery, now time.Time) (job.ImportFound, error) {
	found := job.ImportFound{Jobs: map[string]job.Job{}, CategoryByID: map[int64]job.CategoryRef{}, CategoryByKey: map[string]job.CategoryRef{}}
	jobs, err := jobsByName(ctx, tx, query.NameKeys)
	if err != nil {
		return found, err
	}
	if query.Replace && len(jobs) > 0 {
		// Locked by id and not by name: ascending, as everybody does. Whoever was
		// renamed meanwhile is found under the new name.
		if _, err := lockJobs(ctx, tx, idsOf(jobs)); err != nil {
			return found, err
		}
		full := selectJobs(goqu.T("jobs").As("j"), now).Where(jobTable.Col("id").In(idsOf(jobs)), notDeleted)
		if jobs, err = queryAll(ctx, tx, full, scanJob); err != nil {
			return found, err
		}
		for i := range jobs {
			if err := openForPerson(ctx, s.ring, tx, &jobs[i]); err != nil {
				return found, err
			}
		}
	}
	for _, j := range jobs {
		found.Jobs[job.NameKey(j.Name)] = j
	}
	categories, err := lockCategoriesShared(ctx, tx, query.CategoryIDs, query.CategoryKeys)
	for _, c := range categories {
		found.CategoryByID[c.ID] = c
		found.CategoryByKey[job.CategoryNameKey(c.Name)] = c
	}
	return found, err
}

// jobsByName reads the ids and names of the jobs that have these names.
func jobsByName(ctx context.Context, tx *sql.Tx, keys []string) ([]job.Job, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	query := dialect.From("jobs").Select("id", "name").Where(goqu.C("name_key").In(keys))
	return queryAll(ctx, tx, query, func(rows *sql.Rows) (j job.Job, err error) {
		err = rows.Scan(&j.ID, &j.Name)
		return j, err
	})
}

func idsOf(jobs []job.Job) []int64 {
	all := make([]int64, len(jobs))
	for i, j := range jobs {
		all[i] = j.ID
	}
	return all
}

// lockCategoriesShared reads categories by id and by name and keeps them from
// changing until the transaction ends. Names are turned into ids first, so that
// every lock is taken in the order of the ids.
func lockCategoriesShared(ctx context.Context, tx *sql.Tx, categoryIDs []int64, keys []string) ([]job.CategoryRef, error) {
	if len(keys) > 0 {
		named, err := queryAll(ctx, tx, dialect.From("categories").Select("id").Where(goqu.C("name_key").In(keys)), scanInto[int64])
		if err != nil {
			return nil, err
		}
		categoryIDs = append(slices.Clone(categoryIDs), named...)
	}
	if len(categoryIDs) == 0 {
		return nil, nil
	}
	args := ids(categoryIDs, func(id int64) int64 { return id })
	return queryAllSQL(ctx, tx, func(rows *sql.Rows) (job.CategoryRef, error) {
		var c job.CategoryRef
		var status string
		err := rows.Scan(&c.ID, &c.Name, &c.Color, &status)
		c.Status = job.CategoryStatus(status)
		return c, err
	}, "SELECT id, name, color, status FROM categories WHERE id IN ("+placeholders(len(args))+") ORDER BY id LOCK IN SHARE MODE", args...)
}

// refuseDue answers job.DueError where changes would drop instants that have not
// been claimed: a change of the schedule those that are due, and any change those
// of a job that has yet to follow its category.
func refuseDue(ctx context.Context, tx *sql.Tx, changes []job.Change, now time.Time) error {
	if len(changes) == 0 {
		return nil
	}
	moved := make(map[int64]bool, len(changes))
	args := ids(changes, func(change job.Change) int64 {
		moved[change.Job.ID] = change.Reschedule
		return change.Job.ID
	})
	type row struct {
		id              int64
		due, unfollowed bool
	}
	found, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.due, &r.unfollowed)
		return r, err
	}, "SELECT j.id, COALESCE(j.next_run_at <= ?, FALSE), "+unfollowed+` FROM jobs j JOIN categories c ON c.id = j.category_id
		WHERE j.id IN (`+placeholders(len(args))+") ORDER BY j.id", slices.Concat([]any{utc(now)}, args)...)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(r row) bool { return !r.unfollowed && !(r.due && moved[r.id]) })
	if len(found) == 0 {
		return nil
	}
	due := &job.DueError{}
	for _, r := range found {
		due.JobIDs = append(due.JobIDs, r.id)
	}
	return due
}

// insertCategories makes the plan's categories and tells its jobs their ids.
func insertCategories(ctx context.Context, tx *sql.Tx, plan *job.ImportPlan) error {
	if len(plan.Categories) == 0 {
		return nil
	}
	rows := make([]goqu.Record, len(plan.Categories))
	keys := make([]string, len(plan.Categories))
	for i, c := range plan.Categories {
		rows[i] = categoryColumns(c)
		rows[i]["created_at"], rows[i]["status_at"] = utc(c.CreatedAt), utc(c.CreatedAt)
		keys[i] = job.CategoryNameKey(c.Name)
	}
	if err := insertRows(ctx, tx, "categories", rows, nil); err != nil {
		if isDuplicate(err) {
			return errLostRace
		}
		return err
	}
	made, err := lockCategoriesShared(ctx, tx, nil, keys)
	if err != nil {
		return err
	}
	byKey := map[string]job.CategoryRef{}
	for _, c := range made {
		byKey[job.CategoryNameKey(c.Name)] = c
	}
	settle := func(j *job.Job) error {
		if j.CategoryID != 0 {
			return nil
		}
		c, ok := byKey[job.CategoryNameKey(j.Category.Name)]
		if !ok {
			return fmt.Errorf("import: a job's category is not among the new ones")
		}
		j.CategoryID, j.Category = c.ID, c
		return nil
	}
	for i := range plan.Create {
		if err := settle(&plan.Create[i]); err != nil {
			return err
		}
	}
	for i := range plan.Update {
		if err := settle(&plan.Update[i].Job); err != nil {
			return err
		}
	}
	return nil
}

// insertJobs stores new jobs in their order and sets their ids.
func insertJobs(ctx context.Context, tx *sql.Tx, seal *sealer, jobs []job.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	rows := make([]goqu.Record, len(jobs))
	keys := make([]string, len(jobs))
	for i, j := range jobs {
		rows[i] = jobRecord(j)
		keys[i] = job.NameKey(j.Name)
	}
	if err := insertRows(ctx, tx, "jobs", rows, nil); err != nil {
		if isDuplicate(err) { // somebody took a name; look again
			return errLostRace
		}
		return err
	}
	// Read back rather than counted on: not every engine gives the rows of one
	// statement ids in a row.
	stored, err := jobsByName(ctx, tx, keys)
	if err != nil {
		return err
	}
	idByKey := make(map[string]int64, len(stored))
	for _, j := range stored {
		idByKey[job.NameKey(j.Name)] = j.ID
	}
	requests := make([]goqu.Record, len(jobs))
	made := make([]int64, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		j.ID = idByKey[keys[i]]
		made[i] = j.ID
		if requests[i], err = requestRecord(ctx, seal, j.ID, j.Revision, j.Request, j.CreatedAt); err != nil {
			return err
		}
	}
	if err := listStats(ctx, tx, made); err != nil {
		return err
	}
	return insertRows(ctx, tx, "job_requests", requests, nil)
}

// replaceJobs is applyChange for many jobs whose every field may have changed.
func replaceJobs(ctx context.Context, tx *sql.Tx, seal *sealer, changes []job.Change, now time.Time) error {
	changes = slices.SortedFunc(slices.Values(changes), func(a, b job.Change) int { return cmp.Compare(a.Job.ID, b.Job.ID) })
	cancelled := map[job.Cancel][]int64{}
	var forgiven []int64
	var kept, moved, requests []goqu.Record
	for _, change := range changes {
		j := change.Job
		if change.Cancel != job.CancelNone {
			cancelled[change.Cancel] = append(cancelled[change.Cancel], j.ID)
		}
		if change.ForgetFailures {
			forgiven = append(forgiven, j.ID)
		}
		row := jobRecord(j)
		row["id"] = j.ID
		if change.Reschedule {
			moved = append(moved, row)
		} else {
			kept = append(kept, row)
		}
		if change.NewRevision {
			request, err := requestRecord(ctx, seal, j.ID, j.Revision, j.Request, now)
			if err != nil {
				return err
			}
			requests = append(requests, request)
		}
	}
	for _, which := range []job.Cancel{job.CancelFuture, job.CancelScheduled} {
		if len(cancelled[which]) == 0 {
			continue
		}
		if err := cancelWaiting(ctx, tx, cancelled[which], which, now); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		rows    []goqu.Record
		without []string // columns that stay as they are
	}{{kept, []string{"next_run_at"}}, {moved, nil}} {
		if err := replaceRows(ctx, tx, "jobs", part.rows, append(part.without, "id", "created_at", "created_by")); err != nil {
			return err
		}
	}
	if err := insertRows(ctx, tx, "job_requests", requests, nil); err != nil || len(forgiven) == 0 {
		return err
	}
	return forgetFailures(ctx, tx, forgiven)
}

// replaceRows gives rows that exist, known by their column id, the values of
// the records, but for some columns.
func replaceRows(ctx context.Context, tx *sql.Tx, table string, rows []goqu.Record, without []string) error {
	if len(rows) == 0 {
		return nil
	}
	set := goqu.Record{}
	for column := range rows[0] {
		if !slices.Contains(without, column) {
			set[column] = goqu.L("VALUES(?)", goqu.C(column))
		}
	}
	return insertRows(ctx, tx, table, rows, set)
}

// Bounds of one statement of many rows: well below what every server takes as
// one packet.
const (
	statementRows  = 500
	statementBytes = 1 << 20
)

// insertRows inserts rows in as few statements as are of a reasonable size;
// where a row exists, it gets what onDuplicate says, unless that is nil.
func insertRows(ctx context.Context, tx querier, table string, rows []goqu.Record, onDuplicate goqu.Record) error {
	for start := 0; start < len(rows); {
		end, size := start, 0
		for end < len(rows) && end-start < statementRows && size < statementBytes {
			size += recordSize(rows[end])
			end++
		}
		insert := dialect.Insert(table).Rows(rows[start:end])
		if onDuplicate != nil {
			insert = insert.OnConflict(goqu.DoUpdate("id", onDuplicate))
		}
		if _, err := exec(ctx, tx, insert); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// recordSize is about how many bytes a row takes in a statement.
func recordSize(row goqu.Record) int {
	size := 0
	for _, value := range row {
		switch value := value.(type) {
		case string:
			size += len(value)
		case []byte:
			size += len(value)
		default:
			size += 20
		}
	}
	return size
}
