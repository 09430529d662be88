// Command bench measures the system on this machine: how late calls are when
// many jobs are due in the same second. It starts the whole local system beside
// a target of its own, lets one tick claim the jobs, and compares what the
// target received with what was due.
//
//	make bench                     jobs 100, 1000 and 5000, poller free and limited
//	make bench ARGS='-jobs 1000'   one size
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

func main() {
	jobs := flag.String("jobs", "100,1000,5000", "how many jobs are due in the same second, a comma list")
	engine := flag.String("engine", database.Auto, "the database: auto, server or embedded")
	limited := flag.String("poller", "both", "free, limited as AWS's mapping is, or both")
	rounds := flag.Int("rounds", 3, "rounds of each; the medians are printed")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer func() { pprof.StopCPUProfile(); _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *jobs, *engine, *limited, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes, engine, poller string, rounds int) error {
	telemetry.SetDefault(slog.New(slog.DiscardHandler))
	var counts []int
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return fmt.Errorf("-jobs: must be a comma list of numbers")
		}
		counts = append(counts, n)
	}
	pollers := []bool{false, true}
	switch poller {
	case "free":
		pollers = pollers[:1]
	case "limited":
		pollers = pollers[1:]
	case "both":
	default:
		return fmt.Errorf("-poller: must be free, limited or both")
	}

	say := func(line string) { fmt.Fprintln(os.Stderr, "… "+line) }
	dir, err := os.MkdirTemp("", "cronjobs-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := database.Start(ctx, database.Options{DataDir: dir + "/database", Choice: engine, MemoryMB: 512, Progress: say})
	if err != nil {
		return err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = server.Stop(stopCtx)
	}()

	fmt.Printf("%d processors (%s), %s, %s; database, system and target share them\n\n", runtime.NumCPU(), processor(), runtime.Version(), server.Engine)
	fmt.Println("Lateness of calls due in the same second, as the target sees their arrival (ms), and as recorded (p99)")
	fmt.Println("  jobs  poller      p50    p95    p99    max   recorded   early  lost  doubled")
	for _, limited := range pollers {
		for _, n := range counts {
			m, err := measure(ctx, server, dir, n, limited, rounds, say)
			if err != nil {
				return err
			}
			fmt.Printf("%6d  %-8s %6.0f %6.0f %6.0f %6.0f %10.0f %7d %5d %8d\n", n, map[bool]string{false: "free", true: "limited"}[limited],
				m.p50, m.p95, m.p99, m.most, m.recorded, m.early, m.lost, m.doubled)
		}
	}
	return nil
}

// processor names the machine's processor, where the system tells.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
