package simulation_test

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
	"github.com/cronjobs/cronjobs/internal/simulation"
)

// guard is one of the conditions that keep the promise, and how a statement
// reads without it.
type guard struct {
	without func(query string) string
	// races: only others' moves inside a transaction show that it is needed, or
	// show it on more than one day in hundreds.
	races bool
	// hold is the statement after which a race is lost.
	hold string
	// still is how long who has passed it stands still.
	still time.Duration
	// mood is a day on which it is needed; nil for any.
	mood *simulation.Mood
	// trusting: it is not a statement, but the look at the database's clock.
	trusting bool
	// strict: it keeps locks from being waited for in a circle.
	strict bool
	// hasty: it is the look at the queue's depth.
	hasty bool
	// forgetful: it is what a start that is tried again knows of the try before.
	forgetful bool
	// seeds are known to miss it: on MariaDB, and where others differ on those.
	seeds []uint64
}

func (g guard) options() simulation.Options {
	return simulation.Options{
		Rewrite: g.without, Mood: g.mood, HoldAfter: g.hold, HoldFor: g.still, TrustClocks: g.trusting, IgnoreBacklog: g.hasty, FreshTickets: g.forgetful, Strict: g.strict,
	}
}

// swap puts one text in the place of another.
func swap(old, replacement string) func(string) string {
	return func(query string) string { return strings.ReplaceAll(query, old, replacement) }
}

// ignore makes the columns of a compared tuple match whatever is given: the
// tuple's places are those of the columns, an empty name stays compared.
func ignore(columns string, ignored ...string) func(string) string {
	marks := make([]string, len(ignored))
	given := make([]string, len(ignored))
	for i, column := range ignored {
		given[i], marks[i] = "?", "?"
		if column != "" {
			marks[i] = "COALESCE(" + column + ", ?)"
		}
	}
	return func(query string) string {
		before, after, found := strings.Cut(query, "("+columns+") IN (")
		if !found {
			return query
		}
		return before + "(" + columns + ") IN (" + strings.ReplaceAll(after, "("+strings.Join(given, ", ")+")", "("+strings.Join(marks, ", ")+")")
	}
}

func both(rewrites ...func(string) string) func(string) string {
	return func(query string) string {
		for _, rewrite := range rewrites {
			query = rewrite(query)
		}
		return query
	}
}

var leaseTerm = regexp.MustCompile(`lease_until = CAST\((CASE .*? END) AS DATETIME\(3\)\)`)

var resendTerm = regexp.MustCompile(`resend_after = CAST\((CASE .*? END)\s+AS DATETIME\(3\)\)`)

var claimed = regexp.MustCompile(`AND (\(id, version, next_run_at\) IN \(.*\))$`)

// ignoredHint is an engine that does not know SKIP LOCKED, nor locks rows that
// are read for it.
var ignoredHint = swap(" FOR UPDATE SKIP LOCKED", "")

// unordered leaves it to the engine by which index statements find executions,
// and thereby in which order it locks them, and which others.
var unordered = swap(" FORCE INDEX (PRIMARY)", "")

// Days on which a guard is needed often.
var (
	// Workers stand still with rows that others then run, now and then or always.
	slow   = &simulation.Mood{Frozen: 0.03, Doubled: 0.8, Held: 0.15, People: time.Minute, Failing: true}
	slower = &simulation.Mood{Frozen: 0.08, Doubled: 0.9, People: time.Minute, Failing: true}
	// Jobs are edited while their messages are under way.
	edited = &simulation.Mood{Frozen: 0.01, Doubled: 0.3, Held: 0.15, People: time.Second}
	// Categories change before ticks have come, and so do their jobs.
	restless = &simulation.Mood{Faults: 0.005, People: 700 * time.Millisecond}
	// Messages are lost.
	lossy = &simulation.Mood{Faults: 0.1, People: 20 * time.Second}
	// The queue is behind, and loses messages.
	behind = &simulation.Mood{Faults: 0.1, People: 20 * time.Second, Backlog: true}
	// Overlaps are allowed and forbidden while slow calls are under way.
	overlapping = &simulation.Mood{Held: 0.05, People: 2 * time.Second, Failing: true}
	// Connections break.
	broken = &simulation.Mood{Faults: 0.06, People: 20 * time.Second, Failing: true}
	// People come faster than what they meet goes on.
	hasty = &simulation.Mood{People: 400 * time.Millisecond, Failing: true}
	// Jobs can no longer be read.
	poisoned = &simulation.Mood{Poisoned: true, People: 20 * time.Second}
	// Calls are slow, and two of a job may be under way.
	hanging = &simulation.Mood{Limit: 2, People: time.Minute}
	// Clocks are wrong.
	skewed = &simulation.Mood{Skewed: true, People: 30 * time.Second, Failing: true}
)

