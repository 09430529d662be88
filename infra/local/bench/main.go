// Command bench measures the system on this machine, and prints how far each
// figure is from its bar:
//
//   - lateness: how late calls are when many jobs are due in the same second. It
//     starts the whole local system beside a target of its own, lets one tick
//     claim the jobs, and compares what the target received with what was due.
//   - claim: how many due occurrences one tick claims and sends in a second,
//     beside what the database takes in plain inserts.
//   - purge: the same beside a second tick that removes old executions, and what
//     one step of that costs by itself.
//   - executor: executions a second against a quick target, their round trips
//     to the database, and memory.
//   - idle: a tick with many jobs stored and none due.
//
// The parts:
//
//	make bench                                    all
//	make bench ARGS='-part lateness -jobs 1000'   one part, one size
//	make bench ARGS='-part claim,idle'            some
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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

func main() {
	var c choice
	parts := flag.String("part", strings.Join(allParts, ","), "what to measure, a comma list")
	jobs := flag.String("jobs", "100,1000,5000,20000", "lateness: how many jobs are due in the same second, a comma list")
	engine := flag.String("engine", database.Auto, "the database: auto, server or embedded")
	poller := flag.String("poller", "both", "lateness: free, limited as AWS's mapping is, or both")
	flag.IntVar(&c.rounds, "rounds", 3, "rounds of each; the medians are printed")
	flag.IntVar(&c.due, "due", 20_000, "claim, purge: how many occurrences are due")
	flag.IntVar(&c.old, "old", 300_000, "purge: how many old executions are stored")
	flag.IntVar(&c.executions, "executions", 10_000, "executor: how many executions are made")
	flag.BoolVar(&c.statements, "statements", false, "claim, purge, executor, idle: list where the last round's database time went")
	flag.IntVar(&c.stored, "stored", 1_000_000, "idle: how many jobs are stored")
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
	err := c.parse(*parts, *jobs, *poller)
	if err == nil {
		err = run(ctx, c, *engine)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var allParts = []string{"lateness", "claim", "purge", "executor", "idle"}

// choice is what to measure.
type choice struct {
	parts                                []string
	sizes                                []int
	pollers                              []bool // limited
	rounds, due, old, executions, stored int
	statements                           bool
}

func (c *choice) parse(parts, sizes, poller string) error {
	for text := range strings.SplitSeq(parts, ",") {
		part := strings.TrimSpace(text)
		if !slices.Contains(allParts, part) {
			return fmt.Errorf("-part: must be a comma list of %s", strings.Join(allParts, ", "))
		}
		c.parts = append(c.parts, part)
	}
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return fmt.Errorf("-jobs: must be a comma list of numbers")
		}
		c.sizes = append(c.sizes, n)
	}
	switch poller {
	case "free":
		c.pollers = []bool{false}
	case "limited":
		c.pollers = []bool{true}
	case "both":
		c.pollers = []bool{false, true}
	default:
		return fmt.Errorf("-poller: must be free, limited or both")
	}
	if c.rounds < 1 || c.due < 4 || c.old < 1 || c.executions < 1 || c.stored < 1 {
		return fmt.Errorf("-rounds, -due, -old, -executions and -stored: must be positive, -due at least 4")
	}
	return nil
}

func run(ctx context.Context, c choice, engine string) error {
	telemetry.SetDefault(slog.New(slog.DiscardHandler))
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

	fmt.Printf("%d processors (%s), %s, %s; database, system and target share them\n", runtime.NumCPU(), processor(), runtime.Version(), server.Engine)
	for _, part := range c.parts {
		var err error
		switch part {
		case "lateness":
			err = benchLateness(ctx, server, dir, c, say)
		case "claim":
			err = benchClaims(ctx, server, c, say)
		case "purge":
			err = benchPurge(ctx, server, c, say)
		case "executor":
			err = benchExecutor(ctx, server, c, say)
		case "idle":
			err = benchIdle(ctx, server, c, say)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// latenessBars are what the p99 may be, in milliseconds; other sizes have none.
var latenessBars = map[int]float64{1000: 250, 5000: 1000}

func benchLateness(ctx context.Context, server *database.Server, dir string, c choice, say func(string)) error {
	fmt.Println("\nLateness of calls due in the same second, as the target sees their arrival (ms), and as recorded (p99)")
	fmt.Println("  jobs  poller      p50    p95    p99    max  p99 ÷ bar   recorded   early  lost  doubled")
	for _, limited := range c.pollers {
		for _, n := range c.sizes {
			m, err := measure(ctx, server, dir, n, limited, c.rounds, say)
			if err != nil {
				return err
			}
			ratio := "-"
			if bar, ok := latenessBars[n]; ok {
				ratio = fmt.Sprintf("%.2f", m.p99/bar)
			}
			fmt.Printf("%6d  %-8s %6.0f %6.0f %6.0f %6.0f %10s %10.0f %7d %5d %8d\n", n, map[bool]string{false: "free", true: "limited"}[limited],
				m.p50, m.p95, m.p99, m.most, ratio, m.recorded, m.early, m.lost, m.doubled)
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
