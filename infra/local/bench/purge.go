package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

const (
	// ownBar is how much of its speed a claim must keep beside a purge of its
	// own tables, against one of another database on the same server. The two
	// cost processors and disk alike, so that what is missing was waited for.
	ownBar = 0.9
	// aloneBar is how much it must keep of its speed alone. A tick purges after it
	// has claimed, so that beside it is a second tick's purge: a third connection
	// on two processors that two already fill leaves two thirds of them.
	aloneBar = 0.6
	// stepBar is what one step may take, in milliseconds: the second in which it
	// begins batches, and what stands around these.
	stepBar = 1500.0
	// oldRuns is how many old executions a job of the old ones has. As many as
	// are kept stay.
	oldRuns = 300
	// purgeTime is how long one step of a tick's purge removes.
	purgeTime = time.Second
	// stepsDone is how many steps are measured, settleMost how long each round
	// waits for rest.
	stepsDone  = 3
	settleMost = 20 * time.Second
)

// keep is what the configuration keeps unless it says otherwise.
var keep = mysql.Keep{Days: 30, Runs: 100, SummaryDays: 400}

// besides are what claims are measured beside.
var besides = []string{"nothing", "a purge of another database", "a purge of their own tables"}

// underPurge is one round of claiming beside something.
type underPurge struct {
	claimed
	purgedPerSecond float64
	// waits for a row's lock, of whoever it was, their milliseconds, and the
	// claim's transactions that were rolled back.
	waits, waited, lost int64
}

// benchPurge measures claims alone and beside purges that never run out of old
// executions, in turn, and one step of a purge by itself.
func benchPurge(ctx context.Context, server *database.Server, c choice, say func(string)) error {
	here, err := openAged(ctx, server, "bench_purge", c, say)
	if err != nil {
		return err
	}
	defer here.close(ctx)
	other, err := openAged(ctx, server, "bench_purge_other", c, say)
	if err != nil {
		return err
	}
	defer other.close(ctx)
	rounds := make([][]underPurge, len(besides))
	// The first round warms caches up and is not counted.
	for round := range c.rounds + 1 {
		for i, purging := range []*stage{nil, other, here} {
			say(fmt.Sprintf("claim of %d occurrences beside %s: round %d of %d", c.due, besides[i], round, c.rounds))
			one, err := here.claimBeside(ctx, purging)
			if err != nil {
				return err
			}
			if round > 0 {
				rounds[i] = append(rounds[i], one)
			}
		}
	}
	printUnderPurge(rounds)
	if c.statements {
		here.trips.print()
	}
	return here.purgeAlone(ctx, c, say)
}

// openAged makes a database of which much is old: jobs that are due later, and
// to some of them old executions, each with its attempt.
func openAged(ctx context.Context, server *database.Server, name string, c choice, say func(string)) (*stage, error) {
	s, err := openStage(ctx, server, name)
	if err != nil {
		return nil, err
	}
	say(fmt.Sprintf("storing %d old executions in %s", c.old, name))
	err = storeJobs(ctx, s.db, c.due, "http://127.0.0.1:1/bench", time.Time{})
	if err == nil {
		err = s.storeOld(ctx, c.old)
	}
	if err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

// storeOld stores successes of the first jobs, one every hour until a day before
// what is kept. Each statement doubles them.
func (s *stage) storeOld(ctx context.Context, old int) error {
	jobs := max(1, old/oldRuns)
	first := time.Now().UTC().Truncate(time.Hour).AddDate(0, 0, -keep.Days-1).Add(-oldRuns * time.Hour)
	const columns = "job_id, trigger_type, scheduled_for, occurrence_at, status, revision, fence, not_before, started_at, ended_at, created_at, updated_at"
	_, err := s.db.ExecContext(ctx, "INSERT INTO executions ("+columns+") SELECT id, 'schedule', ?, ?, 'success', 1, 1, ?, ?, ?, ?, ? FROM jobs ORDER BY id LIMIT ?",
		first, first, first, first, first, first, first, jobs)
	for stored := 1; err == nil && stored < oldRuns; {
		more := min(stored, oldRuns-stored)
		later := "DATE_ADD(scheduled_for, INTERVAL ? HOUR)"
		_, err = s.db.ExecContext(ctx, "INSERT INTO executions ("+columns+") SELECT job_id, trigger_type, "+later+", "+later+
			", status, revision, fence, not_before, started_at, ended_at, created_at, updated_at FROM executions WHERE scheduled_for < ? ORDER BY scheduled_for, job_id",
			stored, stored, first.Add(time.Duration(more)*time.Hour))
		stored += more
	}
	if err != nil {
		return fmt.Errorf("store old executions: %w", err)
	}
	for _, query := range []string{
		`INSERT INTO attempts (execution_id, attempt, fence, started_at, ended_at, response_status, response_headers, response_body, total_us)
			SELECT id, 1, 1, started_at, ended_at, 200, '{"Content-Type":["text/plain"]}', REPEAT('a', 200), 1000 FROM executions ORDER BY id`,
		"ANALYZE TABLE executions, attempts, jobs",
	} {
		if _, err := s.db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("store old executions: %w", err)
		}
	}
	// A purge takes what it removes out of these.
	_, err = mysql.NewHistory(s.db).CountDays(ctx, time.Now(), func() bool { return true })
	return err
}

