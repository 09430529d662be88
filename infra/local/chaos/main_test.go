package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
)

var full = flag.Bool("full", false, "run the scenarios that take minutes too, and print a table")

// atOnce is how many scenarios run side by side: they mostly wait.
const atOnce = "16"

func TestMain(m *testing.M) {
	if chaos.IsChild() {
		if err := chaos.RunChild(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if *full {
		results.print()
	}
	os.Exit(status)
}

// needChaos skips, loudly, every scenario of an ordinary run of the tests:
// sixteen systems at once on a machine that does other things show the machine.
func needChaos(t *testing.T) {
	t.Helper()
	if !*full && os.Getenv("CHAOS") == "" {
		t.Skip("breaks whole systems for a minute and more: make chaos runs it, or CHAOS=short go test")
	}
}

// needFull skips, loudly, what takes minutes.
func needFull(t *testing.T) {
	t.Helper()
	if !*full {
		t.Skip("takes minutes: make chaos runs it")
	}
}

// table is what the scenarios came to.
type table struct {
	mu    sync.Mutex
	lines []string
}

var results table

func (tb *table) add(scenario string, v chaos.Verdict) {
	verdict := "kept"
	if len(v.Problems) > 0 {
		verdict = fmt.Sprintf("BROKEN (%d)", len(v.Problems))
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.lines = append(tb.lines, fmt.Sprintf("%-58s %8d %7d %7d %8d %9s %9s  %s", scenario, v.Instants, v.Missed, v.Calls, v.Doubled,
		v.LateP99.Round(time.Millisecond), v.LateMost.Round(time.Millisecond), verdict))
}

func (tb *table) print() {
	slices.Sort(tb.lines)
	fmt.Printf("\n%-58s %8s %7s %7s %8s %9s %9s  %s\n%s\n\n", "scenario", "instants", "missed", "calls", "doubled", "late p99", "late max", "promises",
		strings.Join(tb.lines, "\n"))
}
