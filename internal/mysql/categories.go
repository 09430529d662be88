package mysql

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"
	"github.com/doug-martin/goqu/v9/exp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

// Categories keeps categories. It is a job.CategoryStore.
type Categories struct {
	db     *sql.DB
	census *census
}

// NewCategories makes a store on a pool that Open made.
func NewCategories(db *sql.DB) *Categories { return &Categories{db: db, census: newCensus(db)} }

var _ job.CategoryStore = (*Categories)(nil)

// selectCategories reads categories, whose jobs countJobs adds.
func selectCategories() *goqu.SelectDataset {
	return dialect.From(goqu.T("categories").As("c")).Select(
		categoryTable.Col("id"), categoryTable.Col("name"), categoryTable.Col("description"),
		categoryTable.Col("color"), categoryTable.Col("status"), categoryTable.Col("version"),
		categoryTable.Col("created_at"), categoryTable.Col("updated_at"))
}

func scanCategory(rows *sql.Rows) (job.Category, error) {
	var c job.Category
	var status string
	err := rows.Scan(&c.ID, &c.Name, &c.Description, &c.Color, &status, &c.Version, &c.CreatedAt, &c.UpdatedAt)
	c.Status = job.CategoryStatus(status)
	return c, err
}

// GetCategory reads a category with the number of its jobs.
func (s *Categories) GetCategory(ctx context.Context, id int64) (job.Category, error) {
	found, err := queryOne(ctx, s.db, selectCategories().Where(categoryTable.Col("id").Eq(id)), scanCategory)
	if err != nil {
		return job.Category{}, categoryError(err)
	}
	counts, _, err := s.census.jobs(ctx)
	for by, n := range counts {
		if by.categoryID == id {
			found.JobCount += int(n)
		}
	}
	return found, translate(err)
}

func getCategory(ctx context.Context, q querier, id int64) (job.Category, error) {
	one, err := queryOne(ctx, q, selectCategories().Where(categoryTable.Col("id").Eq(id)), scanCategory)
	if err != nil {
		return job.Category{}, err
	}
	counted := []job.Category{one}
	err = countJobs(ctx, q, counted)
	return counted[0], err
}

// countJobs sets the number of jobs of each category of a page at once.
func countJobs(ctx context.Context, q querier, page []job.Category) error {
	if len(page) == 0 {
		return nil
	}
	ids := make([]int64, len(page))
	for i, c := range page {
		ids[i] = c.ID
	}
	type count struct {
		category int64
		jobs     int
	}
	counts, err := queryAll(ctx, q,
		dialect.From(goqu.T("jobs").As("j")).
			Select(jobTable.Col("category_id"), goqu.COUNT("*")).
			Where(jobTable.Col("category_id").In(ids), notDeleted).
			GroupBy(jobTable.Col("category_id")),
		func(rows *sql.Rows) (c count, err error) {
			err = rows.Scan(&c.category, &c.jobs)
			return c, err
		})
	if err != nil {
		return err
	}
	for _, c := range counts {
		for i := range page {
			if page[i].ID == c.category {
				page[i].JobCount = c.jobs
			}
		}
	}
	return nil
}

// ListCategories reads a page of categories and the number of all that match.
func (s *Categories) ListCategories(ctx context.Context, filter job.CategoryFilter) ([]job.Category, int, error) {
	matching := selectCategories()
	if filter.Search != "" {
		matching = matching.Where(contains("c.name_key", strings.TrimSpace(job.CategoryNameKey(filter.Search))))
	}
	if filter.Status != "" {
		matching = matching.Where(categoryTable.Col("status").Eq(string(filter.Status)))
	}
	total, err := queryOne(ctx, s.db, matching.Select(goqu.COUNT("*")), scanInto[int])
	if err != nil || total <= filter.Offset || filter.Limit <= 0 {
		return nil, total, translate(err)
	}
	page, err := queryAll(ctx, s.db,
		orderCategories(matching, filter).Offset(uint(filter.Offset)).Limit(uint(filter.Limit)), scanCategory)
	if err != nil {
		return nil, 0, translate(err)
	}
	counts, _, err := s.census.jobs(ctx)
	if err != nil {
		return nil, 0, translate(err)
	}
	for i := range page {
		for by, n := range counts {
			if by.categoryID == page[i].ID {
				page[i].JobCount += int(n)
			}
		}
	}
	return page, total, nil
}

