package simulation_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/cronjobs/cronjobs/internal/simulation"
)

func TestMain(m *testing.M) {
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	// Living through enough days without each guard takes minutes.
	if os.Getenv("GUARDS") == "" {
		if err := flag.Set("test.skip", "^TestWith(out|Every)"); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, "simulation: the tests without each guard are skipped; make guards-short runs them")
	}
	os.Exit(m.Run())
}

// regressions are seeds that once broke the protocol.
var regressions = []simulation.Options{
	// An edit behind another's lock dropped what was due.
	{Seed: 1032, Mood: &simulation.Crowd},
	// A retry was skipped for a run that began when overlaps were allowed.
	{Seed: 112},
	{Seed: 130, Coarse: true},
}

func TestRegressions(t *testing.T) {
	t.Parallel()
	for _, opts := range regressions {
		simulation.Check(t, opts)
	}
}

// manyDays are lived through in each way, the same on every machine: a faster one
// must not meet days that nobody has tried. make simulate lives through any number.
const manyDays = 12

func TestManyBadDays(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]simulation.Options{
		"statement by statement":     {},
		"transaction by transaction": {Coarse: true},
		"people at large":            {Wide: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var total simulation.Report
			for seed := range uint64(manyDays) {
				opts.Seed = seed + 1
				report := simulation.Check(t, opts)
				total.Steps += report.Steps
				total.Executions += report.Executions
				total.Calls += report.Calls
				total.Faults += report.Faults
				total.SetAside += report.SetAside
				total.KeptOff += report.KeptOff
			}
			t.Logf("%d seeds: %d steps, %d executions, %d calls, %d faults, %d jobs set aside, %d runs kept off",
				manyDays, total.Steps, total.Executions, total.Calls, total.Faults, total.SetAside, total.KeptOff)
			if total.SetAside == 0 || total.KeptOff == 0 {
				t.Error("no day had a job that could not be read, or none the limit of concurrent runs")
			}
		})
	}
}
