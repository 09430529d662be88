package simulation

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// simulation is one run.
type simulation struct {
	opts  Options
	rng   *rand.Rand
	apart *rand.Rand
	db    *sql.DB // disturbed
	plain *sql.DB // for looking
	fine  bool
	begun time.Time

	store      *mysql.Executions
	jobs       *job.Service
	categories *job.Categories

	mu      sync.Mutex
	waiting []*parked
	actors  []*actor
	number  int
	ended   int // transactions that ended
	dirty   bool
	// committer is who committed last.
	committer *actor
	// committerBegan is the step in which that transaction began.
	committerBegan int
	queue          []*message
	calls          []*call
	made           map[callKey]*call
	running        map[int64]time.Time // since when executions run, where they do
	starters       map[attemptKey]*actor
	lanes
	aside map[int64]bool // jobs that were set aside and are not active again

	step         int
	faults       int
	deadlocks    int
	mood         Mood
	healed       bool
	nextTick     time.Time
	nextPerson   time.Time
	nextPoison   time.Time
	databaseSkew time.Duration
	awayUntil    time.Time // the database, for everybody

	jobIDs      []int64
	categoryIDs []int64
	named       int

	snapshot
	findings  []string
	trace     trace
	unclaimed int
	setAside  int
	keptOff   int
}

// heldSteps is how long others go first of one who is held on purpose.
const heldSteps = 60

// maxSteps stops a run that does not come to its end.
const maxSteps = 60_000

// settle waits until nobody moves, and looks at what was committed.
func (s *simulation) settle(ctx context.Context) {
	for {
		synctest.Wait()
		s.mu.Lock()
		var gone *parked
		for _, w := range s.waiting {
			if w.crashed {
				gone = w
				break
			}
		}
		s.mu.Unlock()
		if gone == nil {
			break
		}
		s.release(gone, verdict{err: errCrashed, crash: true})
	}
	s.observe(ctx)
}

// committed notes that an actor has changed the database, by a transaction that
// began in that step.
func (s *simulation) committed(a *actor, began int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty, s.committer, s.committerBegan = true, a, began
}

func (s *simulation) transactionEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
}

// misbehave is the first part of a run: everything may break at any time.
func (s *simulation) misbehave(ctx context.Context) {
	s.mood = s.chooseMood()
	s.store = s.store.WithLimits(s.limits())
	end := time.Now().Add(time.Duration(3+s.rng.IntN(4)) * time.Minute)
	s.nextTick, s.nextPerson = time.Now(), time.Now().Add(5*time.Second)
	for time.Now().Before(end) && s.goesOn() {
		s.settle(ctx)
		s.step++
		if s.mood.Poisoned && !time.Now().Before(s.nextPoison) {
			s.poison(ctx)
			continue
		}
		end = end.Add(s.next(ctx))
	}
}

func (s *simulation) goesOn() bool {
	if s.step >= maxSteps {
		s.find("end", "%d steps were not enough", s.step)
	}
	return len(s.findings) == 0
}

// next chooses what happens. It returns by how much an outage makes the run
// longer.
func (s *simulation) next(ctx context.Context) time.Duration {
	now := time.Now()
	all := s.movable()
	due := s.visible(now)
	chance := s.rng.IntN(100)
	switch {
	case !now.Before(s.nextTick) && chance < 30:
		return s.tickOrNot(ctx)
	case !s.healed && !now.Before(s.nextPerson) && chance < 50:
		s.nextPerson = now.Add(time.Duration(s.rng.Int64N(int64(2 * s.mood.People))).Truncate(time.Millisecond))
		s.person(ctx)
	case len(due) > 0 && chance < 65:
		s.deliver(ctx, due)
	case len(all) > 0 && chance < 97:
		w := all[s.rng.IntN(len(all))]
		s.move(w)
	case len(all) > 0:
		s.pass1(s.pause())
	default:
		s.idle(now)
	}
	return 0
}

// move lets one actor go on, well or not.
func (s *simulation) move(w *parked) {
	v := s.judge(w)
	if hold, steps := s.rng.Float64(), 5+s.rng.IntN(60); hold < s.mood.Held && !s.healed {
		w.held = s.step + steps
	}
	if after := s.opts.HoldAfter; after != "" && strings.Contains(w.query, after) {
		w.held = s.step + heldSteps
		w.frozen = time.Now().Add(s.opts.HoldFor)
	}
	switch {
	case v.err == nil && v.statement == 0:
		s.note("%s %s", w.actor, w.label)
	default:
		s.faults++
		s.note("%s %s – %s", w.actor, w.label, v)
	}
	s.release(w, v)
}

// pause is how long nothing happens although something could.
func (s *simulation) pause() time.Duration {
	if s.healed {
		return 20 * time.Millisecond
	}
	pauses := []time.Duration{time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond, 250 * time.Millisecond, 250 * time.Millisecond, time.Second, 7 * time.Second}
	return pauses[s.rng.IntN(len(pauses))]
}

