package httpapi_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
)

// TestNoTimeTellsOfAnAccount measures sign-ins that fail, with an account and
// without one, by turns. It wants a machine that does little else, and so is run
// by make timing; TestEverySignInCostsTheSame counts the hashes always.
func TestNoTimeTellsOfAnAccount(t *testing.T) { //nolint:paralleltest // it measures
	if os.Getenv("TIMING") != "measure" {
		t.Skip("SKIPPED: a measurement, which make timing makes")
	}
	s := newLimitedSystem(t, account.Limits{})
	const rounds, apart = 150, 0.05
	try := func(email string) time.Duration {
		runtime.GC() // a hash claims 19 MiB, so that the next would pay for it
		began := time.Now()
		s.tryLogin(t, email, "incorrect horse", "192.0.2.1").must(401)
		return time.Since(began)
	}
	median := func(times []time.Duration) float64 {
		slices.Sort(times)
		return float64(times[len(times)/2]) / float64(time.Millisecond)
	}
	// What else runs on the machine disturbs a series now and then, while a time
	// that tells of accounts does so in each.
	for series := 1; ; series++ {
		known, unknown := make([]time.Duration, rounds), make([]time.Duration, rounds)
		for i := range rounds {
			if i%2 == 0 {
				known[i] = try(adminEmail)
			}
			unknown[i] = try(fmt.Sprintf("nobody%d@example.com", i))
			if i%2 == 1 {
				known[i] = try(adminEmail)
			}
		}
		with, without := median(known), median(unknown)
		t.Logf("series %d: %.2f ms with an account, %.2f ms without", series, with, without)
		if difference := with/without - 1; difference < apart && difference > -apart {
			return
		}
		if series == 3 {
			t.Fatalf("the medians are more than %.0f %% apart", 100*apart)
		}
	}
}
