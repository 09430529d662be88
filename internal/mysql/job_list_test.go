package mysql_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

func names(jobs []job.Job) []string {
	var all []string
	for _, j := range jobs {
		all = append(all, j.Name)
	}
	return all
}

func (k *keeper) list(filter job.Filter) ([]string, int) {
	k.t.Helper()
	page, total, err := k.jobs.List(k.t.Context(), filter)
	if err != nil {
		k.t.Fatal(err)
	}
	return names(page), total
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	a, b := k.category("A"), k.category("B")
	add := func(name, description string, category job.Category, change func(*job.Input)) {
		in := k.input(name, category.ID)
		in.Description = &description
		if change != nil {
			change(&in)
		}
		k.create(in)
	}
	add("Alpha_1", "Saves 100% of the day", a, nil)
	add("alphaX1", "Grüße an ÄRZTE und 😀", a, func(in *job.Input) { in.Method = new("POST") })
	add("Beta", `Back\slash and 'quote'`, b, func(in *job.Input) { in.Status = new("inactive") })
	add("Gamma", "Saves 100 times and 😁", b, nil)
	k.exec("UPDATE jobs SET status = 'failed' WHERE name = 'Gamma'")
	k.create(k.input("Alpha gone", a.ID))
	page, _, err := k.jobs.List(t.Context(), job.Filter{Search: "gone", Limit: 1})
	if err != nil || k.jobs.Delete(t.Context(), page[0].ID, nil) != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name   string
		filter job.Filter
		want   []string
	}{
		{"none", job.Filter{}, []string{"Alpha_1", "alphaX1", "Beta", "Gamma"}},
		{"name in any case", job.Filter{Search: "ALPHA"}, []string{"Alpha_1", "alphaX1"}},
		{"underscore is literal", job.Filter{Search: "a_1"}, []string{"Alpha_1"}},
		{"percent is literal", job.Filter{Search: "100%"}, []string{"Alpha_1"}},
		{"backslash is literal", job.Filter{Search: `k\s`}, []string{"Beta"}},
		{"quote", job.Filter{Search: `'QUOTE'`}, []string{"Beta"}},
		{"description in any case", job.Filter{Search: "grÜSSE"}, nil},
		{"umlauts in any case", job.Filter{Search: "grüßE AN ärzte"}, []string{"alphaX1"}},
		{"accents are told apart", job.Filter{Search: "arzte"}, nil},
		{"emoji are told apart", job.Filter{Search: "😀"}, []string{"alphaX1"}},
		{"nothing found", job.Filter{Search: "delta"}, nil},
		{"active", job.Filter{Status: job.Active}, []string{"Alpha_1", "alphaX1"}},
		{"inactive", job.Filter{Status: job.Inactive}, []string{"Beta"}},
		{"failed", job.Filter{Status: job.Failed}, []string{"Gamma"}},
		{"category", job.Filter{CategoryID: b.ID}, []string{"Beta", "Gamma"}},
		{"unknown category", job.Filter{CategoryID: b.ID + 1}, nil},
		{"method", job.Filter{Method: "POST"}, []string{"alphaX1"}},
		{"all together", job.Filter{Search: "a", Status: job.Active, CategoryID: a.ID, Method: "GET"}, []string{"Alpha_1"}},
	}
	for _, test := range tests {
		test.filter.Limit = 10
		k.requireListed(test.name, test.filter, test.want)
	}
	// Its text is too long for the index.
	add("Long", strings.Repeat("😀", 900)+" and ÄÖ at its end", b, nil)
	k.requireListed("end of a long text", job.Filter{Search: "äö AT", Limit: 10}, []string{"Long"})
	k.requireListed("name of a long text", job.Filter{Search: "long", Limit: 10}, []string{"Long"})
	k.requireListed("a long text in another category", job.Filter{Search: "long", CategoryID: a.ID, Limit: 10}, nil)
}

