package job_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

// behind is a store whose jobs have something due until it was claimed so often.
type behind struct {
	job.Store
	claims int
	left   int
}

func (b *behind) UpdateJob(context.Context, int64, int64, time.Time, func(job.Job, *job.CategoryRef) (job.Change, error)) (job.Job, error) {
	if b.left > 0 {
		return job.Job{}, job.ErrDue
	}
	return job.Job{ID: 1}, nil
}

func (b *behind) UpdateJobs(_ context.Context, ids []int64, _ int64, _ time.Time, _ func(job.Job, *job.CategoryRef) (job.Change, error)) ([]job.Updated, error) {
	if b.left > 0 {
		return nil, job.ErrDue
	}
	return make([]job.Updated, len(ids)), nil
}

func (b *behind) ImportJobs(context.Context, job.ImportQuery, time.Time, func(job.ImportFound) (*job.ImportPlan, error)) error {
	if b.left > 0 {
		return &job.DueError{JobIDs: []int64{1}}
	}
	return nil
}

func (b *behind) DispatchJobs(_ context.Context, ids []int64) error {
	b.claims += len(ids)
	b.left--
	return nil
}

func (b *behind) SettleJobs(ctx context.Context, ids []int64) error { return b.DispatchJobs(ctx, ids) }

// A change must not drop what is due without a record, however much of it there
// is, and whether or not it can be claimed.
func TestChangesWaitForWhatIsDue(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*job.Service) error{
		"one": func(s *job.Service) error { _, err := s.Pause(t.Context(), 1, nil); return err },
		"many": func(s *job.Service) error {
			_, err := s.ChangeMany(t.Context(), job.Bulk{Action: job.BulkPause, IDs: []int64{1}})
			return err
		},
		"import": func(s *job.Service) error { _, err := s.Import(t.Context(), nil, job.ImportOptions{}); return err },
	}
	for name, change := range changes {
		for left, want := range map[int]struct {
			claims int
			code   apperr.Code
		}{
			0:   {0, ""},
			1:   {1, ""},
			3:   {3, ""},
			100: {3, apperr.Unavailable},
		} {
			store := &behind{left: left}
			err := change(job.NewService(store, store, time.Minute, time.Now))
			if want.code == "" && err != nil || want.code != "" && !apperr.Is(err, want.code) {
				t.Errorf("%s with %d claims' worth due: %v", name, left, err)
			}
			if diff := cmp.Diff(want.claims, store.claims); diff != "" {
				t.Errorf("%s with %d claims' worth due: claims (-want +got):\n%s", name, left, diff)
			}
		}
	}
}
