package simulation_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/simulation"
)

var only = flag.Uint64("seed", 0, "live through this seed alone")

func TestMain(m *testing.M) {
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func TestSeeds(t *testing.T) {
	t.Parallel()
	if *only != 0 {
		t.Log(simulation.Check(t, simulation.Options{Seed: *only}))
		return
	}
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
			began := time.Now()
			report := simulation.Check(t, simulation.Options{Seed: seed + 1})
			report.Findings = nil
			t.Log(report, time.Since(began))
		})
	}
}

var many = flag.Int("seeds", 0, "live through so many seeds")

func TestMany(t *testing.T) {
	bad := 0
	for seed := range uint64(*many) {
		report := simulation.Run(t, simulation.Options{Seed: seed + 1000})
		if len(report.Findings) > 0 {
			bad++
			if bad <= 6 {
				t.Errorf("%s", report)
			} else {
				t.Errorf("seed %d: %s", report.Seed, report.Findings)
			}
		}
	}
}