// requireListed lists by a store that keeps nothing yet, which searches in the
// database, and by one that comes to search in memory.
func (k *keeper) requireListed(name string, filter job.Filter, want []string) {
	k.t.Helper()
	fresh, fromFresh, err := mysql.NewJobs(k.db).ListJobs(k.t.Context(), filter, k.now)
	if err != nil {
		k.t.Fatal(err)
	}
	if diff := cmp.Diff(want, names(fresh), cmpopts.EquateEmpty()); diff != "" || fromFresh != len(want) {
		k.t.Errorf("%s, in the database: total %d %s", name, fromFresh, diff)
	}
	for range 3 {
		got, total := k.list(filter)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || total != len(want) {
			k.t.Errorf("%s: total %d %s", name, total, diff)
		}
	}
}

func TestListSortsAndPages(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A")
	ids := map[string]int64{}
	for i, name := range []string{"b", "C", "a", "d"} {
		k.now = noon.Add(time.Duration(i) * time.Minute)
		ids[name] = k.create(k.input(name, category.ID)).ID
	}
	k.now = noon
	stats := "UPDATE job_stats SET last_run_at = ? WHERE job_id = ?"
	k.exec(stats, noon.Add(-time.Hour), ids["d"])
	k.exec(stats, noon.Add(-time.Minute), ids["b"])
	next := "UPDATE jobs SET next_run_at = ? WHERE id = ?"
	k.exec(next, noon.Add(5*time.Minute), ids["b"])
	k.waitingRun(ids["b"], "schedule", "queued", 1, noon.Add(2*time.Minute))
	k.waitingRun(ids["b"], "schedule", "queued", 1, noon.Add(4*time.Minute))
	k.exec(next, noon.Add(3*time.Minute), ids["C"])
	k.exec(next, nil, ids["a"])
	k.exec("UPDATE jobs SET status = 'inactive' WHERE id = ?", ids["a"])
	k.exec("UPDATE jobs SET status = 'failed' WHERE id = ?", ids["b"])
	k.exec("UPDATE jobs SET updated_at = ? WHERE id IN (?, ?)", noon.Add(time.Hour), ids["b"], ids["C"])

	tests := []struct {
		sort     job.Sort
		up, down string
	}{
		{"", "b C a d", "d a C b"},
		{job.SortID, "b C a d", "d a C b"},
		{job.SortName, "a b C d", "d C b a"},
		{job.SortStatus, "C d b a", "a b d C"},
		{job.SortCreatedAt, "b C a d", "d a C b"},
		{job.SortUpdatedAt, "a d b C", "C b d a"},
		{job.SortNextRunAt, "b C d a", "d C b a"},
		{job.SortLastRunAt, "d b C a", "b d a C"},
	}
	for _, test := range tests {
		for _, descending := range []bool{false, true} {
			want := test.up
			if descending {
				want = test.down
			}
			filter := job.Filter{Sort: test.sort, Descending: descending, Limit: 10}
			if got, _ := k.list(filter); strings.Join(got, " ") != want {
				t.Errorf("by %q, descending %t: %v, want %s", test.sort, descending, got, want)
			}
			var paged []string
			for filter.Limit = 1; filter.Offset < 4; filter.Offset++ {
				one, total := k.list(filter)
				if paged = append(paged, one...); total != 4 {
					t.Errorf("total %d", total)
				}
			}
			if strings.Join(paged, " ") != want {
				t.Errorf("by %q, page by page: %v, want %s", test.sort, paged, want)
			}
		}
	}
	if got, total := k.list(job.Filter{Offset: 4, Limit: 10}); len(got) != 0 || total != 4 {
		t.Errorf("past the end: %v of %d", got, total)
	}
	if got, total := k.list(job.Filter{Offset: 1 << 40, Limit: 10}); len(got) != 0 || total != 4 {
		t.Errorf("far past the end: %v of %d", got, total)
	}
}