// cancels finds the waiting rows that people's changes end.
func cancels(edit bool) func(string) string {
	const prefix = "SELECT id, job_id, scheduled_for, created_at FROM executions FORCE INDEX (ix_executions_job_status) WHERE job_id IN ("
	return func(query string) string {
		if strings.HasPrefix(query, prefix) && strings.Contains(query, "occurrence_at") == edit {
			return strings.Replace(query, " WHERE ", " WHERE FALSE AND ", 1)
		}
		return query
	}
}

// setAside makes a job failed that a claim cannot plan.
const setAside = "UPDATE jobs SET status = 'failed', status_reason = ?, version = version + 1, updated_at = ?"

var guards = map[string]guard{
	"the claim's compare-and-swap": {without: both(ignoredHint, func(q string) string { return claimed.ReplaceAllString(q, "AND (TRUE OR $1)") }), races: true, hold: "FROM jobs WHERE next_run_at <= ?", seeds: []uint64{30, 34, 17, 11}},
	"the token that is read back":  {without: swap("AND claim_token = ? AND status", "AND (TRUE OR claim_token = ?) AND status"), seeds: []uint64{1}},
	"the revision in the start":    {without: ignore("id, attempt, revision", "", "", "revision"), mood: edited, seeds: []uint64{14, 20, 4, 2}},
	"the attempt in the start":     {without: ignore("id, attempt, revision", "", "attempt", ""), mood: slower, seeds: []uint64{15, 2, 11}},
	"the status in the start": {without: swap(`status IN ('pending', 'queued') AND not_before <= ?
		AND (id, attempt, revision)`, `status <> 'running' AND not_before <= ?
		AND (id, attempt, revision)`), seeds: []uint64{1, 7}},
	"the instant in the start":  {without: swap("AND not_before <= ?\n\t\tAND (id,", "AND (TRUE OR not_before <= ?)\n\t\tAND (id,"), seeds: []uint64{15, 18, 3}},
	"the category in the start": {without: swap("SELECT id, status FROM categories", "SELECT id, 'active' FROM categories"), seeds: []uint64{7, 17, 10}},
	"the overlap slot":          {without: swap("slot_job_id = job_id", "slot_job_id = NULL"), seeds: []uint64{4, 1}},
	"the fence in the finish":   {without: ignore("id, fence", "", "fence"), races: true, mood: slow, seeds: []uint64{14, 43, 15, 48}},
	"the length of the lease": {without: func(q string) string {
		return leaseTerm.ReplaceAllString(q, "lease_until = DATE_SUB(CAST($1 AS DATETIME(3)), INTERVAL 31 SECOND)")
	}, seeds: []uint64{9, 7, 8}},
	"the job of a row that waits again": {without: swap("SELECT id, status <> 'active', deleted_at IS NOT NULL FROM jobs", "SELECT id, FALSE, FALSE FROM jobs"), seeds: []uint64{10, 4}},
	// InnoDB's lock on the row itself mostly stands in for this one: dozens of
	// seeds pass before one misses it.
	"the lock on that job": {
		without: func(q string) string {
			if strings.HasPrefix(q, "SELECT id, status <> 'active', deleted_at IS NOT NULL FROM jobs") {
				return strings.ReplaceAll(q, " LOCK IN SHARE MODE", "")
			}
			return q
		}, races: true, mood: &simulation.Crowd, hold: "SELECT id, status <> 'active', deleted_at IS NOT NULL FROM jobs", seeds: []uint64{11, 6, 3},
	},
	"the resend of what waits":     {without: swap("WHERE status = ? AND resend_after <= ? AND lane = ?", "WHERE FALSE AND status = ? AND resend_after <= ? AND lane = ?"), mood: lossy, seeds: []uint64{1, 2}},
	"the sweep of lost leases":     {without: swap("AND e.lease_until < ?", "AND FALSE AND e.lease_until < ?"), seeds: []uint64{9, 2}},
	"the end of the lease":         {without: swap("AND e.lease_until < ?", "AND (TRUE OR e.lease_until < ?)"), seeds: []uint64{1}},
	"the cancelling by a pause":    {without: cancels(false), seeds: []uint64{1}},
	"the cancelling by an edit":    {without: cancels(true), seeds: []uint64{1}},
	"what may live again":          {without: swap("IF(status = 'cancelled' AND fence = 0,", "IF(status <> 'running',"), mood: edited, seeds: []uint64{2, 1}},
	"the status of what is queued": {without: swap("WHERE status = 'pending' AND id IN", "WHERE id IN"), seeds: []uint64{2, 1}},
	"the look at the clocks":       {trusting: true, mood: skewed, seeds: []uint64{6, 2, 11, 9}},
	"the growing pause between resends": {without: func(q string) string {
		return resendTerm.ReplaceAllString(q, "resend_after = LEAST(DATE_ADD(resend_after, INTERVAL 60 SECOND), CAST($1 AS DATETIME(3)))")
	}, mood: lossy, seeds: []uint64{1}},
	"the look at the queue's depth":      {hasty: true, mood: behind, seeds: []uint64{1, 3}},
	"the runs that hold no slot":         {without: swap("(slot_job_id IS NOT NULL OR status = 'running')", "slot_job_id IS NOT NULL"), mood: overlapping, seeds: []uint64{15, 1, 4, 10, 18}},
	"the own record of a lost answer":    {without: swap("FROM attempts a\n\t\tJOIN executions e ON e.id = a.execution_id WHERE a.late = 0", "FROM attempts a\n\t\tJOIN executions e ON e.id = a.execution_id WHERE FALSE"), mood: broken, seeds: []uint64{14, 7, 6}},
	"the claim before an edit":           {without: swap("COALESCE(j.next_run_at <= ?, FALSE)", "(FALSE AND COALESCE(j.next_run_at <= ?, FALSE))"), mood: edited, seeds: []uint64{1, 6}},
	"the order in which rows are locked": {without: unordered, races: true, strict: true, seeds: []uint64{15, 61, 52, 49}},
	"the lock of a run's job":            {without: swap("SELECT id FROM jobs WHERE id = ? LOCK IN SHARE MODE", "SELECT id FROM jobs WHERE id = ?"), races: true, mood: &simulation.Crowd, hold: "SELECT j.id, r.revision, j.lane, ", seeds: []uint64{7, 25, 5, 4}},
	"since when a category's jobs count": {without: swap("COALESCE(status_at, updated_at) FROM", "DATE_ADD(status_at, INTERVAL 100 SECOND) FROM"), seeds: []uint64{11, 6, 10}},
	"the category that is yet to follow": {without: swap("FORCE INDEX (ix_jobs_category) WHERE category_id = ? AND status = 'active' AND next_run_at IS NULL LIMIT 1", "WHERE FALSE AND category_id = ? AND status = 'active' AND next_run_at"), mood: restless, seeds: []uint64{4, 6}},
	// A transaction that takes a job and then a running row, as a change does that
	// looks for what waits by another index, and a finish, which takes the row and
	// then the job, wait for each other.
	"the running rows before their job": {
		without: swap(" FORCE INDEX (ix_executions_job_status) WHERE job_id", " FORCE INDEX (ix_executions_job_scheduled) WHERE job_id"), races: true, strict: true,
		mood: hasty, hold: "SELECT id, fence FROM executions FORCE INDEX (PRIMARY) WHERE id IN", still: 5 * time.Second, seeds: []uint64{1},
	},
	"the token after a lost answer":   {forgetful: true, mood: broken, seeds: []uint64{17, 15}},
	"the limit of concurrent runs":    {without: swap("SELECT job_id, COUNT(*) FROM executions", "SELECT job_id, 0 FROM executions"), mood: hanging, seeds: []uint64{1}},
	"what that limit counts":          {without: swap("AND status = 'running' GROUP BY job_id", "GROUP BY job_id"), mood: hanging, seeds: []uint64{1}},
	"the setting aside":               {without: swap(setAside+" WHERE id = ?", setAside+" WHERE FALSE AND id = ?"), mood: poisoned, seeds: []uint64{1}},
	"the reason of what is set aside": {without: swap(setAside, strings.Replace(setAside, "status_reason = ?", "status_reason = LEFT(?, 0)", 1)), mood: poisoned, seeds: []uint64{1}},
	// One job that cannot be read is taken for an error of its claim.
	"the claim of those beside it":  {without: swap(setAside, "UPDATE nothing SET reason = ?, updated_at = ?"), mood: poisoned, seeds: []uint64{4}},
	"the job that is yet to follow": {without: swap("j.status = 'active' AND (j.next_run_at IS NULL) = (c.status = 'active')", "FALSE"), mood: restless, seeds: []uint64{9, 3, 17}},
}

