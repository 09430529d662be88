package executor_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// BenchmarkChunk runs messages of 50 executions against a quick target on this
// machine, with the database in memory: what is left is the executor's own
// cost. The measure to look at is executions/s.
func BenchmarkChunk(b *testing.B) {
	const chunk = 50
	for name, change := range map[string]func(*executor.Work){
		"GET":       func(*executor.Work) {},
		"POST 1KiB": func(w *executor.Work) { w.Request.Method, w.Request.Body = http.MethodPost, make([]byte, 1024) },
		"secret":    func(w *executor.Work) { w.Request.Headers = map[string]string{"Authorization": "Bearer topsecret"} },
	} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"ok":true}`)
			}))
			defer server.Close()
			transport := executor.NewTransport(executor.ClientOptions{Allow: loopback})
			defer transport.CloseIdleConnections()
			client := executor.NewClient(transport, executor.WallClock{})

			works := due(time.Now().UTC(), chunk, change)
			refs := make([]execution.Ref, chunk)
			for i := range works {
				works[i].Request.URL = server.URL
				refs[i] = execution.Ref{ID: works[i].ID, Attempt: 1}
			}
			message, err := execution.Chunk{At: works[0].NotBefore, Executions: refs}.Encode()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				rows := newStore(works...)
				runner := executor.New(rows, &dispatcher{}, client, executor.WallClock{}, slog.New(slog.DiscardHandler))
				if errs := runner.Run(b.Context(), []string{message}); errs[0] != nil {
					b.Fatal(errs[0])
				}
				if got := rows.status(chunk); got != execution.Success {
					b.Fatalf("an execution is %s", got)
				}
			}
			b.ReportMetric(chunk*float64(b.N)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}