func TestCategories(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx := t.Context()
	k.exec("DELETE FROM categories")
	description := job.Nullable[string]{Given: true, Value: new("Text 😀")}
	created, err := k.categories.Create(ctx, job.CategoryInput{Name: new("  Café "), Color: new("#abCDef"), Description: description})
	if err != nil {
		t.Fatal(err)
	}
	want := job.Category{
		ID: created.ID, Name: "Café", Description: new("Text 😀"), Color: "#abCDef", Status: job.CategoryActive,
		Version: 1, CreatedAt: noon, UpdatedAt: noon,
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"CAFÉ", "cafe\u0301"} {
		if _, err := k.categories.Create(ctx, job.CategoryInput{Name: &name, Color: new("#000000")}); !apperr.Is(err, apperr.Conflict) || fieldsOf(err) != "name" {
			t.Errorf("%q: %v", name, err)
		}
	}
	cafe := k.category("cafe")
	if _, err := k.categories.Patch(ctx, cafe.ID, job.CategoryInput{Name: new("café")}, nil); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("rename to a taken name: %v", err)
	}
	if _, err := k.categories.Patch(ctx, created.ID, job.CategoryInput{Name: new("x")}, []int{2}); !apperr.Is(err, apperr.PreconditionFailed) {
		t.Errorf("another version: %v", err)
	}
	k.now = noon.Add(time.Hour)
	patched, err := k.categories.Patch(ctx, created.ID, job.CategoryInput{Description: job.Nullable[string]{Given: true}, Status: new("inactive")}, []int{1})
	want.Description, want.Status, want.Version, want.UpdatedAt = nil, job.CategoryInactive, 2, k.now
	if diff := cmp.Diff(want, patched); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if same, err := k.categories.Patch(ctx, created.ID, job.CategoryInput{Status: new("inactive")}, nil); err != nil || same.Version != 2 {
		t.Errorf("a patch that changes nothing: %+v, %v", same, err)
	}
	replaced, err := k.categories.Replace(ctx, created.ID, job.CategoryInput{Name: new("Tea"), Color: new("#000000")}, nil)
	want.Name, want.Color, want.Status, want.Version = "Tea", "#000000", job.CategoryActive, 3
	if diff := cmp.Diff(want, replaced); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, id := range []int64{0, created.ID + 100} {
		_, _, get := k.categories.Get(ctx, id)
		_, patch := k.categories.Patch(ctx, id, job.CategoryInput{}, nil)
		for i, err := range []error{get, patch, k.categories.Delete(ctx, id, created.ID, nil)} {
			if !apperr.Is(err, apperr.NotFound) {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
}

func TestListCategories(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	k.exec("DELETE FROM categories")
	for i, name := range []string{"b_eta", "Alpha 100%", "gÄmma"} {
		k.now = noon.Add(time.Duration(i) * time.Second)
		c := k.category(name)
		for n := range i {
			k.create(k.input(fmt.Sprintf("Job %d of %d", n, i), c.ID))
		}
		gone := k.create(k.input(fmt.Sprintf("Gone of %d", i), c.ID))
		if err := k.jobs.Delete(t.Context(), gone.ID, nil); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			if _, err := k.categories.Patch(t.Context(), c.ID, job.CategoryInput{Status: new("inactive")}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		filter job.CategoryFilter
		want   []string
	}{
		{"all", job.CategoryFilter{}, []string{"b_eta 0", "Alpha 100% 1", "gÄmma 2"}},
		{"by name", job.CategoryFilter{Sort: job.SortName}, []string{"Alpha 100% 1", "b_eta 0", "gÄmma 2"}},
		{"by name, down", job.CategoryFilter{Sort: job.SortName, Descending: true}, []string{"gÄmma 2", "b_eta 0", "Alpha 100% 1"}},
		{"by status", job.CategoryFilter{Sort: job.SortStatus, Descending: true}, []string{"gÄmma 2", "Alpha 100% 1", "b_eta 0"}},
		{"newest", job.CategoryFilter{Sort: job.SortCreatedAt, Descending: true}, []string{"gÄmma 2", "Alpha 100% 1", "b_eta 0"}},
		{"active", job.CategoryFilter{Status: job.CategoryActive}, []string{"b_eta 0", "Alpha 100% 1"}},
		{"inactive", job.CategoryFilter{Status: job.CategoryInactive}, []string{"gÄmma 2"}},
		{"search in any case", job.CategoryFilter{Search: "ALPHA"}, []string{"Alpha 100% 1"}},
		{"search with umlaut", job.CategoryFilter{Search: "gäm"}, []string{"gÄmma 2"}},
		{"percent is literal", job.CategoryFilter{Search: "0%"}, []string{"Alpha 100% 1"}},
		{"underscore is literal", job.CategoryFilter{Search: "_"}, []string{"b_eta 0"}},
	}
	for _, test := range tests {
		test.filter.Limit = 10
		page, total, err := k.categories.List(t.Context(), test.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range page {
			got = append(got, fmt.Sprintf("%s %d", c.Name, c.JobCount))
		}
		if !slices.Equal(got, test.want) || total != len(test.want) {
			t.Errorf("%s: %v of %d", test.name, got, total)
		}
	}
	page, total, err := k.categories.List(t.Context(), job.CategoryFilter{Offset: 1, Limit: 1})
	if err != nil || total != 3 || len(page) != 1 || page[0].Name != "Alpha 100%" {
		t.Errorf("second page: %v of %d, %v", page, total, err)
	}
}

func TestCategoryShowsItsFirstJobsByName(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	a, b := k.category("A"), k.category("B")
	for _, name := range []string{"b", "A", "c"} {
		k.create(k.input(name, a.ID))
	}
	k.create(k.input("other", b.ID))
	c, jobs, err := k.categories.Get(t.Context(), a.ID)
	if err != nil || c.JobCount != 3 || strings.Join(names(jobs), " ") != "A b c" {
		t.Errorf("%d jobs, %v, %v", c.JobCount, names(jobs), err)
	}
}

func TestDeleteCategory(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx := t.Context()
	from, to := k.category("From"), k.category("To")
	j := k.create(k.input("Moved", from.ID))
	gone := k.create(k.input("Gone", from.ID))
	if err := k.jobs.Delete(ctx, gone.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := k.categories.Delete(ctx, from.ID, 0, nil); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("with jobs: %v", err)
	}
	if err := k.categories.Delete(ctx, from.ID, to.ID+100, nil); !apperr.Is(err, apperr.Invalid) || fieldsOf(err) != "reassignTo" {
		t.Errorf("to an unknown category: %v", err)
	}
	if err := k.categories.Delete(ctx, from.ID, from.ID, nil); fieldsOf(err) != "reassignTo" {
		t.Errorf("to itself: %v", err)
	}
	if err := k.categories.Delete(ctx, from.ID, to.ID, []int{7}); !apperr.Is(err, apperr.PreconditionFailed) {
		t.Errorf("another version: %v", err)
	}
	k.now = noon.Add(time.Hour)
	if err := k.categories.Delete(ctx, from.ID, to.ID, []int{1}); err != nil {
		t.Fatal(err)
	}
	moved, err := k.jobs.Get(ctx, j.ID)
	if err != nil || moved.CategoryID != to.ID || moved.Version != 2 || !moved.UpdatedAt.Equal(k.now) {
		t.Errorf("moved: %+v, %v", moved, err)
	}
	if got := k.text("SELECT category_id FROM jobs WHERE id = ?", gone.ID); got != fmt.Sprint(to.ID) {
		t.Errorf("the deleted job is in category %s", got)
	}
	if err := k.jobs.Delete(ctx, j.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := k.categories.Delete(ctx, to.ID, 0, nil); err != nil {
		t.Errorf("with deleted jobs alone: %v", err)
	}
}

// TestInactivationWritesOneRow: what follows from it is left to ticks.
func TestInactivationWritesOneRow(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	c := k.category("A")
	j := k.create(k.input("Job", c.ID))
	run := k.waitingRun(j.ID, "schedule", "pending", 1, noon.Add(time.Minute))
	if _, err := k.categories.Patch(t.Context(), c.ID, job.CategoryInput{Status: new("inactive")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := k.nextRun(j.ID) + " " + k.text("SELECT status FROM executions WHERE id = ?", run); got != "02-01 00:00 pending" {
		t.Error(got)
	}
}
