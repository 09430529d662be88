package executor_test

import (
	"context"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// TestNoConnectionOutlastsItsCall has targets that hang at each stage, and ends
// the calls then. The transport would keep on making a connection that nobody
// wants any more.
func TestNoConnectionOutlastsItsCall(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ scheme, answer string }{
		"in the handshake": {"https://", ""},
		"in the header":    {"http://", "HTTP/1.1 200"},
		"in the body":      {"http://", ok + "Content-Length: 5\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{})
			ctx, end := context.WithCancel(t.Context())
			defer end()
			target := listen(t, func(c *conn) {
				if tc.answer != "" {
					c.request()
					c.say(tc.answer)
				}
				end()
				c.hang()
				close(closed)
			})
			client := newClient(t)
			attempt, _ := client.Call(ctx, executor.Call{Work: work(tc.scheme + target.addr + "/")})
			if attempt.Failure == nil || attempt.Failure.Kind != execution.ErrCancelled {
				t.Errorf("the call ended with %+v", attempt.Failure)
			}
			select {
			case <-closed:
			case <-time.After(patience):
				t.Error("the connection is still open")
			}
		})
	}
}
