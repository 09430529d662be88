package mysql

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"
	"github.com/doug-martin/goqu/v9/exp"

	"github.com/cronjobs/cronjobs/internal/job"
)

// fewJobs is how many matching jobs are named by their ids and sorted. More are
// dense enough to be met soon by whoever walks an index in the page's order.
const fewJobs = 1000

// ListJobs reads a page of jobs and the number of all that match. The page is
// chosen on narrow indexes, and only its jobs are read in full.
func (s *Jobs) ListJobs(ctx context.Context, filter job.Filter, now time.Time) ([]job.Job, int, error) {
	ids, total, err := s.chooseJobs(ctx, filter, now)
	if err != nil || len(ids) == 0 {
		return nil, total, translate(err)
	}
	full := selectJobs(goqu.T("jobs").As("j"), now).Where(jobTable.Col("id").In(ids), notDeleted)
	found, err := queryAll(ctx, s.db, full, scanJob)
	if err != nil {
		return nil, 0, translate(err)
	}
	return inOrder(found, ids), total, nil
}

// chooseTries is how often a page is chosen while jobs are being written.
const chooseTries = 3

// chooseJobs lists the ids of a page's jobs, and counts all that match. A page
// that was told from a count, or from a place, is one of the list that was
// counted only if no job has changed since; else it is chosen anew, and at last
// from the head of the list, which takes no count but more time.
func (s *Jobs) chooseJobs(ctx context.Context, filter job.Filter, now time.Time) (ids []int64, total int, err error) {
	for try := 1; ; try++ {
		match := matchJobs(filter)
		match.fromHead = try == chooseTries
		if match.order = orderOf(filter); match.order == runsFolded && try > 1 {
			match.order = "" // where runs end all the time it would never stand still
		}
		ids, total, err = s.choosePage(ctx, filter, &match, now)
		if err != nil || filter.Offset == 0 || match.told.jobs == 0 || match.fromHead {
			return ids, total, err
		}
		if match.told.order == 0 {
			match.order = ""
		}
		stands, err := ordered(ctx, s.db, match.order)
		if err != nil || stands == match.told {
			return ids, total, err
		}
	}
}

// choosePage is chooseJobs for one try. It sets the generations of what it tells.
func (s *Jobs) choosePage(ctx context.Context, filter job.Filter, match *jobMatch, now time.Time) (ids []int64, total int, err error) {
	if filter.Search != "" {
		texts, generation, err := s.texts.current(ctx, s.db)
		if err != nil {
			return nil, 0, err
		}
		if texts != nil {
			return s.chooseFound(ctx, filter, match, texts.find(filter), generation, now)
		}
	}
	known := counted(filter)
	if known {
		if match.told, err = ordered(ctx, s.db, match.order); err != nil {
			return nil, 0, err
		}
		generation := match.told.jobs
		if total, match.told.jobs, err = s.countKnown(ctx, filter, generation); err != nil {
			return nil, 0, err
		}
		if match.told.jobs != generation {
			match.told.order = 0 // it was told with another
		}
	}
	if match.narrow() && total <= fewJobs && !(known && byNameInCategory(filter)) {
		query, args := match.some(fewJobs + 1)
		few, err := queryAllSQL(ctx, s.db, scanInto[int64], query, args...)
		if err != nil {
			return nil, 0, err
		}
		if len(few) <= fewJobs {
			match.told = generations{} // these were told by themselves, by no count
			if len(few) <= filter.Offset || filter.Limit <= 0 {
				return nil, len(few), nil
			}
			ids, err := queryAll(ctx, s.db, orderFew(few, filter, now), scanInto[int64])
			return ids, len(few), err
		}
	}
	if !known {
		query, args := match.count()
		counted, err := queryAllSQL(ctx, s.db, scanInto[int], query, args...)
		if err != nil {
			return nil, 0, err
		}
		total = counted[0]
	}
	if total <= filter.Offset || filter.Limit <= 0 {
		return nil, total, nil
	}
	ids, err = s.walkJobs(ctx, filter, *match, total, now)
	return ids, total, err
}

// chooseFound chooses a page out of all jobs that match, which are known.
func (s *Jobs) chooseFound(ctx context.Context, filter job.Filter, match *jobMatch, found []int64, generation int64, now time.Time) (ids []int64, total int, err error) {
	if total = len(found); total <= filter.Offset || filter.Limit <= 0 {
		return nil, total, nil
	}
	byID := filter.Sort == "" || filter.Sort == job.SortID
	switch {
	case byID && filter.Descending:
		slices.Reverse(found)
		fallthrough
	case byID:
		return found[filter.Offset:min(total, filter.Offset+filter.Limit)], total, nil
	case total <= fewJobs:
		ids, err = queryAll(ctx, s.db, orderFew(found, filter, now), scanInto[int64])
	default:
		match.told.jobs = generation
		ids, err = s.walkJobs(ctx, filter, *match, total, now)
	}
	return ids, total, err
}

