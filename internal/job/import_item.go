package job

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// DefaultColor is that of categories which an import makes.
const DefaultColor = "#6B7280"

// trimName is a name as it is stored, whatever else is wrong with it.
func trimName(raw string) string { return strings.TrimSpace(raw) }

// at is the name of a field of the item in faults.
func (item ImportItem) at(field string) string {
	switch {
	case field == "":
		return item.Place
	case item.Place == "":
		return field
	default:
		return item.Place + "." + field
	}
}

// category finds the category that an item shall be in, and notes one that
// must be made. A fault of the item is added to it; then an inactive category
// that is nobody's stands in, so that the rest can be checked.
func (im *importing) category(item *ImportItem, found ImportFound, fresh map[string]bool) *CategoryRef {
	fault := func(field, message string) *CategoryRef {
		item.Faults = append(item.Faults[:len(item.Faults):len(item.Faults)], apperr.Field{Name: field, Message: message})
		return &CategoryRef{Status: CategoryInactive}
	}
	switch {
	case apperr.Covers(item.Faults, "categoryName"), apperr.Covers(item.Faults, "categoryId"):
		return &CategoryRef{Status: CategoryInactive}
	case item.CategoryName != nil && item.Input.CategoryID != nil:
		return fault("categoryName", "is given beside categoryId; give one of them")
	case item.Input.CategoryID != nil:
		if ref, ok := found.CategoryByID[*item.Input.CategoryID]; ok {
			return &ref
		}
		return nil
	case item.CategoryName == nil && im.options.CategoryID != nil:
		if ref, ok := found.CategoryByID[*im.options.CategoryID]; ok {
			return &ref
		}
		return &CategoryRef{Status: CategoryInactive} // the fault is the request's
	case item.CategoryName == nil:
		return fault("categoryId", "is required, or a categoryName in its place")
	}
	var f apperr.Faults
	name := checkCategoryName(&f, *item.CategoryName)
	if err := f.Err(); err != nil {
		return fault("categoryName", fieldsOf(err)[0].Message)
	}
	key := CategoryNameKey(name)
	if ref, ok := found.CategoryByKey[key]; ok {
		return &ref
	}
	if !im.options.CreateCategories {
		return fault("categoryName", "there is no such category; make it, or send createCategories=true")
	}
	if !fresh[key] {
		fresh[key] = true
		im.plan.Categories = append(im.plan.Categories, Category{
			Name: name, Color: DefaultColor, Status: CategoryActive, Version: 1, CreatedAt: im.now, UpdatedAt: im.now,
		})
	}
	return &CategoryRef{Name: name, Status: CategoryActive}
}

// check lays an item over base, as creating and replacing do, and notes its
// faults. ok says that there are none.
func (im *importing) check(item ImportItem, base Job, stored *Request, category *CategoryRef) (j Job, ok bool, err error) {
	if whole := slices.IndexFunc(item.Faults, func(f apperr.Field) bool { return f.Name == "" }); whole >= 0 {
		// Nothing of it could be read, so nothing is missing.
		im.faults.add([]apperr.Field{{Name: item.Place, Message: item.Faults[whole].Message}})
		return Job{}, false, nil
	}
	in := item.Input
	in.importing = true
	if category != nil { // its id, if it has one by now
		in.CategoryID, base.CategoryID = nil, -1
	}
	j, err = in.check(base, stored, category, im.now)
	faults := slices.Clone(item.Faults)
	if err != nil {
		found := fieldsOf(err)
		if found == nil {
			return Job{}, false, err
		}
		for _, fault := range found {
			if !apperr.Covers(item.Faults, fault.Name) {
				faults = append(faults, fault)
			}
		}
	}
	if len(faults) > 0 {
		for i := range faults {
			faults[i].Name = item.at(faults[i].Name)
		}
		im.faults.add(faults)
		return Job{}, false, nil
	}
	if category != nil {
		j.CategoryID = category.ID
	}
	return j, true, nil
}

