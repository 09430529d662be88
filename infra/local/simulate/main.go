// Command simulate lives through many simulated bad days of the delivery
// protocol, on a real database, and shows those that break it:
//
//	make simulate SEEDS=200             two hundred days
//	make simulate ARGS='-seed 42'       one of them, told step by step
//	make simulate ARGS='-crowd'         with many people at one job
//
// It uses the database that TEST_DB_HOST names, or starts one.
package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/simulation"
)

func main() {
	// A seed is lived through in simulated time, which only tests have.
	testing.Init()
	seeds := flag.Int("seeds", 100, "how many seeds")
	from := flag.Uint64("from", 1, "the first seed")
	only := flag.Uint64("seed", 0, "this seed alone, with its whole trace")
	crowd := flag.Bool("crowd", false, "many people at once stop, run and delete one job, which fails")
	wide := flag.Bool("wide", false, "people also replay executions, change many jobs at once, and delete categories")
	coarse := flag.Bool("coarse", false, "make each transaction one step, as on engines that cannot say at once that a row is locked")
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler))

	opts := simulation.Options{Coarse: *coarse, Wide: *wide, Strict: true}
	if *crowd {
		opts.Mood = &simulation.Crowd
	}
	first, last := *from, *from+uint64(max(*seeds, 1))-1
	if *only != 0 {
		first, last, opts.Trace = *only, *only, os.Stdout
	}
	testing.Main(anyName, []testing.InternalTest{{Name: "simulate", F: func(t *testing.T) { //nolint:thelper // it is the test itself
		live(t, os.Stdout, first, last, opts)
	}}}, nil, nil)
}

func anyName(string, string) (bool, error) { return true, nil }

// progressEvery is how often it says how far it is.
const progressEvery = 10 * time.Second

// live lives through seeds, and says what they find.
func live(t *testing.T, out io.Writer, first, last uint64, opts simulation.Options) {
	t.Helper()
	began, said := time.Now(), time.Now()
	var total simulation.Report
	broken := 0
	for seed := first; seed <= last; seed++ {
		opts.Seed = seed
		report := simulation.Run(t, opts)
		total.Steps += report.Steps
		total.Executions += report.Executions
		total.Calls += report.Calls
		total.Faults += report.Faults
		total.Deadlocks += report.Deadlocks
		if len(report.Findings) > 0 {
			broken++
			t.Fail()
			fmt.Fprintln(out, report)
		}
		if time.Since(said) > progressEvery || seed == last {
			said = time.Now()
			fmt.Fprintf(out, "%d of %d seeds, %d broken: %d steps, %d executions, %d calls, %d faults, %d deadlocks in %s\n", seed-first+1, last-first+1, broken,
				total.Steps, total.Executions, total.Calls, total.Faults, total.Deadlocks, time.Since(began).Round(time.Second))
		}
	}
}
