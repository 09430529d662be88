package mysql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// Jobs keeps jobs and their requests. It is a job.Store.
type Jobs struct {
	db     *sql.DB
	census *census
	places map[subject]*places // by what the lists' order changes with, beside the jobs
	texts  *texts
	ring   *secret.Ring
}

// NewJobs makes a store on a pool that Open made. It has no key: secrets are
// neither stored nor opened.
func NewJobs(db *sql.DB) *Jobs {
	return &Jobs{db: db, census: newCensus(db), places: newPlaces(), texts: &texts{}}
}

// WithKeys is the store with keys for secrets.
func (s *Jobs) WithKeys(ring *secret.Ring) *Jobs {
	return &Jobs{db: s.db, census: s.census, places: s.places, texts: s.texts, ring: ring}
}

// GetJob reads a job that is not deleted.
func (s *Jobs) GetJob(ctx context.Context, id int64, now time.Time) (job.Job, error) {
	found, err := getJob(ctx, s.db, id, now)
	return found, jobError(err)
}

// CreateJob stores what decide makes of the category.
func (s *Jobs) CreateJob(ctx context.Context, categoryID int64,
	decide func(category *job.CategoryRef) (job.Job, error),
) (job.Job, error) {
	var created job.Job
	err := changingJobs(ctx, s.db, func(tx *sql.Tx) error {
		category, err := lockCategoryShared(ctx, tx, categoryID)
		if err != nil {
			return err
		}
		created, err = decide(category)
		if err != nil {
			return err
		}
		if created.ID, err = insertJob(ctx, tx, newSealer(s.ring, tx, created.CreatedAt), created); err != nil {
			return err
		}
		if created, err = getJob(ctx, tx, created.ID, created.CreatedAt); err != nil {
			return err
		}
		if err := record(ctx, tx, created.Audited()); err != nil {
			return err
		}
		return noteEffect(ctx, tx, created.ID)
	})
	return created, err
}

// FindCategory reads a category.
func (s *Jobs) FindCategory(ctx context.Context, id int64) (category *job.CategoryRef, err error) {
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		category, err = lockCategoryShared(ctx, tx, id)
		return err
	})
	return category, err
}

func insertJob(ctx context.Context, tx *sql.Tx, seal *sealer, j job.Job) (int64, error) {
	id, err := insertID(ctx, tx, dialect.Insert("jobs").Rows(jobRecord(j)))
	if err != nil {
		return 0, nameTaken(err, "job")
	}
	if err := listStats(ctx, tx, []int64{id}); err != nil {
		return 0, err
	}
	return id, insertRequest(ctx, tx, seal, id, j.Revision, j.Request, j.CreatedAt)
}

// jobRecord is the row of a new job.
func jobRecord(j job.Job) goqu.Record {
	row := personColumns(j)
	row["version"] = j.Version
	row["revision"] = j.Revision
	row["next_run_at"] = nullTime(j.NextRunAt)
	row["created_at"] = utc(j.CreatedAt)
	row["created_by"] = idOrNull(j.CreatedBy)
	return row
}

// personColumns are the columns that people's changes write, but for those
// that only some changes do.
func personColumns(j job.Job) goqu.Record {
	return goqu.Record{
		"name":           j.Name,
		"name_key":       job.NameKey(j.Name),
		"description":    j.Description,
		"search_text":    searchText(j),
		"cron_pattern":   j.CronPattern,
		"timezone":       j.Timezone,
		"category_id":    j.CategoryID,
		"method":         j.Request.Method,
		"misfire_policy": string(j.MisfirePolicy),
		"status":         string(j.Status),
		"status_reason":  nullString(j.StatusReason),
		"updated_at":     utc(j.UpdatedAt),
	}
}

// UpdateJob carries out what decide makes of the job. The order of locks is
// that of every change by a person: the job's row, its category (shared), its
// executions, its stats.
func (s *Jobs) UpdateJob(ctx context.Context, id, categoryID int64, now time.Time,
	decide func(current job.Job, category *job.CategoryRef) (job.Change, error),
) (job.Job, error) {
	var result job.Job
	err := changingJobs(ctx, s.db, func(tx *sql.Tx) error {
		current, err := s.lockJob(ctx, tx, id, now)
		if err != nil {
			return jobError(err)
		}
		wanted := categoryID
		if wanted == 0 {
			wanted = current.CategoryID
		}
		category, err := lockCategoryShared(ctx, tx, wanted)
		if err != nil {
			return err
		}
		change, err := decide(current, category)
		if err != nil {
			return err
		}
		if change.Nothing {
			result, err = getJob(ctx, tx, id, now)
			return err
		}
		if err := refuseDue(ctx, tx, []job.Change{change}, now); err != nil {
			return err
		}
		if err := applyChange(ctx, tx, newSealer(s.ring, tx, now), change, now); err != nil {
			return err
		}
		if err := record(ctx, tx, change.Audited(current)); err != nil {
			return err
		}
		if result = change.Job; change.Delete {
			return nil
		}
		result, err = getJob(ctx, tx, id, now)
		return err
	})
	return result, err
}

