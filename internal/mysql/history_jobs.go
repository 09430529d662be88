package mysql

import (
	"context"
	"strings"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// jobRestriction is what a list of executions asks of their jobs. Few jobs are
// named, so that each one's index serves; of many the row is looked up.
type jobRestriction struct {
	ids    []any // the few that are named; nil where none are
	joined bool  // j is joined, and wanted holds on it
	wanted conditions
	// failures are conditions on e alone, where neither is the case: few of the
	// executions are read for the text of their error.
	failures conditions
	// failed is where only such executions can fulfil it that are no success.
	failed bool
	index  string // of j, where its rows come first
	nobody bool   // no job fulfils it
	// orError lets executions in whose error holds the text, whatever their job.
	orError bool
	part    string
}

// restrictJobs turns category and search into a restriction.
func (s *History) restrictJobs(ctx context.Context, q execution.Query) (r jobRestriction, err error) {
	if q.CategoryID == 0 && q.Search == "" {
		return r, nil
	}
	r.part, r.orError = strings.ToLower(q.Search), q.Search != "" && q.SearchErrors
	r.index = "ix_jobs_category_name"
	if q.CategoryID != 0 {
		r.wanted.add("j.category_id = ?", q.CategoryID)
	}
	if q.Search != "" {
		name := nameHolds
		args := []any{r.part}
		if r.orError {
			name = "(" + name + " OR " + errorHolds + ")"
			args = append(args, r.part)
		}
		r.wanted.add(name, args...)
		r.index = "ix_jobs_search"
	}
	if q.JobID != 0 || r.orError && q.CategoryID != 0 {
		r.joined = true
		return r, nil
	}
	if q.Search == "" {
		many, err := queryAllSQL(ctx, s.db, scanInto[int64],
			"SELECT j.id FROM jobs j FORCE INDEX (ix_jobs_category_name) WHERE j.category_id = ? LIMIT 1 OFFSET ?", q.CategoryID, maxNamedJobs)
		if r.joined = len(many) > 0; r.joined || err != nil {
			return r, err
		}
	}
	found, err := s.namedJobs(ctx, q, r.part)
	switch {
	case err != nil:
		return r, err
	case r.orError && len(found) == 0 && q.Status == execution.Success:
		r.nobody = true // none has an error
	case r.orError && len(found) == 0:
		r.failed = true
		r.failures.add(errorHolds, r.part)
	case r.orError && len(found) <= maxNamedJobs:
		r.failures = namedOrError(found, r.part)
	case len(found) == 0:
		r.nobody = true
	case len(found) > maxNamedJobs:
		r.joined = true
	default:
		r.ids = ids(found, func(id int64) int64 { return id })
	}
	return r, nil
}

const (
	nameHolds  = "LOCATE(?, LOWER(j.name) COLLATE utf8mb4_bin) > 0"
	errorHolds = "LOCATE(?, LOWER(e.error_message) COLLATE utf8mb4_bin) > 0"
)

// namedOrError is what executions fulfil that are of one of the jobs, or whose
// error holds a text: no success has one. That is said by itself, for an index
// tells it, and engines then read the rows of the others alone.
func namedOrError(jobs []int64, part string) (c conditions) {
	args := ids(jobs, func(id int64) int64 { return id })
	named := "e.job_id IN (" + placeholders(len(args)) + ")"
	c.add("("+named+" OR e.status <> 'success')", args...)
	c.add("("+named+" OR e.status <> 'success' AND "+errorHolds+")", append(args, part)...)
	return c
}

// namedJobs lists the jobs of a category, or with a name, deleted ones too, and
// stops at one more than is named.
func (s *History) namedJobs(ctx context.Context, q execution.Query, part string) ([]int64, error) {
	if q.Search == "" {
		return queryAllSQL(ctx, s.db, scanInto[int64],
			"SELECT j.id FROM jobs j FORCE INDEX (ix_jobs_category_name) WHERE j.category_id = ? LIMIT ?", q.CategoryID, maxNamedJobs+1)
	}
	texts, _, err := s.texts.current(ctx, s.db)
	if err != nil {
		return nil, err
	}
	if texts != nil {
		return texts.named(part, q.CategoryID, maxNamedJobs+1), nil
	}
	category, categoryArgs := "", []any{}
	if q.CategoryID != 0 {
		category, categoryArgs = " AND j.category_id = ?", []any{q.CategoryID}
	}
	const of = "SELECT j.id FROM jobs j FORCE INDEX (ix_jobs_search) WHERE "
	query := of + "j.search_text IS NOT NULL AND LOCATE(?, SUBSTRING_INDEX(j.search_text, 0xFF, 1)) > 0" + category +
		" UNION ALL " + of + "j.deleted_at IS NULL AND j.search_text IS NULL AND " + nameHolds + category +
		" UNION ALL " + of + "j.deleted_at IS NOT NULL AND j.search_text IS NULL AND " + nameHolds + category
	args := append([]any{[]byte(part)}, categoryArgs...)
	for range 2 {
		args = append(append(args, part), categoryArgs...)
	}
	return queryAllSQL(ctx, s.db, scanInto[int64], "SELECT t.id FROM ("+query+") AS t LIMIT ?", append(args, maxNamedJobs+1)...)
}

// byID looks a job up by its id: where nothing but the category is asked of it, in
// an index that holds little else. It is named, lest an engine goes through all
// jobs of the category for each execution.
func (r jobRestriction) byID() string {
	if r.part == "" {
		return "jobs j FORCE INDEX (ix_jobs_category_of)"
	}
	return "jobs j FORCE INDEX (PRIMARY)"
}

// condition is the restriction in SQL; "" where there is none.
func (r jobRestriction) condition() (string, []any) {
	switch {
	case r.joined:
		return strings.Join(r.wanted.text, " AND "), r.wanted.args
	case r.failures.text != nil:
		return strings.Join(r.failures.text, " AND "), r.failures.args
	case r.ids != nil:
		return "e.job_id IN (" + placeholders(len(r.ids)) + ")", r.ids
	default:
		return "", nil
	}
}
