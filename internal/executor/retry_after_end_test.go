package executor_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// What a target's header says is when the next attempt may begin.
func TestRetryAfterOfARealAnswerIsTheNextAttemptsInstant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status   int
		header   func(now time.Time) string
		at, most time.Duration // from the end of the call
	}{
		"seconds":         {http.StatusTooManyRequests, func(time.Time) string { return "90" }, 90 * time.Second, 91 * time.Second},
		"a date":          {http.StatusServiceUnavailable, func(now time.Time) string { return now.Add(2 * time.Minute).UTC().Format(http.TimeFormat) }, 110 * time.Second, 121 * time.Second},
		"more than hours": {http.StatusTooManyRequests, func(time.Time) string { return "86400" }, time.Hour, time.Hour + time.Second},
		"none":            {http.StatusTooManyRequests, func(time.Time) string { return "" }, 7 * time.Second, 8 * time.Second},
		"nonsense":        {http.StatusServiceUnavailable, func(time.Time) string { return "soon" }, 7 * time.Second, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if value := tc.header(time.Now()); value != "" {
					w.Header().Set("Retry-After", value)
				}
				w.WriteHeader(tc.status)
			}))
			defer target.Close()
			works := due(time.Now().UTC(), 1, func(w *executor.Work) {
				w.Request.URL = target.URL
				w.Request.Retry = execution.RetryPolicy{Attempts: 1, Delay: 7 * time.Second, Backoff: execution.Fixed}
			})
			l := newLab(works...)
			clock := executor.WallClock{}
			client := executor.NewClient(executor.NewTransport(executor.ClientOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}), clock)
			none(t, executor.New(l.store, l.dispatch, client, clock, slog.New(slog.DiscardHandler)).Run(t.Context(), []string{message(t, works...)}))
			f := l.store.rows[1].final
			if f.Status != execution.Pending || f.Attempt.Response == nil || f.Attempt.Response.Status != tc.status {
				t.Fatalf("the call ended as %+v", f)
			}
			if wait := f.NotBefore.Sub(f.Attempt.EndedAt); wait < tc.at || wait > tc.most {
				t.Errorf("the next attempt is %s after the answer, want %s to %s", wait, tc.at, tc.most)
			}
			if sent := l.dispatch.sent; len(sent) != 1 || !sent[0].NotBefore.Equal(f.NotBefore) || sent[0].Attempt != 2 {
				t.Errorf("sent: %+v", sent)
			}
		})
	}
}