// claimBeside is a round of claiming, beside a purge of the stage that is named,
// if any.
func (s *stage) claimBeside(ctx context.Context, purging *stage) (result underPurge, err error) {
	if _, err := s.db.ExecContext(ctx, "DELETE FROM executions WHERE status <> 'success'"); err != nil {
		return result, err
	}
	if err := s.settle(ctx); err != nil {
		return result, err
	}
	before, err := s.lockWaits(ctx)
	if err != nil {
		return result, err
	}
	result.claimed, err = s.claimOnce(ctx, 1, func() (func() error, error) {
		if purging == nil {
			return func() error { return nil }, nil
		}
		stop, err := purging.startPurge(ctx)
		return func() (err error) { result.purgedPerSecond, err = stop(); return err }, err
	})
	if err != nil {
		return result, err
	}
	after, err := s.lockWaits(ctx)
	result.waits, result.waited, result.lost = after[0]-before[0], after[1]-before[1], s.trips.lost()
	return result, err
}

// startPurge purges on a connection of its own, step after step as a tick that
// has much to remove does, until it is stopped; it is under way when this answers.
// It must not run out of what is old.
func (s *stage) startPurge(ctx context.Context) (stop func() (perSecond float64, err error), err error) {
	db, err := mysql.Open(s.options(1))
	if err != nil {
		return nil, err
	}
	var stopped atomic.Bool
	var removed int
	var purging error
	begun, ended := make(chan struct{}), make(chan struct{})
	var began time.Time
	go func() {
		defer close(ended)
		asked := 0
		for !stopped.Load() && purging == nil {
			until, inTime := time.Now().Add(purgeTime), true
			var n int
			n, purging = mysql.NewRetention(db).Purge(ctx, time.Now(), keep, func() bool {
				if asked++; asked == 1 {
					began = time.Now()
					close(begun)
				}
				inTime = !stopped.Load() && time.Now().Before(until)
				return inTime
			})
			if removed += n; n == 0 && purging == nil && inTime {
				purging = errors.New("nothing old is left: -old says how many there are")
			}
		}
		if asked == 0 {
			close(begun)
		}
	}()
	<-begun
	return func() (float64, error) {
		stopped.Store(true)
		<-ended
		return float64(removed) / time.Since(began).Seconds(), errors.Join(purging, db.Close())
	}, nil
}

