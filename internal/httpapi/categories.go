package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/cronjobs/cronjobs/internal/job"
)

// CategoryItem is a category as lists show it.
type CategoryItem struct {
	ID          int64              `json:"id"`
	Name        string             `json:"name"`
	Description *string            `json:"description" nullable:"true"`
	Color       string             `json:"color" example:"#3B82F6"`
	Status      job.CategoryStatus `json:"status" enum:"active,inactive"`
	JobCount    int                `json:"jobCount" doc:"How many jobs it has; deleted ones do not count."`
	IsActive    bool               `json:"isActive"`
	CreatedAt   Timestamp          `json:"createdAt"`
	UpdatedAt   Timestamp          `json:"updatedAt"`
}

func viewCategory(c job.Category) CategoryItem {
	return CategoryItem{
		ID: c.ID, Name: c.Name, Description: c.Description, Color: c.Color, Status: c.Status,
		JobCount: c.JobCount, IsActive: c.Status == job.CategoryActive,
		CreatedAt: Timestamp(c.CreatedAt), UpdatedAt: Timestamp(c.UpdatedAt),
	}
}

// categoryDetail is a category with its first jobs.
type categoryDetail struct {
	CategoryItem
	Jobs []jobView `json:"jobs" doc:"Its first 100 jobs by name."`
}

// categoryBody is what creating and replacing take.
type categoryBody struct {
	Name        string           `json:"name" checked:"later" pattern:"^\\s*[^\\s\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]([^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]{0,98}[^\\s\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f])?\\s*$" patternDescription:"1 to 100 characters, none of them control characters, space around it aside" doc:"1 to 100 characters, space around it aside; unique whatever its case."`
	Description Optional[string] `json:"description,omitzero" nullable:"true" maxLength:"1000" pattern:"^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$" patternDescription:"text without control characters"`
	Color       string           `json:"color" pattern:"^#[0-9A-Fa-f]{6}$" patternDescription:"a colour such as #1A2B3C"`
	Status      Optional[string] `json:"status,omitzero" enum:"active,inactive" absent:"active" doc:"The jobs of an inactive category do not fire."`
}

func (b categoryBody) input() job.CategoryInput {
	return job.CategoryInput{Name: &b.Name, Description: nullable(b.Description), Color: &b.Color, Status: b.Status.Ptr()}
}

// categoryChange is what patching takes.
type categoryChange struct {
	Name        Optional[string] `json:"name,omitzero" checked:"later" pattern:"^\\s*[^\\s\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]([^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]{0,98}[^\\s\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f])?\\s*$" patternDescription:"1 to 100 characters, none of them control characters, space around it aside" doc:"1 to 100 characters, space around it aside; unique whatever its case."`
	Description Optional[string] `json:"description,omitzero" nullable:"true" maxLength:"1000" pattern:"^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$" patternDescription:"text without control characters" doc:"Null removes it."`
	Color       Optional[string] `json:"color,omitzero" pattern:"^#[0-9A-Fa-f]{6}$" patternDescription:"a colour such as #1A2B3C"`
	Status      Optional[string] `json:"status,omitzero" enum:"active,inactive" doc:"The jobs of an inactive category do not fire."`
}

func (b categoryChange) input() job.CategoryInput {
	return job.CategoryInput{Name: b.Name.Ptr(), Description: nullable(b.Description), Color: b.Color.Ptr(), Status: b.Status.Ptr()}
}

// nullable hands a field on to the domain, where null has a meaning.
func nullable[T any](o Optional[T]) job.Nullable[T] {
	return job.Nullable[T]{Given: o.Set, Value: o.Ptr()}
}

type listCategoriesInput struct {
	Paging
	Search
	Order
	SortBy job.Sort           `query:"sortBy" enum:"id,name,status,createdAt,updatedAt" doc:"By id unless said."`
	Status job.CategoryStatus `query:"status" enum:"active,inactive"`
}

func (s *server) listCategories(ctx context.Context, in *listCategoriesInput) (List[CategoryItem], error) {
	found, total, err := s.Categories.List(ctx, job.CategoryFilter{
		Search: in.Text(), Status: in.Status, Sort: in.SortBy, Descending: in.Descending(false),
		Offset: in.Offset(), Limit: in.Limit,
	})
	if err != nil {
		return List[CategoryItem]{}, err
	}
	views := make([]CategoryItem, len(found))
	for i, c := range found {
		views[i] = viewCategory(c)
	}
	return List[CategoryItem]{Data: views, Meta: in.meta(int64(total))}, nil
}

type createCategoryInput struct{ Body categoryBody }

// CheckRest finds the faults of the domain in a form that is at fault.
func (in *createCategoryInput) CheckRest() error { return in.Body.input().Check() }

func (s *server) createCategory(ctx context.Context, in *createCategoryInput) (One[CategoryItem], error) {
	created, err := s.Categories.Create(ctx, in.Body.input())
	if err != nil {
		return One[CategoryItem]{}, err
	}
	answer := oneCategory(created, "The category has been created.")
	answer.Status = http.StatusCreated
	answer.Location = fmt.Sprintf("/categories/%d", created.ID)
	return answer, nil
}

func oneCategory(c job.Category, message string) One[CategoryItem] {
	return One[CategoryItem]{Data: viewCategory(c), Version: c.Version, Message: message}
}

func (s *server) getCategory(ctx context.Context, in *ByID) (One[categoryDetail], error) {
	found, jobs, err := s.Categories.Get(ctx, in.ID)
	if err != nil {
		return One[categoryDetail]{}, err
	}
	return One[categoryDetail]{
		Data:    categoryDetail{CategoryItem: viewCategory(found), Jobs: viewJobs(ctx, jobs)},
		Version: found.Version,
	}, nil
}

type replaceCategoryInput struct {
	ByID
	Conditional
	Body categoryBody
}

// CheckRest finds the faults of the domain in a form that is at fault.
func (in *replaceCategoryInput) CheckRest() error { return in.Body.input().Check() }

func (s *server) replaceCategory(ctx context.Context, in *replaceCategoryInput) (One[CategoryItem], error) {
	replaced, err := s.Categories.Replace(ctx, in.ID, in.Body.input(), in.Versions())
	if err != nil {
		return One[CategoryItem]{}, err
	}
	return oneCategory(replaced, "The category has been replaced."), nil
}

type patchCategoryInput struct {
	ByID
	Conditional
	Body categoryChange
}

// CheckRest finds the faults of the domain in a form that is at fault.
func (in *patchCategoryInput) CheckRest() error { return in.Body.input().Check() }

func (s *server) patchCategory(ctx context.Context, in *patchCategoryInput) (One[CategoryItem], error) {
	patched, err := s.Categories.Patch(ctx, in.ID, in.Body.input(), in.Versions())
	if err != nil {
		return One[CategoryItem]{}, err
	}
	return oneCategory(patched, "The category has been changed."), nil
}

type deleteCategoryInput struct {
	ByID
	Conditional
	ReassignTo int64 `query:"reassignTo" minimum:"1" maximum:"9007199254740991" example:"2" doc:"The category that its jobs go to; without it, a category that has jobs cannot be deleted (409)."`
}

func (s *server) deleteCategory(ctx context.Context, in *deleteCategoryInput) (None, error) {
	if err := s.Categories.Delete(ctx, in.ID, in.ReassignTo, in.Versions()); err != nil {
		return None{}, err
	}
	return None{Message: "The category has been deleted."}, nil
}
