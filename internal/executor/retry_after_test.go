package executor

import (
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 500_000_000, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"120":                              2 * time.Minute,
		"2147483648":                       execution.MaxRetryDelay,
		"99999999999999999999999999":       execution.MaxRetryDelay,
		"-5":                               0,
		"1.5":                              0,
		"soon":                             0,
		"Sat, 31 Jan 2026 12:00:03 GMT":    2500 * time.Millisecond,
		"Saturday, 31-Jan-26 12:00:03 GMT": 2500 * time.Millisecond,
		"Sat Jan 31 12:00:03 2026":         2500 * time.Millisecond,
		"Sat, 31 Jan 2026 11:59:59 GMT":    0,
		"Sat, 31 Jan 2026 12:00:03 +0200":  0,
		"Fri, 31 Dec 9999 23:59:59 GMT":    1<<63 - 1,
		"Fri, 31 Dec 9999 23:59:59 GMT, 5": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
