package mysql

import (
	"context"
	"database/sql"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

const (
	// namesAtOnce is how many names are looked up in one go, and mostCopies how
	// many are tried in all.
	namesAtOnce = 100
	mostCopies  = 10_000
	// copyTries is how often another name is looked for because somebody else
	// has just taken the one that was free.
	copyTries = 10
)

// DuplicateJob stores what copied makes of a job under the first name that is
// free. Copies of one job are made one after the other, by the lock on its row,
// so that they do not race for names.
func (s *Jobs) DuplicateJob(ctx context.Context, id int64, now time.Time, copied func(source job.Job) job.Job) (job.Job, error) {
	var created job.Job
	err := changingJobs(ctx, s.db, func(tx *sql.Tx) error {
		source, err := s.lockJob(ctx, tx, id, now)
		if err != nil {
			return jobError(err)
		}
		// Whoever deletes the category waits, and then counts the copy too.
		if _, err := lockCategoryShared(ctx, tx, source.CategoryID); err != nil {
			return err
		}
		wanted := copied(source)
		for try := 1; ; try++ {
			if wanted.Name, err = freeCopyName(ctx, tx, source.Name); err != nil {
				return err
			}
			wanted.ID, err = insertJob(ctx, tx, newSealer(s.ring, tx, now), wanted)
			if err == nil || try == copyTries || !isDuplicate(err) {
				break
			}
		}
		if err != nil {
			return err
		}
		if created, err = getJob(ctx, tx, wanted.ID, now); err != nil {
			return err
		}
		return record(ctx, tx, created.Audited())
	})
	return created, err
}

// freeCopyName is the first name for a copy that no job has.
func freeCopyName(ctx context.Context, tx *sql.Tx, name string) (string, error) {
	for first := 1; first <= mostCopies; first += namesAtOnce {
		keys := make([]string, namesAtOnce)
		for i := range keys {
			keys[i] = job.NameKey(job.CopyName(name, first+i))
		}
		found, err := queryAll(ctx, tx, dialect.From("jobs").Select("name_key").Where(goqu.C("name_key").In(keys)), scanInto[string])
		if err != nil {
			return "", err
		}
		taken := make(map[string]bool, len(found))
		for _, key := range found {
			taken[key] = true
		}
		for i, key := range keys {
			if !taken[key] {
				return job.CopyName(name, first+i), nil
			}
		}
	}
	return "", apperr.New(apperr.Conflict, "This job has too many copies; give some of them other names.")
}