// idle lets time pass where nobody can go on now.
func (s *simulation) idle(now time.Time) {
	if w := s.deadlocked(); w != nil {
		s.note("%s %s – the engine ends it, for nobody can go on", w.actor, w.label)
		s.deadlocks++
		if s.opts.Strict && !s.atSlots() && !s.atEntries() {
			s.find("locks", "two hold each other up, as they take locks in different orders: %s, %s", w.actor, w.label)
		}
		for _, o := range s.waiting {
			s.note("    %s %s", o.actor, o.label)
		}
		s.release(w, verdict{err: errHealed})
		return
	}
	until := s.nextTick
	if !s.healed && s.nextPerson.Before(until) {
		until = s.nextPerson
	}
	s.mu.Lock()
	for _, m := range s.queue {
		if m.visible.Before(until) {
			until = m.visible
		}
	}
	s.mu.Unlock()
	if s.alive() > 0 && until.Sub(now) > time.Second {
		until = now.Truncate(time.Second).Add(time.Second)
	}
	s.pass1(max(until.Sub(now), time.Millisecond))
}

// pass1 lets time pass. Who could have gone on meanwhile was stalled.
func (s *simulation) pass1(d time.Duration) {
	if !s.healed {
		s.mu.Lock()
		for _, w := range s.waiting {
			// Twenty seconds are less than the slack of a lease.
			if w.stalled += d; w.stalled > 15*time.Second {
				w.faulty, w.still = true, true
			}
		}
		s.mu.Unlock()
	}
	time.Sleep(d)
}

func (s *simulation) sleepUntil(at time.Time) { time.Sleep(time.Until(at)) }

// deadlocked finds who must give up, where all that wait hold each other up.
func (s *simulation) deadlocked() *parked {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last *parked
	for _, w := range s.waiting {
		if w.seam != atLock || w.frozen.After(time.Now()) {
			return nil
		}
		last = w
	}
	return last
}

// atSlots reports a circle of starts that take a slot which was let go a moment
// ago. InnoDB keeps the old entry of the unique key until it is purged, locks it
// for both while it checks for duplicates, and lets neither insert beside it,
// whatever the order of locks.
func (s *simulation) atSlots() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	starts := 0
	for _, w := range s.waiting {
		if strings.Contains(w.query, "slot_job_id = job_id") {
			starts++
		}
	}
	return starts > 1
}

// atEntries reports a circle of a change by a person, which finds waiting rows by
// an index, and a statement that changes one of them by its key. InnoDB locks the
// entry before the row for one and the row before its entry for the other, inside
// single statements. By their keys the change would also lock rows that have
// begun to run, whose finish may wait for the job that it holds. A circle in
// which somebody waits for a job is none of these, unless that one holds nothing
// up, and merely stands beside it.
func (s *simulation) atEntries() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	byIndex, byKey := false, false
	for _, w := range s.waiting {
		switch {
		case strings.Contains(w.query, "FROM executions FORCE INDEX (ix_executions_job_status)"):
			byIndex = true
		case strings.HasPrefix(w.query, "UPDATE executions FORCE INDEX (PRIMARY)"):
			byKey = true
		case w.holds && !strings.Contains(w.query, "FROM executions"):
			return false
		}
	}
	return byIndex && byKey
}

// setUp makes categories and jobs.
func (s *simulation) setUp(ctx context.Context) error {
	s.made, s.running, s.starters = map[callKey]*call{}, map[int64]time.Time{}, map[attemptKey]*actor{}
	s.lanes, s.aside = newLanes(), map[int64]bool{}
	for _, table := range []string{"categories", "jobs", "executions"} {
		// The tables are empty: two runs of a seed have the same ids, where the
		// engine lets them.
		_, _ = s.plain.ExecContext(ctx, "ALTER TABLE "+table+" AUTO_INCREMENT = 1")
	}
	s.store = mysql.NewExecutions(s.db)
	jobs := mysql.NewJobs(s.db)
	people := s.dispatcher(&actor{name: "set-up"})
	s.jobs = job.NewService(jobs, people, lookAhead, time.Now)
	s.categories = job.NewCategories(mysql.NewCategories(s.db), jobs, people, time.Now)
	for _, name := range []string{"Even", "Odd"} {
		c, err := s.categories.Create(ctx, job.CategoryInput{Name: &name, Color: new("#123456")})
		if err != nil {
			return fmt.Errorf("category: %w", err)
		}
		s.categoryIDs = append(s.categoryIDs, c.ID)
	}
	for range 2 + s.rng.IntN(4) {
		if err := s.create(ctx); err != nil {
			return err
		}
	}
	var err error
	s.snapshot, err = s.look(ctx)
	s.dirty = false
	return err
}