func orderCategories(query *goqu.SelectDataset, filter job.CategoryFilter) *goqu.SelectDataset {
	var key exp.Orderable
	switch filter.Sort {
	case job.SortName:
		key = categoryTable.Col("name_key")
	case job.SortStatus:
		key = goqu.L("CONCAT(c.status)") // by its name: an ENUM sorts by its number
	case job.SortCreatedAt:
		key = categoryTable.Col("created_at")
	case job.SortUpdatedAt:
		key = categoryTable.Col("updated_at")
	default:
		return query.Order(direction(categoryTable.Col("id"), filter.Descending))
	}
	return query.Order(direction(key, filter.Descending), direction(categoryTable.Col("id"), filter.Descending))
}

// CreateCategory stores a new category.
func (s *Categories) CreateCategory(ctx context.Context, c job.Category) (job.Category, error) {
	row := categoryColumns(c)
	row["created_at"], row["status_at"] = utc(c.CreatedAt), utc(c.CreatedAt)
	err := inTx(ctx, s.db, func(tx *sql.Tx) (err error) {
		if c.ID, err = insertID(ctx, tx, dialect.Insert("categories").Rows(row)); err != nil {
			return nameTaken(err, "category")
		}
		return record(ctx, tx, c.Audited())
	})
	if err != nil {
		return job.Category{}, err
	}
	return s.GetCategory(ctx, c.ID)
}

func categoryColumns(c job.Category) goqu.Record {
	return goqu.Record{
		"name":        c.Name,
		"name_key":    job.CategoryNameKey(c.Name),
		"description": pointerOrNull(c.Description),
		"color":       c.Color,
		"status":      string(c.Status),
		"version":     c.Version,
		"updated_at":  utc(c.UpdatedAt),
	}
}

func pointerOrNull(text *string) any {
	if text == nil {
		return nil
	}
	return *text
}

// UpdateCategory stores what decide makes of the category. It writes one row,
// whatever the number of jobs: where the status changed, ticks see to them.
//
// The jobs count from the last change of the status, or up to it. So one that
// they have yet to follow must not be forgotten for the next: the error is
// job.ErrDue then. With hasty an inactivation does not wait for them: the
// activation before has then not reached those that have not followed.
func (s *Categories) UpdateCategory(ctx context.Context, id int64, hasty bool,
	decide func(current job.Category) (job.Category, error),
) (job.Category, error) {
	var result job.Category
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		current, err := lockCategory(ctx, tx, id)
		if err != nil {
			return err
		}
		edited, err := decide(current)
		if err != nil {
			return err
		}
		if edited.Version != current.Version {
			columns := categoryColumns(edited)
			if edited.Status != current.Status {
				at := utc(edited.UpdatedAt)
				if err := refuseUnfollowed(ctx, tx, edited, at, hasty); err != nil {
					return err
				}
				// Clocks differ; the changes have an order.
				columns["status_at"] = goqu.L("GREATEST(COALESCE(status_at, ?), ?)", at, at)
			}
			update := dialect.Update("categories").Set(columns).Where(goqu.C("id").Eq(id))
			if _, err := exec(ctx, tx, update); err != nil {
				return nameTaken(err, "category")
			}
			if err := record(ctx, tx, edited.AuditedChange(current)); err != nil {
				return err
			}
		}
		result, err = getCategory(ctx, tx, id)
		return err
	})
	return result, err
}

// refuseUnfollowed answers job.ErrDue where jobs of a category whose status
// changes have yet to follow the one before: where it becomes inactive, jobs that
// have no next run; where it becomes active, jobs with instants behind them, some
// of which were not due.
func refuseUnfollowed(ctx context.Context, tx *sql.Tx, edited job.Category, at time.Time, hasty bool) error {
	query, args := "SELECT id FROM jobs FORCE INDEX (ix_jobs_category) WHERE category_id = ? AND status = 'active' AND next_run_at ", []any{edited.ID}
	if edited.Status == job.CategoryActive {
		query, args = query+"<= ? LIMIT 1", append(args, at)
	} else if hasty {
		return nil
	} else {
		query += "IS NULL LIMIT 1"
	}
	found, err := queryAllSQL(ctx, tx, scanInto[int64], query, args...)
	if err == nil && len(found) > 0 {
		return job.ErrDue
	}
	return err
}

func lockCategory(ctx context.Context, tx *sql.Tx, id int64) (job.Category, error) {
	lock := selectCategories().Where(categoryTable.Col("id").Eq(id)).ForUpdate(goqu.Wait)
	found, err := queryOne(ctx, tx, lock, scanCategory)
	return found, categoryError(err)
}

func categoryError(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return apperr.Wrap(apperr.NotFound, err, "There is no such category.")
	}
	return translate(err)
}
