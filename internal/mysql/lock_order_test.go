package mysql_test

import (
	"context"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
)

// TestChangesByPeopleDoNotWaitForRunningRows holds a running row as its finish
// does. Who finishes it may go on to wait for its job, so that whoever holds the
// job must not wait for the row: the two would wait for each other.
func TestChangesByPeopleDoNotWaitForRunningRows(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*world, context.Context, int64) error{
		"pause": func(w *world, ctx context.Context, id int64) error { _, err := w.jobs.Pause(ctx, id, nil); return err },
		"edit": func(w *world, ctx context.Context, id int64) error {
			_, err := w.jobs.Patch(ctx, id, job.Input{URL: new("https://example.com/edited")}, nil)
			return err
		},
		"delete": func(w *world, ctx context.Context, id int64) error { return w.jobs.Delete(ctx, id, nil) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			j := w.minutely("Running", nil)
			w.run(time.Minute - 5*time.Second)
			w.pass(5 * time.Second)
			work, _ := w.startOne(j.ID)
			finish, err := w.db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = finish.Rollback() }()
			var status string
			if err := finish.QueryRowContext(t.Context(), "SELECT status FROM executions WHERE id = ? FOR UPDATE", work.ID).Scan(&status); err != nil {
				t.Fatal(err)
			}
			if status != "running" {
				t.Fatalf("the row is %s", status)
			}
			// Far longer than a change takes, and shorter than the engines wait.
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := change(w, ctx, j.ID); err != nil {
				t.Errorf("while a run is being finished: %v", err)
			}
		})
	}
}
