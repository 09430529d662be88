package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/crontab"
	"github.com/cronjobs/cronjobs/internal/job"
)

// maxImportBody is how many bytes an import may have.
const maxImportBody = 4 << 20

const textType = "text/plain"

// importBody is the JSON of an import, and what an export has in data.
type importBody struct {
	Jobs []importJob `json:"jobs" maxItems:"1000"`
}

// importJob is what creating a job takes, where the name of a category serves
// for its id.
type importJob struct {
	JobFields
	CategoryID   Optional[int64]  `json:"categoryId,omitzero" minimum:"1" maximum:"9007199254740991" doc:"Either this or categoryName, unless the request names a category for all."`
	CategoryName Optional[string] `json:"categoryName,omitzero" minLength:"1" maxLength:"100" doc:"In the place of categoryId; in any case."`
}

// takesImport documents the two forms of an import, and leaves reading them to
// its handler.
func takesImport(s *server) option {
	return func(o *routeOptions) {
		o.raw, o.maxBody = true, maxImportBody
		o.op.DefaultStatus = http.StatusCreated
		schemas := s.api.OpenAPI().Components.Schemas
		o.op.RequestBody = &huma.RequestBody{
			Required: true,
			Content: map[string]*huma.MediaType{
				jsonType: {Schema: schemas.Schema(reflect.TypeFor[importBody](), true, "")},
				textType: {
					Schema:  &huma.Schema{Type: huma.TypeString, Description: "A crontab of curl commands, with ?categoryId=."},
					Example: "CRON_TZ=Europe/Berlin\n# name: Nightly report\n0 2 * * * curl -fsS -m 60 https://example.com/report >/dev/null\n",
				},
			},
		}
		s.readTagsOf(reflect.TypeFor[importJob]())
	}
}

type importJobsInput struct {
	Repeatable
	OnConflict       job.OnConflict `query:"onConflict" enum:"fail,skip,update" default:"fail" doc:"What becomes of a job whose name is taken: fail refuses the import with 409, skip leaves the stored job, update replaces it as PUT does."`
	DryRun           bool           `query:"dryRun" default:"false" doc:"Check everything and say what would be done; nothing is stored."`
	CreateCategories bool           `query:"createCategories" default:"false" doc:"Make the categories that jobs name and that do not exist."`
	CategoryID       int64          `query:"categoryId" minimum:"1" maximum:"9007199254740991" doc:"The category of jobs that name none; a crontab needs it."`
}

// importView is what an import did, or would do.
type importView struct {
	Created int              `json:"created"`
	Updated int              `json:"updated"`
	Skipped int              `json:"skipped"`
	DryRun  bool             `json:"dryRun"`
	Items   []importItemView `json:"items" doc:"In the order of the import."`
}

type importItemView struct {
	Index    int               `json:"index" doc:"Counted from 0."`
	ID       *int64            `json:"id" nullable:"true" doc:"Null where a dry run would create the job."`
	Name     string            `json:"name"`
	Action   job.ImportAction  `json:"action" enum:"created,updated,skipped"`
	Warnings []scheduleWarning `json:"warnings" doc:"secret_missing, option_ignored and variable_ignored, and those of schedules."`
}

// importJobs stores many jobs at once. All faults of the input are found here:
// those of its form first, then, by the service, those of the domain.
func (s *server) importJobs(ctx context.Context, in *importJobsInput) (One[importView], error) {
	taken := intakeOf(ctx)
	options := job.ImportOptions{
		OnConflict: in.OnConflict, DryRun: in.DryRun, CreateCategories: in.CreateCategories, By: principal(ctx).User.ID,
	}
	if in.CategoryID != 0 {
		options.CategoryID = &in.CategoryID
	}
	var items []job.ImportItem
	faults := taken.faults
	switch {
	case taken.bodyLost:
	case taken.media == textType:
		var found []apperr.Field
		items, found = crontab.Read(string(taken.body))
		faults = append(faults, found...)
		if options.CategoryID == nil {
			options.CategoryID = new(int64)
			if !apperr.Covers(faults, "categoryId") {
				faults.add("categoryId", "is required with a crontab")
			}
		}
	default:
		items = s.readImport(taken.body, &faults)
	}
	if len(items) == 0 && len(faults) > 0 {
		return One[importView]{}, faults.err()
	}
	options.Faults = faults
	var done []job.Imported
	if err := committed(ctx, &done); err != nil {
		return One[importView]{}, err
	}
	if done == nil {
		var err error
		if done, err = s.Jobs.Import(ctx, items, options); err != nil {
			return One[importView]{}, err
		}
	}
	view := viewImport(done, in.DryRun)
	message := "Imported: %d created, %d updated, %d skipped."
	if in.DryRun {
		message = "Nothing was stored. The import would be: %d created, %d updated, %d skipped."
	}
	return One[importView]{
		Status: http.StatusCreated, Data: view,
		Message: fmt.Sprintf(message, view.Created, view.Updated, view.Skipped),
	}, nil
}

func viewImport(done []job.Imported, dryRun bool) importView {
	view := importView{DryRun: dryRun, Items: make([]importItemView, len(done))}
	for i, one := range done {
		switch one.Action {
		case job.ImportCreated:
			view.Created++
		case job.ImportUpdated:
			view.Updated++
		case job.ImportSkipped:
			view.Skipped++
		}
		item := importItemView{Index: i, Name: one.Name, Action: one.Action, Warnings: make([]scheduleWarning, len(one.Warnings))}
		for n, w := range one.Warnings {
			item.Warnings[n] = scheduleWarning{Code: w.Code, Message: w.Message}
		}
		if one.ID != 0 {
			item.ID = &one.ID
		}
		view.Items[i] = item
	}
	return view
}
