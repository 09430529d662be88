package mysql_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// fill puts n jobs into a category, every tenth of them deleted.
func (k *keeper) fill(categoryID int64, n int) {
	k.t.Helper()
	var values []string
	var args []any
	for i := range n {
		name := fmt.Sprintf("Filling %d %04d", categoryID, i)
		var key any = strings.ToLower(name)
		if i%10 == 9 {
			key = nil
		}
		values = append(values, "(?, ?, 'A job of the tests', '@daily', 'UTC', ?, 'GET', 'active', ?, ?, ?)")
		args = append(args, name, key, categoryID, noon.Add(12*time.Hour), noon, noon)
	}
	k.exec(`INSERT INTO jobs (name, name_key, description, cron_pattern, timezone, category_id, method, status, next_run_at, created_at, updated_at)
		VALUES `+strings.Join(values, ", "), args...)
}

func TestDeletingACategoryMovesAllItsJobs(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 500, 501, 1201} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t)
			from, to := k.category("From"), k.category("To")
			if n > 0 {
				k.fill(from.ID, n)
			}
			k.fill(to.ID, 3)
			if err := k.categories.Delete(t.Context(), from.ID, to.ID, []int{2}); !apperr.Is(err, apperr.PreconditionFailed) {
				t.Errorf("another version: %v", err)
			}
			if err := k.categories.Delete(t.Context(), from.ID, 1<<50, nil); !apperr.Is(err, apperr.Invalid) {
				t.Errorf("into nothing: %v", err)
			}
			if got := k.text("SELECT COUNT(*) FROM jobs WHERE category_id = ? AND version = 1", from.ID); got != fmt.Sprint(n) {
				t.Fatalf("%s jobs are left by a deletion that was refused", got)
			}
			if err := k.categories.Delete(t.Context(), from.ID, to.ID, []int{1}); err != nil {
				t.Fatal(err)
			}
			if got := k.text("SELECT CONCAT(SUM(category_id = ?), ' ', SUM(version) - COUNT(*)) FROM jobs", to.ID); got != fmt.Sprintf("%d %d", n+3, n) {
				t.Errorf("jobs there, and changes: %s", got)
			}
			if err := k.categories.Delete(t.Context(), from.ID, to.ID, nil); !apperr.Is(err, apperr.NotFound) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// TestDeletingACategoryGoesOnWhereItWasCutOff ends a deletion between its
// transactions, as the end of the process would, and asks again; a job that came
// meanwhile moves along.
func TestDeletingACategoryGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	from, to := k.category("From"), k.category("To")
	k.fill(from.ID, 1201)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	parts := 0
	err := mysql.NewCategories(k.db).DeleteCategory(ctx, from.ID, to.ID, noon, func(job.Category) error {
		if parts++; parts == 2 {
			cancel()
		}
		return nil
	})
	if err == nil || parts != 2 {
		t.Fatalf("it was not cut off: %d parts, %v", parts, err)
	}
	const where = "SELECT CONCAT(SUM(category_id = ?), ' ', SUM(category_id = ?), ' ', SUM(version) - COUNT(*)) FROM jobs"
	if got := k.text(where, from.ID, to.ID); got != "701 500 500" {
		t.Errorf("left, moved and changed: %s", got)
	}
	k.create(k.input("Came meanwhile", from.ID))
	if err := k.categories.Delete(t.Context(), from.ID, to.ID, []int{1}); err != nil {
		t.Fatalf("again: %v", err)
	}
	if got := k.text(where, from.ID, to.ID); got != "0 1202 1202" {
		t.Errorf("in the end are left, moved and changed: %s", got)
	}
}

// TestCategoriesGoWhileJobsCome deletes categories, two of them into each other,
// while people create, move and edit jobs in them: no job is left behind in a
// category that is gone, and nobody sees a deadlock.
func TestCategoriesGoWhileJobsCome(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx := t.Context()
	jobs := job.NewService(mysql.NewJobs(k.db).WithKeys(k.ring), noScheduler{}, lookAhead, func() time.Time { return noon })
	for round := range 4 {
		a, b := k.category(fmt.Sprint("A ", round)), k.category(fmt.Sprint("B ", round))
		k.fill(a.ID, 30)
		k.fill(b.ID, 30)
		moved := k.create(k.input(fmt.Sprint("Moved ", round), a.ID))
		var wg sync.WaitGroup
		for i, pair := range [][2]int64{{a.ID, b.ID}, {b.ID, a.ID}} {
			wg.Go(func() {
				tolerate(t, patiently(func() error { return k.categories.Delete(ctx, pair[0], pair[1], nil) }))
			})
			wg.Go(func() {
				for n := range 5 {
					tolerate(t, patiently(func() error {
						_, err := jobs.Create(ctx, k.input(fmt.Sprintf("New %d %d %d", round, i, n), pair[0]), 1)
						return err
					}))
					tolerate(t, patiently(func() error {
						_, err := jobs.Patch(ctx, moved.ID, job.Input{CategoryID: &pair[1], Description: new(fmt.Sprintf("Text %d of %d", n, i))}, nil)
						return err
					}))
				}
			})
		}
		wg.Wait()
	}
	if got := k.text("SELECT COUNT(*) FROM jobs j LEFT JOIN categories c ON c.id = j.category_id WHERE c.id IS NULL"); got != "0" {
		t.Errorf("%s jobs are in no category", got)
	}
}

// tolerate takes what the others may have brought about.
func tolerate(t *testing.T, err error) {
	t.Helper()
	if err != nil && !apperr.Is(err, apperr.Invalid) && !apperr.Is(err, apperr.NotFound) {
		t.Error(err)
	}
}