// counted reports that the census counts jobs by all that is asked for.
func counted(filter job.Filter) bool { return filter.Search == "" }

// byNameInCategory reports that an index holds exactly what is asked for, in
// its order.
func byNameInCategory(filter job.Filter) bool {
	return filter.Sort == job.SortName && filter.CategoryID != 0 && filter.Status == "" && filter.Method == ""
}

// orderOf is what the order of a list changes with, beside the jobs: by next run
// for each page but the first, for it is told from two statements; by last run for
// pages that lie deep. The others are read from the head of the list.
func orderOf(filter job.Filter) subject {
	switch {
	case filter.Sort == job.SortNextRunAt && filter.Offset > 0:
		return schedulesMoved
	case filter.Sort == job.SortLastRunAt && filter.Offset >= deepPage:
		return runsFolded
	default:
		return ""
	}
}

// countKnown counts jobs by what the census counts them by, in a generation or a
// later one, which it answers.
func (s *Jobs) countKnown(ctx context.Context, filter job.Filter, generation int64) (total int, of int64, err error) {
	counts, of, err := s.census.jobsAt(ctx, generation)
	for by, n := range counts {
		if (filter.Status == "" || filter.Status == by.status) && (filter.CategoryID == 0 || filter.CategoryID == by.categoryID) &&
			(filter.Method == "" || filter.Method == by.method) {
			total += int(n)
		}
	}
	return total, of, err
}

// inOrder arranges jobs as ids are; one that is gone by now is left out.
func inOrder(found []job.Job, ids []int64) []job.Job {
	byID := make(map[int64]job.Job, len(found))
	for _, j := range found {
		byID[j.ID] = j
	}
	ordered := make([]job.Job, 0, len(ids))
	for _, id := range ids {
		if j, ok := byID[id]; ok {
			ordered = append(ordered, j)
		}
	}
	return ordered
}

// jobMatch is what a filter asks of a job, as conditions on j.
type jobMatch struct {
	where string // of what every index of a list holds
	args  []any
	part  string // what is searched for, folded; "" where nothing is
	index string // that holds all of where
	// told are the generations in which they were counted, and are walked; order is
	// what the second of them is of.
	told  generations
	order subject
	// fromHead is where nothing is to be told from a count or from a place.
	fromHead bool
}

func matchJobs(filter job.Filter) jobMatch {
	m := jobMatch{where: "j.deleted_at IS NULL", index: "ix_jobs_live"}
	if filter.Status != "" {
		m.index = "ix_jobs_status" // which begins with it
	}
	for column, value := range map[string]string{"status": string(filter.Status), "method": filter.Method} {
		if value != "" {
			m.where += " AND j." + column + " = ?"
			m.args = append(m.args, value)
		}
	}
	if filter.CategoryID != 0 {
		m.where += " AND j.category_id = ?"
		m.args = append(m.args, filter.CategoryID)
	}
	m.part = strings.ToLower(filter.Search)
	return m
}

// narrow reports whether a part of the jobs is asked for.
func (m jobMatch) narrow() bool { return m.part != "" || len(m.args) > 0 }

// parts are conditions that no job fulfils two of, and that indexes alone answer
// but for the last: a text that was too long for the index is looked for in its
// row.
func (m jobMatch) parts() (from string, where []string, args [][]any) {
	if m.part == "" {
		return "jobs j FORCE INDEX (" + m.index + ")", []string{m.where}, [][]any{m.args}
	}
	return "jobs j FORCE INDEX (ix_jobs_search)",
		[]string{m.where + " AND j.search_text IS NOT NULL AND LOCATE(?, j.search_text) > 0", m.where + " AND j.search_text IS NULL AND " + searchLong},
		[][]any{slices.Concat(m.args, []any{[]byte(m.part)}), slices.Concat(m.args, []any{m.part, m.part})}
}

// some selects the ids of up to limit jobs of each part. The limit stands with
// the part, for engines store a union whole before they cut it.
func (m jobMatch) some(limit int) (query string, args []any) {
	from, where, partArgs := m.parts()
	var selects []string
	for i := range where {
		selects = append(selects, "(SELECT j.id FROM "+from+" WHERE "+where[i]+" LIMIT ?)")
		args = append(append(args, partArgs[i]...), limit)
	}
	return strings.Join(selects, " UNION ALL "), args
}

