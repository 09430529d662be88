// Package simulation lets the delivery protocol live through bad days: the
// real steps of ticks, executors and people, on a real database, in simulated
// time, with faults wherever one part touches another. It is test support and
// knows every part of the product; no part knows it.
//
// A run is decided by its seed. Every actor (a tick, an executor, a person) is
// a goroutine that stops at each seam: before a statement or a commit, before
// a message is sent, at a call and at its answer. A single driver lets one of
// them go on at a time, lets time pass, delivers messages, or has something
// break. What comes by the wall clock alone, as the few milliseconds of jitter
// after a deadlock, is the only thing that a seed does not decide.
//
// After every commit the rows are compared with those before, and each change
// must be one that the protocol allows (check.go). At the end all faults heal,
// and everything must come to rest (rest.go).
package simulation

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// Options are what a run does. Only Seed is needed.
type Options struct {
	Seed uint64
	// Coarse makes each transaction one step. It is so in any case on engines
	// that cannot answer at once that a row is locked.
	Coarse bool
	// Rewrite changes statements on their way to the database, to see that a
	// guard is missed when it is gone.
	Rewrite func(query string) string
	// Mood is what kind of day it is; nil leaves it to the seed.
	Mood *Mood
	// HoldAfter holds up whoever has passed a statement with this text, so that
	// all others go first: a race that is there is then met soon.
	HoldAfter string
	// HoldFor is how long they stand still there, besides: people come meanwhile.
	HoldFor time.Duration
	// TrustClocks makes the database's clock seem right to everybody.
	TrustClocks bool
	// Wide lets people also replay executions, change many jobs at once, and make
	// and delete categories.
	Wide bool
	// Strict takes locks that are waited for in a circle for a finding. The engine
	// resolves them and the product tries again, so they are no fault by themselves;
	// by which index an engine finds rows, it may decide anew. What no order of
	// statements could avoid is left out: see atSlots and atEntries.
	Strict bool
	// IgnoreBacklog makes the queue never seem behind to anybody.
	IgnoreBacklog bool
	// FreshTickets makes a start that is tried again not know what the try before
	// has started.
	FreshTickets bool
	// Trace shows the whole run, found fault or not.
	Trace io.Writer
	// At is the migrated database to use; nil takes one from mysqltest.
	At *mysql.Options
}

// Report is what a run did and what it found.
type Report struct {
	Seed       uint64
	Fine       bool // others moved between the statements of transactions
	Steps      int
	Simulated  time.Duration
	Executions int
	Calls      int
	Faults     int
	Deadlocks  int // locks that were waited for in a circle
	// Unclaimed are instants that were due when a person's change, or a
	// category's, moved the job's next run past them before any tick came.
	Unclaimed int
	SetAside  int      // jobs whose schedule could no longer be read
	KeptOff   int      // runs that the limit of concurrent runs kept from starting
	Findings  []string // what broke the protocol; empty is good
	Trace     string   // the last steps, where something was found
}

// Run lives through one seed.
func Run(t *testing.T, opts Options) Report {
	t.Helper()
	at := opts.At
	if at == nil {
		options := mysqltest.Options(t)
		at = &options
	}
	var report Report
	synctest.Test(t, func(t *testing.T) { report = run(t, opts, *at) })
	return report
}

// Check lives through one seed and fails the test where the protocol broke.
func Check(t *testing.T, opts Options) Report {
	t.Helper()
	report := Run(t, opts)
	if len(report.Findings) > 0 {
		t.Errorf("%s", report)
	}
	return report
}

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d steps, %s, %d executions, %d calls, %d faults", r.Seed, r.Steps, r.Simulated.Round(time.Second), r.Executions, r.Calls, r.Faults)
	if len(r.Findings) > 0 {
		fmt.Fprintf(&b, "\n%s\nafter these steps:\n%s", strings.Join(r.Findings, "\n"), r.Trace)
	}
	return b.String()
}

// maxConns lets as many transactions be open at once as there are actors.
const maxConns = 40

func run(t *testing.T, opts Options, at mysql.Options) Report {
	t.Helper()
	ctx := t.Context()
	s := &simulation{
		opts: opts,
		rng:  rand.New(rand.NewPCG(opts.Seed, 0x5eed)),
		// What came to the days later draws from here, so that a seed's day goes on
		// as it did before.
		apart: rand.New(rand.NewPCG(opts.Seed, 0xa9a47)),
	}
	at.MaxConns = maxConns
	connector, err := mysql.Connector(at)
	if err != nil {
		t.Fatal(err)
	}
	s.db = sql.OpenDB(&disturbed{Connector: connector, s: s})
	s.db.SetMaxOpenConns(maxConns)
	s.db.SetMaxIdleConns(maxConns)
	defer s.db.Close()
	if s.plain, err = mysql.Open(at); err != nil {
		t.Fatal(err)
	}
	defer s.plain.Close()
	s.fine = !opts.Coarse && canAnswerAtOnce(ctx, s.plain)

	s.sleepUntil(beginning(s.rng))
	s.begun = time.Now()
	if err := s.setUp(ctx); err != nil {
		t.Fatalf("seed %d: set up: %v", opts.Seed, err)
	}
	s.misbehave(ctx)
	s.heal(ctx)
	s.stop()
	return s.report()
}

// beginnings are instants around which something may go wrong: a plain day,
// the night that clocks go forward and the one that they go back in Berlin.
var beginnings = []time.Time{
	time.Date(2026, 3, 10, 11, 58, 30, 0, time.UTC),
	time.Date(2026, 3, 29, 0, 57, 10, 0, time.UTC),
	time.Date(2026, 10, 25, 0, 56, 20, 0, time.UTC),
	time.Date(2026, 12, 31, 23, 57, 40, 0, time.UTC),
}

func beginning(rng *rand.Rand) time.Time {
	return beginnings[rng.IntN(len(beginnings))].Add(time.Duration(rng.IntN(60_000)) * time.Millisecond)
}

func (s *simulation) report() Report {
	r := Report{
		Seed: s.opts.Seed, Fine: s.fine, Steps: s.step, Simulated: time.Since(s.begun),
		Executions: len(s.rows), Calls: len(s.calls), Faults: s.faults, Deadlocks: s.deadlocks, Unclaimed: s.unclaimed,
		SetAside: s.setAside, KeptOff: s.keptOff, Findings: s.findings,
	}
	if len(r.Findings) > 0 {
		r.Trace = s.trace.String()
	}
	return r
}

// canAnswerAtOnce reports whether the engine can be told to answer at once
// where a lock is held, instead of waiting for it.
func canAnswerAtOnce(ctx context.Context, db *sql.DB) bool {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	var seconds int
	if _, err := conn.ExecContext(ctx, neverWait); err != nil {
		return false
	}
	err = conn.QueryRowContext(ctx, "SELECT @@innodb_lock_wait_timeout").Scan(&seconds)
	_, _ = conn.ExecContext(ctx, "SET SESSION innodb_lock_wait_timeout = DEFAULT")
	return err == nil && seconds == 0
}
