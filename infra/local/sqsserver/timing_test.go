package sqsserver_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

func TestDelayedMessageWakesLongPollAtItsInstant(t *testing.T) {
	underVirtualTime(t, func(t *testing.T) {
		f := inProcess(t, sqsserver.Options{}, nil)
		f.send("later", 7)
		start := time.Now()
		if got := f.receive(0); got != nil {
			t.Fatalf("received %v before the delay was over", bodies(got))
		}
		got := f.receive(20)
		if diff := cmp.Diff([]string{"later"}, bodies(got)); diff != "" {
			t.Errorf("bodies (-want +got):\n%s", diff)
		}
		if waited := time.Since(start); waited != 7*time.Second {
			t.Errorf("received after %v, want exactly 7s", waited)
		}
	})
}
