package httpapi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	up, down := map[string]any{"status": "up"}, map[string]any{"status": "down"}
	away := errors.New("dial tcp 10.0.0.1:3306: secret detail")
	type m = map[string]any
	for name, tc := range map[string]struct {
		health fakeHealth
		path   string
		status int
		data   any
	}{
		"well": {fakeHealth{}, "/health", 200, m{
			"status": "ok", "info": m{"database": up, "queue": up}, "error": m{}, "details": m{"database": up, "queue": up},
		}},
		"queue away": {fakeHealth{queue: away}, "/health", 200, m{
			"status": "error", "info": m{"database": up}, "error": m{"queue": down}, "details": m{"database": up, "queue": down},
		}},
		"database away": {fakeHealth{database: away}, "/health", 503, m{
			"status": "error", "info": m{"queue": up}, "error": m{"database": down}, "details": m{"database": down, "queue": up},
		}},
		"live":                {fakeHealth{}, "/health/live", 200, m{"status": "ok", "timestamp": "2026-01-31T12:00:00.000Z"}},
		"live without":        {fakeHealth{database: away}, "/health/live", 200, m{"status": "ok", "timestamp": "2026-01-31T12:00:00.000Z"}},
		"ready":               {fakeHealth{}, "/health/ready", 200, m{"status": "ready", "timestamp": "2026-01-31T12:00:00.000Z"}},
		"not ready":           {fakeHealth{database: away}, "/health/ready", 503, nil},
		"ready without queue": {fakeHealth{queue: away}, "/health/ready", 200, m{"status": "ready", "timestamp": "2026-01-31T12:00:00.000Z"}},
	} {
		tr := newTrial(t, func(d *Deps) { d.Health = tc.health })
		got := send(t, tr.handler(), "GET", tc.path, "")
		if got.StatusCode != tc.status || strings.Contains(got.raw, "secret") {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.raw)
		}
		if diff := cmp.Diff(tc.data, got.body["data"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.body["success"] != (tc.status == 200) || (got.Header.Get("Retry-After") != "") != (tc.status == 503) {
			t.Errorf("%s: success %v, headers %v", name, got.body["success"], got.Header)
		}
	}
}

// hanging is a database that never answers.
type hanging struct{ fakeHealth }

func (hanging) Database(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAHangingDatabaseIsADatabaseAway(t *testing.T) {
	t.Parallel()
	api := newTrial(t, func(d *Deps) { d.Health = hanging{} }).handler()
	done := make(chan reply, 1)
	go func() { done <- send(t, api, "GET", "/health", "") }()
	select {
	case got := <-done:
		if got.StatusCode != 503 {
			t.Errorf("status %d", got.StatusCode)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the check hangs with the database")
	}
}
