package job

import (
	"context"
	"errors"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// Categories is what people do with categories.
type Categories struct {
	store     CategoryStore
	jobs      Store
	scheduler CategoryScheduler
	now       func() time.Time
}

// NewCategories makes a service for categories.
func NewCategories(store CategoryStore, jobs Store, scheduler CategoryScheduler, now func() time.Time) *Categories {
	return &Categories{store: store, jobs: jobs, scheduler: scheduler, now: now}
}

// CategoryInput is what a person writes of a category, before any check. A nil
// field was not given.
type CategoryInput struct {
	Name        *string
	Description Nullable[string]
	Color       *string
	Status      *string
}

// shownJobs is how many of its jobs a category shows.
const shownJobs = 100

var colorForm = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

// Check names the faults that can be seen without the stored category, for a
// form that is at fault already; a field that is missing is not one of them.
func (in CategoryInput) Check() error {
	_, err := in.check(Category{Name: "-", Color: "-"})
	return err
}

func (in CategoryInput) check(base Category) (Category, error) {
	var f apperr.Faults
	c := base
	if required(&f, "name", in.Name, base.Name == "") {
		c.Name = checkCategoryName(&f, *in.Name)
	}
	if in.Description.Given {
		c.Description = in.Description.Value
		if text := value(c.Description); utf8.RuneCountInString(text) > maxCategoryDescription {
			f.Addf("description", "must have at most %d characters", maxCategoryDescription)
		} else if hasControl(text) {
			f.Add("description", "must not hold control characters")
		}
	}
	if required(&f, "color", in.Color, base.Color == "") {
		c.Color = *in.Color
		if !colorForm.MatchString(c.Color) {
			f.Add("color", "must be # and six hexadecimal digits")
		}
	}
	c.Status = oneOf(&f, "status", in.Status, c.Status, CategoryActive, CategoryInactive)
	return c, f.Err()
}

// List reads a page of categories and the number of all that match.
func (s *Categories) List(ctx context.Context, filter CategoryFilter) ([]Category, int, error) {
	return s.store.ListCategories(ctx, filter)
}

// Create stores a new category.
func (s *Categories) Create(ctx context.Context, in CategoryInput) (Category, error) {
	ctx = audit.Doing(ctx, audit.CategoryCreate)
	category, err := in.check(Category{Status: CategoryActive})
	if err != nil {
		return Category{}, err
	}
	now := s.now()
	category.Version, category.CreatedAt, category.UpdatedAt = 1, now, now
	return s.store.CreateCategory(ctx, category)
}

// Get reads a category with its first jobs by name.
func (s *Categories) Get(ctx context.Context, id int64) (Category, []Job, error) {
	category, err := s.store.GetCategory(ctx, id)
	if err != nil {
		return Category{}, nil, err
	}
	jobs, _, err := s.jobs.ListJobs(ctx, Filter{CategoryID: id, Sort: SortName, Limit: shownJobs}, s.now())
	return category, jobs, err
}

// Replace puts the input in the place of everything that a person can write.
// versions are those that the writer will change, nil for any; another one is
// PreconditionFailed.
func (s *Categories) Replace(ctx context.Context, id int64, in CategoryInput, versions []int) (Category, error) {
	return s.edit(ctx, id, in, versions, func(current Category) Category {
		base := current
		base.Name, base.Description, base.Color, base.Status = "", nil, "", CategoryActive
		return base
	})
}

// Patch changes the fields that are given. versions are as with Replace.
//
// The jobs of a category that becomes inactive do not fire from then on; those
// of one that becomes active fire from that instant on. A tick makes them follow,
// which is asked for.
func (s *Categories) Patch(ctx context.Context, id int64, in CategoryInput, versions []int) (Category, error) {
	return s.edit(ctx, id, in, versions, func(current Category) Category { return current })
}

func (s *Categories) edit(ctx context.Context, id int64, in CategoryInput, versions []int,
	base func(current Category) Category,
) (Category, error) {
	ctx = audit.Doing(ctx, audit.CategoryUpdate)
	restatused := false
	decide := func(current Category) (Category, error) {
		if err := checkVersion(current.Version, versions); err != nil {
			return Category{}, err
		}
		edited, err := in.check(base(current))
		if err != nil || edited.same(current) {
			return current, err
		}
		restatused = edited.Status != current.Status
		edited.Version++
		edited.UpdatedAt = s.now()
		return edited, nil
	}
	edited, err := s.afterFollowed(ctx, id, func(hasty bool) (Category, error) {
		restatused = false
		return s.store.UpdateCategory(ctx, id, hasty, decide)
	})
	if err == nil && restatused {
		s.scheduler.AskTick(ctx)
	}
	return edited, err
}

// afterFollowed carries out a change of a category. Where jobs have yet to follow
// the change before they do so first, as many as a request can wait for. If that
// is not enough an inactivation is carried out all the same: it must be possible
// at any time.
func (s *Categories) afterFollowed(ctx context.Context, id int64, change func(hasty bool) (Category, error)) (Category, error) {
	for try := 1; ; try++ {
		edited, err := change(try == dueTries)
		if !errors.Is(err, ErrDue) {
			return edited, err
		}
		if try == dueTries {
			return Category{}, errStillDue
		}
		if err := s.scheduler.FollowCategory(ctx, id); err != nil {
			return Category{}, err
		}
	}
}

func (c Category) same(other Category) bool {
	return c.Name == other.Name && c.Color == other.Color && c.Status == other.Status &&
		(c.Description == nil) == (other.Description == nil) && value(c.Description) == value(other.Description)
}

// Delete removes a category. Its jobs move to the category reassignTo; at 0 a
// category that has jobs is a Conflict. versions are as with Replace.
func (s *Categories) Delete(ctx context.Context, id, reassignTo int64, versions []int) error {
	ctx = audit.Doing(ctx, audit.CategoryDelete)
	if id == reassignTo {
		return apperr.InvalidField("reassignTo", "must be another category")
	}
	err := afterDue(ctx, s.scheduler, nil, func() error {
		return s.store.DeleteCategory(ctx, id, reassignTo, s.now(), func(current Category) error {
			return checkVersion(current.Version, versions)
		})
	})
	if err == nil && reassignTo != 0 {
		s.scheduler.AskTick(ctx) // the categories may differ in status
	}
	return err
}