// lockJob locks a job's row alone, and then reads it with all that belongs to
// it, its secrets included: a locking read of the join would lock the others'
// rows as well.
func (s *Jobs) lockJob(ctx context.Context, tx *sql.Tx, id int64, now time.Time) (job.Job, error) {
	lock := dialect.From(goqu.T("jobs").As("j")).Select(jobTable.Col("id")).
		Where(jobTable.Col("id").Eq(id), notDeleted).ForUpdate(goqu.Wait)
	if _, err := queryOne(ctx, tx, lock, scanInto[int64]); err != nil {
		return job.Job{}, err
	}
	found, err := getJob(ctx, tx, id, now)
	if err != nil {
		return job.Job{}, err
	}
	err = openForPerson(ctx, s.ring, tx, &found)
	return found, err
}

func applyChange(ctx context.Context, tx *sql.Tx, seal *sealer, change job.Change, now time.Time) error {
	j := change.Job
	if err := cancelWaiting(ctx, tx, []int64{j.ID}, change.Cancel, now); err != nil {
		return err
	}
	row := personColumns(j)
	row["version"] = j.Version
	row["revision"] = j.Revision
	if change.Reschedule {
		row["next_run_at"] = nullTime(j.NextRunAt)
	}
	if change.Delete {
		row["name_key"] = nil
		row["deleted_at"] = utc(now)
	}
	if _, err := exec(ctx, tx, dialect.Update("jobs").Set(row).Where(goqu.C("id").Eq(j.ID))); err != nil {
		return nameTaken(err, "job")
	}
	if change.NewRevision {
		if err := insertRequest(ctx, tx, seal, j.ID, j.Revision, j.Request, now); err != nil {
			return err
		}
	}
	if change.ForgetFailures {
		return forgetFailures(ctx, tx, []int64{j.ID})
	}
	if change.Delete {
		return forgetDeleted(ctx, tx, []int64{j.ID})
	}
	return nil
}

// forgetDeleted removes what deleted jobs no longer need, and takes them off the
// lists by their runs.
func forgetDeleted(ctx context.Context, tx *sql.Tx, jobIDs []int64) error {
	if err := forgetSigningKeys(ctx, tx, jobIDs); err != nil {
		return err
	}
	return unlistStats(ctx, tx, jobIDs)
}

// forgetFailures starts the count of failures in a row of jobs anew.
func forgetFailures(ctx context.Context, tx *sql.Tx, jobIDs []int64) error {
	_, err := exec(ctx, tx, dialect.Update("job_stats").
		Set(goqu.Record{"consecutive_failures": 0, "first_failure_at": nil}).
		Where(goqu.C("job_id").In(jobIDs)))
	return err
}

// cancelWaiting ends waiting runs of jobs whose rows the transaction holds.
func cancelWaiting(ctx context.Context, tx *sql.Tx, jobIDs []int64, which job.Cancel, now time.Time) error {
	end := ending{
		status: execution.Cancelled, reason: which.Reason(), index: "ix_executions_job_status",
		where: "job_id IN (" + placeholders(len(jobIDs)) + ")", args: ids(jobIDs, func(id int64) int64 { return id }),
	}
	switch which {
	case job.CancelNone:
		return nil
	case job.CancelFuture:
		end.where += " AND trigger_type = 'schedule' AND attempt = 1 AND occurrence_at > ?"
		end.args = append(end.args, utc(now))
	case job.CancelScheduled:
		end.where += " AND trigger_type = 'schedule'"
	case job.CancelAll:
	}
	_, err := endWaiting(ctx, tx, now, end)
	return err
}

func jobError(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return apperr.Wrap(apperr.NotFound, err, "There is no such job.")
	}
	return translate(err)
}

// nameTaken turns a duplicate key into a Conflict on the field "name".
func nameTaken(err error, what string) error {
	if !isDuplicate(err) {
		return err
	}
	conflict := apperr.Wrap(apperr.Conflict, err, "Another "+what+" has that name.")
	conflict.Fields = []apperr.Field{{Name: "name", Message: "is taken"}}
	return conflict
}

func idOrNull(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}
