package mysql_test

import (
	"testing"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// TestNoRunSendsAMask runs jobs by hand whose secrets an import has left masked.
func TestNoRunSendsAMask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		columns string
		refused bool
	}{
		"Whole":           {`secret_headers = '{"names":["X-Key"],"sealed":["X-Key"]}', body = '"********"'`, false},
		"Masked header":   {`secret_headers = '{"names":["X-Key"],"values":{"X-Key":"********"}}'`, true},
		"Masked body":     {`body = '"********"', body_secret = 1`, true},
		"Header of stars": {`secret_headers = '{"names":["********"],"values":{}}'`, false},
	} {
		j := w.create(w.input(name, w.work.ID))
		w.exec("UPDATE job_requests SET "+tc.columns+" WHERE job_id = ?", j.ID)
		if _, err := w.dispatcher.RunNow(t.Context(), j.ID, 1); apperr.Is(err, apperr.Conflict) != tc.refused || !tc.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := w.text("SELECT COUNT(*) FROM executions WHERE job_id = ? AND trigger_type = 'manual'", j.ID); (got == "0") != tc.refused {
			t.Errorf("%s: %s runs are recorded", name, got)
		}
	}
}