// purgeAlone measures one step of a purge by itself: where there is more to
// remove than there is time for, and where there is nothing.
func (s *stage) purgeAlone(ctx context.Context, c choice, say func(string)) error {
	db, err := s.counted(1)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	retention := mysql.NewRetention(db)
	var last int64 // of the jobs with old executions
	if err := s.db.QueryRowContext(ctx, "SELECT MAX(job_id) FROM executions WHERE status = 'success'").Scan(&last); err != nil {
		return err
	}
	fmt.Printf("\nOne step of a purge by itself, as a tick makes it (bar: %.0f ms)\n                           ms     most  most ÷ bar  removed   per s   trips\n", stepBar)
	for _, much := range []bool{true, false} {
		kind := map[bool]string{true: "much is old", false: "nothing is"}[much]
		say("steps of a purge by itself where " + kind)
		var took, rates []float64
		removed := 0
		for range stepsDone {
			if err := s.settle(ctx); err != nil {
				return err
			}
			if !much {
				if _, err := s.db.ExecContext(ctx, "UPDATE upkeep SET position = ? WHERE name = 'purge'", last); err != nil {
					return err
				}
			}
			s.trips.reset()
			began := time.Now()
			removed, err = retention.Purge(ctx, began, keep, func() bool { return time.Since(began) < purgeTime })
			if err != nil {
				return err
			}
			if much != (removed > 0) {
				return fmt.Errorf("where %s a step removed %d: -old says how many there are", kind, removed)
			}
			took = append(took, float64(time.Since(began).Microseconds())/1000)
			rates = append(rates, float64(removed)/time.Since(began).Seconds())
		}
		most := percentile(took, 100)
		fmt.Printf("%-20s %8.1f %8.1f %11.2f %8d %7.0f %7d\n", kind, percentile(took, 50), most, most/stepBar, removed, percentile(rates, 50), s.trips.count())
		if c.statements {
			s.trips.print()
		}
	}
	return nil
}

// settle gives the engine time to clear up what earlier statements removed,
// which it does behind their backs: it slows down what is measured next, and an
// insert waits where a key of the same value is yet to go. One that does not tell
// is given none.
func (s *stage) settle(ctx context.Context) error {
	for end := time.Now().Add(settleMost); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var left int64
		err := s.db.QueryRowContext(ctx, "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'").Scan(&left)
		if errors.Is(err, sql.ErrNoRows) || err == nil && left == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lockWaits is how often statements on the server have waited for a row's lock,
// and how many milliseconds.
func (s *stage) lockWaits(ctx context.Context) (sums [2]int64, err error) {
	for i, name := range []string{"Innodb_row_lock_waits", "Innodb_row_lock_time"} {
		var shown string
		err := s.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(&shown, &sums[i])
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return sums, err
		}
	}
	return sums, nil
}

// printUnderPurge prints medians. Ratios are those of claims that followed each
// other, so that a slow minute of the machine is in both.
func printUnderPurge(rounds [][]underPurge) {
	fmt.Printf("\nClaim and dispatch beside a second tick's purge (bars: %.1f of alone, %.1f of beside another database's). Medians; waits are sums\n"+
		"beside                            per s  ÷ alone  ÷ bar  ÷ other  ÷ bar  purged/s  lock waits     ms   retried\n", aloneBar, ownBar)
	rate := func(one underPurge) float64 { return float64(one.occurrences) / one.total.Seconds() }
	for i, all := range rounds {
		ratio := func(to int, bar float64) string {
			if i <= to {
				return fmt.Sprintf("%8s %6s", "-", "-")
			}
			var ratios []float64
			for round, one := range all {
				ratios = append(ratios, rate(one)/rate(rounds[to][round]))
			}
			return fmt.Sprintf("%8.2f %6.2f", percentile(ratios, 50), percentile(ratios, 50)/bar)
		}
		var rates, purged []float64
		var waits, waited, lost int64
		for _, one := range all {
			rates, purged = append(rates, rate(one)), append(purged, one.purgedPerSecond)
			waits, waited, lost = waits+one.waits, waited+one.waited, lost+one.lost
		}
		fmt.Printf("%-28s %10.0f %s %s %9.0f %11d %6d %9d\n", besides[i], percentile(rates, 50), ratio(0, aloneBar), ratio(1, ownBar),
			percentile(purged, 50), waits, waited, lost)
	}
}