// count counts all that match.
func (m jobMatch) count() (query string, args []any) {
	from, where, partArgs := m.parts()
	var counts []string
	for i := range where {
		counts = append(counts, "(SELECT COUNT(*) FROM "+from+" WHERE "+where[i]+")")
		args = append(args, partArgs[i]...)
	}
	return "SELECT " + strings.Join(counts, " + "), args
}

const searchLong = "(LOCATE(?, j.name_key) > 0 OR LOCATE(?, LOWER(j.description) COLLATE utf8mb4_bin) > 0)"

// all is the whole condition on a row that is read anyway.
func (m jobMatch) all() (string, []any) {
	if m.part == "" {
		return m.where, slices.Clone(m.args)
	}
	return m.where + " AND (LOCATE(?, j.search_text) > 0 OR j.search_text IS NULL AND " + searchLong + ")",
		slices.Concat(m.args, []any{[]byte(m.part), m.part, m.part})
}

// maxSearchText is how many bytes of text an index holds.
const maxSearchText = 3000

// searchText is what a search looks through: name and description, folded, and
// between them a byte that no text holds. Nil where it is too long.
func searchText(j job.Job) any {
	text := foldedText(j.Name, j.Description)
	if len(text) > maxSearchText {
		return nil
	}
	return text
}

// afterName stands between name and description.
const afterName = 0xFF

func foldedText(name, description string) []byte {
	return slices.Concat([]byte(strings.ToLower(name)), []byte{afterName}, []byte(strings.ToLower(description)))
}

// contains finds part in a column that is folded and has a binary collation.
// Unlike LIKE it has no wildcards to escape, and unlike the tables' collation
// it tells accents and emoji apart.
func contains(column, part string) exp.LiteralExpression {
	return goqu.L("LOCATE(?, "+column+") > 0", part)
}

// containsFolded is contains for a column as it was written.
func containsFolded(column, part string) exp.LiteralExpression {
	return goqu.L("LOCATE(?, LOWER("+column+") COLLATE utf8mb4_bin) > 0", part)
}

// orderFew sorts some jobs by the filter's key and then by id, and takes the
// page. Jobs without the key, which never ran or are not scheduled, come last
// in either direction.
func orderFew(ids []int64, filter job.Filter, now time.Time) *goqu.SelectDataset {
	query := dialect.From(goqu.T("jobs").As("j")).Select(jobTable.Col("id")).Where(jobTable.Col("id").In(ids)).
		Offset(uint(filter.Offset)).Limit(uint(filter.Limit))
	var key exp.Orderable
	switch filter.Sort {
	case job.SortName:
		key = jobTable.Col("name_key")
	case job.SortStatus:
		key = goqu.L("CONCAT(j.status)") // by its name: an ENUM sorts by its number
	case job.SortCreatedAt:
		key = jobTable.Col("created_at")
	case job.SortUpdatedAt:
		key = jobTable.Col("updated_at")
	case job.SortNextRunAt:
		ahead := dialect.From("executions").
			Select(goqu.C("job_id"), goqu.MIN("occurrence_at").As("at")).
			Where(goqu.C("job_id").In(ids), goqu.C("status").In("pending", "queued"), goqu.C("occurrence_at").Gt(utc(now))).
			GroupBy("job_id")
		query = query.LeftJoin(ahead.As("w"), goqu.On(goqu.I("w.job_id").Eq(jobTable.Col("id")))).
			OrderAppend(goqu.L("j.next_run_at IS NULL").Asc())
		key = goqu.L("LEAST(j.next_run_at, COALESCE(w.at, j.next_run_at))")
	case job.SortLastRunAt:
		query = query.LeftJoin(goqu.T("job_stats").As("s"), goqu.On(statsTable.Col("job_id").Eq(jobTable.Col("id")))).
			OrderAppend(goqu.L("s.last_run_at IS NULL").Asc())
		key = statsTable.Col("last_run_at")
	default:
		return query.OrderAppend(direction(jobTable.Col("id"), filter.Descending))
	}
	return query.OrderAppend(direction(key, filter.Descending), direction(jobTable.Col("id"), filter.Descending))
}

func direction(key exp.Orderable, descending bool) exp.OrderedExpression {
	if descending {
		return key.Desc()
	}
	return key.Asc()
}

var _ job.Store = (*Jobs)(nil)

// lockCategoryShared reads a category and keeps it from changing until the
// transaction ends; nil where there is none.
func lockCategoryShared(ctx context.Context, tx *sql.Tx, id int64) (*job.CategoryRef, error) {
	found, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (job.CategoryRef, error) {
		var c job.CategoryRef
		var status string
		err := rows.Scan(&c.ID, &c.Name, &c.Color, &status)
		c.Status = job.CategoryStatus(status)
		return c, err
	}, "SELECT id, name, color, status FROM categories WHERE id = ? LOCK IN SHARE MODE", id)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