// tries is how many seeds may miss a guard's absence, and daysWithout how many
// may pass in which nothing happens that it is for.
const (
	tries       = 120
	daysWithout = 40
)

// searching is whether seeds that are known are left out.
func searching() bool { return os.Getenv("GUARDS") == "search" }

func TestWithoutAGuardItBreaks(t *testing.T) {
	t.Parallel()
	for name, g := range guards {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seeds []uint64
			if !searching() {
				seeds = append(seeds, g.seeds...)
			}
			for seed := range uint64(tries) {
				if !slices.Contains(seeds, seed+1) {
					seeds = append(seeds, seed+1)
				}
			}
			requireFound(t, seeds, g.options(), g.races)
		})
	}
}

// requireFound lives through seeds until one breaks.
func requireFound(t *testing.T, seeds []uint64, opts simulation.Options, races bool) {
	t.Helper()
	var rewritten atomic.Int64
	if without := opts.Rewrite; without != nil {
		opts.Rewrite = func(query string) string {
			changed := without(query)
			if changed != query {
				rewritten.Add(1)
			}
			return changed
		}
	}
	for i, seed := range seeds {
		opts.Seed = seed
		report := simulation.Run(t, opts)
		if len(report.Findings) > 0 {
			t.Logf("missed by seed %d, the %d. tried: %s", seed, i+1, report.Findings[0])
			return
		}
		if opts.Rewrite != nil && i+1 >= daysWithout && rewritten.Load() == 0 {
			t.Fatalf("no statement of %d whole days has this guard: has the statement changed?", i+1)
		}
		if races && !report.Fine {
			t.Skip("this engine does not answer at once that a row is locked, so nobody moves inside another's transaction: MariaDB does")
		}
	}
	t.Errorf("%d seeds do not miss it; %d statements were without it: is it needed?", len(seeds), rewritten.Load())
}

