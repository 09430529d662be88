package job

import (
	"context"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// MaxImport is how many jobs an import takes, and an export gives, in one call.
const MaxImport = 1000

// OnConflict says what an import does with a job whose name is taken.
type OnConflict string

// What is done with a name that is taken.
const (
	ConflictFail   OnConflict = "fail"   // the whole import fails
	ConflictSkip   OnConflict = "skip"   // the stored job stays as it is
	ConflictUpdate OnConflict = "update" // the stored job is replaced
)

// ImportAction is what became of an item of an import.
type ImportAction string

// What becomes of items.
const (
	ImportCreated ImportAction = "created"
	ImportUpdated ImportAction = "updated"
	ImportSkipped ImportAction = "skipped"
)

// Warning tells of something about an item that its author may not expect.
type Warning struct {
	Code    string // stable, for programs
	Message string
}

// WarnSecretMissing is the code of the warning about a job whose secret was
// masked in the import: it is inactive until the secret is entered.
const WarnSecretMissing = "secret_missing"

// ImportItem is one job of an import, before any check.
type ImportItem struct {
	Input Input
	// CategoryName serves in place of Input.CategoryID.
	CategoryName *string
	// Place names the item in faults: "jobs[3]", "line 7".
	Place string
	// Faults are those of its form, named from the item on; further faults of
	// the same fields are not added.
	Faults   []apperr.Field
	Warnings []Warning
}

// ImportOptions say how an import is done.
type ImportOptions struct {
	OnConflict       OnConflict
	CreateCategories bool // make those that items name and nobody has made
	// CategoryID is that of items which name none; nil: they must.
	CategoryID *int64
	DryRun     bool // check all, and store nothing
	By         int64
	// Faults are those of the request beside its items; nothing is stored
	// where there are any.
	Faults []apperr.Field
}

// Imported is what became of an item.
type Imported struct {
	ID       int64 // 0 where a dry run would create it
	Name     string
	Action   ImportAction
	Warnings []Warning
}

// Import stores many jobs in one transaction, all or none. An Invalid error
// names the faults of all items, the first hundred of them; a Conflict, the
// items whose names are taken. The results are in the order of the items.
func (s *Service) Import(ctx context.Context, items []ImportItem, options ImportOptions) ([]Imported, error) {
	ctx = audit.Doing(ctx, audit.JobImport)
	im := newImporting(items, options, s.now())
	err := afterDue(ctx, s.scheduler, nil, func() error { return s.store.ImportJobs(ctx, im.query(), im.now, im.decide) })
	if err != nil {
		return nil, err
	}
	if !options.DryRun {
		s.dispatchInLine(ctx, im.near(s.lookAhead))
	}
	return im.results(), nil
}

// importing is one import under way.
type importing struct {
	items   []ImportItem
	options ImportOptions
	now     time.Time

	faults  importFaults
	taken   []apperr.Field
	done    []Imported
	plan    ImportPlan
	created []int // the items of plan.Create
}

func newImporting(items []ImportItem, options ImportOptions, now time.Time) *importing {
	return &importing{items: items, options: options, now: now}
}

// query is what must be known of the stored jobs and categories.
func (im *importing) query() ImportQuery {
	q := ImportQuery{Replace: im.options.OnConflict == ConflictUpdate}
	if im.options.CategoryID != nil {
		q.CategoryIDs = append(q.CategoryIDs, *im.options.CategoryID)
	}
	for _, item := range im.items {
		if item.Input.Name != nil {
			q.NameKeys = append(q.NameKeys, NameKey(trimName(*item.Input.Name)))
		}
		if item.Input.CategoryID != nil {
			q.CategoryIDs = append(q.CategoryIDs, *item.Input.CategoryID)
		}
		if item.CategoryName != nil {
			q.CategoryKeys = append(q.CategoryKeys, CategoryNameKey(trimName(*item.CategoryName)))
		}
	}
	return q
}

// decide works out what an import does, given what is stored. It may be called
// more than once.
func (im *importing) decide(found ImportFound) (*ImportPlan, error) {
	im.faults, im.taken, im.plan = importFaults{}, nil, ImportPlan{DryRun: im.options.DryRun, Results: im.results}
	im.done, im.created = make([]Imported, len(im.items)), nil
	im.faults.add(im.options.Faults)
	if id := im.options.CategoryID; id != nil && !apperr.Covers(im.options.Faults, "categoryId") {
		if _, exists := found.CategoryByID[*id]; !exists {
			im.faults.add([]apperr.Field{{Name: "categoryId", Message: "there is no such category"}})
		}
	}
	placeOfName := map[string]string{}
	newCategories := map[string]bool{}
	for i, item := range im.items {
		key := ""
		if item.Input.Name != nil {
			key = NameKey(trimName(*item.Input.Name))
		}
		if earlier, twice := placeOfName[key]; twice && key != "" {
			item.Faults = append(item.Faults[:len(item.Faults):len(item.Faults)],
				apperr.Field{Name: "name", Message: "is the name of " + earlier + " too"})
		} else {
			placeOfName[key] = item.Place
		}
		category := im.category(&item, found, newCategories)
		stored, exists := found.Jobs[key]
		switch {
		case exists && im.options.OnConflict == ConflictSkip:
			im.skip(i, item, stored, category)
		case exists && im.options.OnConflict == ConflictUpdate:
			if err := im.update(i, item, stored, category); err != nil {
				return nil, err
			}
		default:
			if exists {
				im.taken = append(im.taken, apperr.Field{Name: item.at("name"), Message: "is taken"})
			}
			if err := im.create(i, item, category); err != nil {
				return nil, err
			}
		}
	}
	if err := im.faults.err(im.taken); err != nil {
		return nil, err
	}
	return &im.plan, nil
}

// near lists the jobs whose next run, new or moved, is inside the look-ahead.
func (im *importing) near(lookAhead time.Duration) []int64 {
	var ids []int64
	until := im.now.Add(lookAhead)
	for _, j := range im.plan.Create {
		if j.NextRunAt != nil && !j.NextRunAt.After(until) {
			ids = append(ids, j.ID)
		}
	}
	for _, change := range im.plan.Update {
		if next := change.Job.NextRunAt; change.Reschedule && next != nil && !next.After(until) {
			ids = append(ids, change.Job.ID)
		}
	}
	return ids
}

// results tells what became of the items, once the plan is carried out.
func (im *importing) results() []Imported {
	for n, i := range im.created {
		im.done[i].ID = im.plan.Create[n].ID
	}
	return im.done
}