func (im *importing) create(i int, item ImportItem, category *CategoryRef) error {
	j, ok, err := im.check(item, Defaults(), nil, category)
	if err != nil || !ok {
		return err
	}
	j.Version, j.Revision, j.CreatedBy = 1, 1, im.options.By
	j.CreatedAt, j.UpdatedAt = im.now, im.now
	if j.NextRunAt, err = nextRun(j, im.now); err != nil {
		return err
	}
	im.done[i] = Imported{Name: j.Name, Action: ImportCreated, Warnings: im.warnings(item, &j)}
	im.plan.Create = append(im.plan.Create, j)
	im.created = append(im.created, i)
	return nil
}

// update replaces a stored job, as PUT does.
func (im *importing) update(i int, item ImportItem, stored Job, category *CategoryRef) error {
	j, ok, err := im.check(item, replaced(stored), &stored.Request, category)
	if err != nil || !ok {
		return err
	}
	warnings := im.warnings(item, &j)
	change, err := changeTo(stored, j, im.now)
	if err != nil {
		return err
	}
	im.done[i] = Imported{ID: stored.ID, Name: j.Name, Action: ImportUpdated, Warnings: warnings}
	if !change.Nothing {
		im.plan.Update = append(im.plan.Update, change)
	}
	return nil
}

// skip leaves a stored job as it is; its item is checked all the same.
func (im *importing) skip(i int, item ImportItem, stored Job, category *CategoryRef) {
	_, ok, err := im.check(item, Defaults(), nil, category)
	if err == nil && ok {
		im.done[i] = Imported{ID: stored.ID, Name: stored.Name, Action: ImportSkipped, Warnings: item.Warnings}
	}
}

// warnings are the item's own, that of secrets which are missing, and those of
// its schedule.
func (im *importing) warnings(item ImportItem, j *Job) []Warning {
	all := slices.Clone(item.Warnings)
	if missing := j.Request.missingSecrets(); len(missing) > 0 {
		all = append(all, Warning{
			Code: WarnSecretMissing,
			Message: "The job is inactive: the import holds a mask in the place of a secret (" +
				listed(missing) + "). Enter it, and make the job active.",
		})
		j.StatusReason = reasonSecretMissing
	}
	if parsed, err := ParseSchedule(j.CronPattern, j.Timezone); err == nil {
		for _, w := range parsed.Warnings(im.now) {
			all = append(all, Warning{Code: w.Code, Message: w.Message})
		}
	}
	return all
}

// listed names the first fields of a list, whose names may be long.
func listed(fields []string) string {
	const most, length = 3, 60
	short := make([]string, 0, most)
	for _, field := range fields[:min(most, len(fields))] {
		if len(field) > length {
			field = field[:length] + "…" // names of headers are ASCII
		}
		short = append(short, field)
	}
	if more := len(fields) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(short, ", "), more)
	}
	return strings.Join(short, ", ")
}

// maxImportFaults is how many faults of an import are named.
const maxImportFaults = 100

// importFaults keeps the first faults of an import and counts the rest.
type importFaults struct {
	named []apperr.Field
	count int
}

func (f *importFaults) add(faults []apperr.Field) {
	f.count += len(faults)
	room := min(maxImportFaults-len(f.named), len(faults))
	f.named = append(f.named, faults[:room]...)
}

// err is an Invalid error where there are faults, which names those whose name
// is taken too; a Conflict where only names are taken.
func (f *importFaults) err(taken []apperr.Field) error {
	if f.count == 0 && len(taken) == 0 {
		return nil
	}
	code, message := apperr.Invalid, "Nothing was imported; faults: %d."
	if f.count == 0 {
		code, message = apperr.Conflict, "Nothing was imported; names that are taken: %d. "+
			"onConflict=skip leaves those jobs as they are, onConflict=update replaces them."
	}
	f.add(taken)
	err := apperr.Newf(code, message, f.count)
	err.Fields = f.named
	if more := f.count - len(f.named); more > 0 {
		err.Message += fmt.Sprintf(" The first %d are listed here, and there are %d more.", len(f.named), more)
	}
	return err
}

// fieldsOf are the fields that an Invalid error names; nil for another error.
func fieldsOf(err error) []apperr.Field {
	var coded *apperr.Error
	if errors.As(err, &coded) && coded.Code == apperr.Invalid {
		return coded.Fields
	}
	return nil
}