// TestWithEveryGuardItHolds lives through the same days with nothing removed:
// what breaks without a guard breaks for its absence alone.
func TestWithEveryGuardItHolds(t *testing.T) {
	t.Parallel()
	if searching() {
		t.Skip("the known seeds are lived through without GUARDS=search")
	}
	for name, g := range guards {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The first is enough: make simulate lives through many days with every guard.
			for _, seed := range g.seeds[:min(len(g.seeds), 1)] {
				opts := g.options()
				opts.Seed, opts.Rewrite, opts.TrustClocks, opts.IgnoreBacklog, opts.FreshTickets = seed, nil, false, false, false
				simulation.Check(t, opts)
			}
		})
	}
}

func TestWithoutTheUniqueKeyItBreaks(t *testing.T) {
	t.Parallel()
	db, at := mysqltest.Empty(t), mysqltest.Options(t)
	ctx := t.Context()
	if _, err := mysql.MigrateUp(ctx, db, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "ALTER TABLE executions DROP INDEX uq_executions_occurrence"); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&at.Database); err != nil {
		t.Fatal(err)
	}
	// The schema keeps what a seed leaves, so there is one try.
	requireFound(t, []uint64{1}, simulation.Options{At: &at}, false)
}

// An engine that knows no SKIP LOCKED is what the compare-and-swap is for.
func TestWithoutTheHintItHolds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		simulation.Check(t, simulation.Options{Seed: seed + 1, Rewrite: ignoredHint})
	}
}
