package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// The executor's bars.
const (
	executeBar = 2000.0 // executions a second
	tripsBar   = 0.3    // database round trips an execution, in chunks of 50
)

const (
	chunkSize = 50
	workers   = 4
)

// executed is one round of making calls.
type executed struct {
	perSecond, tripsEach        float64
	heapEarly, heapLate, rssMax float64 // MB
}

// benchExecutor measures invocations that work side by side on executions that
// are due already, against a target that answers at once.
func benchExecutor(ctx context.Context, server *database.Server, c choice, say func(string)) error {
	t, err := startTarget()
	if err != nil {
		return err
	}
	defer func() { _ = t.server.Close() }()
	s, err := openStage(ctx, server, "bench_execute")
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := storeJobs(ctx, s.db, c.executions, t.url+"/bench", time.Time{}); err != nil {
		return err
	}
	fmt.Printf("\nThe executor: %d invocations at once, messages of %d, one connection each (bars: %.0f a second, %.1f round trips)\n",
		workers, chunkSize, executeBar, tripsBar)
	fmt.Println("messages/invocation       n     per s  ÷ bar   trips each  ÷ bar   heap MB first half  second   RSS MB max")
	for _, messages := range []int{1, 10} {
		var all []executed
		for round := range c.rounds {
			say(fmt.Sprintf("%d executions, %d messages an invocation: round %d of %d", c.executions, messages, round+1, c.rounds))
			t.reset()
			one, err := s.executeRound(ctx, t, c.executions, messages)
			if err != nil {
				return err
			}
			all = append(all, one)
		}
		of := func(get func(executed) float64) float64 {
			values := make([]float64, len(all))
			for i, e := range all {
				values[i] = get(e)
			}
			return percentile(values, 50)
		}
		rate, trips := of(func(e executed) float64 { return e.perSecond }), of(func(e executed) float64 { return e.tripsEach })
		fmt.Printf("%19d %7d %9.0f %6.2f %12.3f %6.2f %20.0f %7.0f %12.0f\n", messages, c.executions, rate, rate/executeBar, trips, trips/tripsBar,
			of(func(e executed) float64 { return e.heapEarly }), of(func(e executed) float64 { return e.heapLate }), of(func(e executed) float64 { return e.rssMax }))
		if c.statements {
			s.trips.print()
		}
	}
	return nil
}

func (s *stage) executeRound(ctx context.Context, t *target, executions, messages int) (executed, error) {
	bodies, err := s.queueAll(ctx)
	if err != nil {
		return executed{}, err
	}
	invocations := make(chan []string, len(bodies))
	for len(bodies) > 0 {
		n := min(messages, len(bodies))
		invocations <- bodies[:n]
		bodies = bodies[n:]
	}
	close(invocations)

	half := func() bool { return t.received() >= executions/2 }
	watch := watchMemory(half)
	s.trips.reset()
	began := time.Now()
	var all sync.WaitGroup
	failures := make([]error, workers)
	for i := range workers {
		all.Go(func() { failures[i] = s.invoke(ctx, invocations) })
	}
	all.Wait()
	took := time.Since(began)
	result := watch()
	result.perSecond = float64(executions) / took.Seconds()
	result.tripsEach = float64(s.trips.count()) / float64(executions)
	var succeeded int
	counting := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM executions WHERE status = 'success'").Scan(&succeeded)
	err = errors.Join(errors.Join(failures...), counting)
	if err == nil && (succeeded != executions || t.received() != executions) {
		err = fmt.Errorf("%d of %d executions succeeded, with %d calls", succeeded, executions, t.received())
	}
	return result, err
}

// queueAll makes an execution of every job, due some seconds ago, and the
// messages that name them.
func (s *stage) queueAll(ctx context.Context) ([]string, error) {
	at := time.Now().UTC().Truncate(time.Second).Add(-10 * time.Second)
	for _, query := range []string{"TRUNCATE TABLE executions", "TRUNCATE TABLE attempts", "TRUNCATE TABLE job_stats"} {
		if _, err := s.db.ExecContext(ctx, query); err != nil {
			return nil, err
		}
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO executions (job_id, trigger_type, scheduled_for, occurrence_at, status, revision, not_before,
		resend_after, created_at, updated_at) SELECT id, 'schedule', ?, ?, 'queued', 1, ?, ?, ?, ? FROM jobs`,
		at, at, at, at.Add(time.Hour), at, at); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, "SELECT id FROM executions ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var bodies []string
	chunk := execution.Chunk{At: at}
	flush := func() error {
		if len(chunk.Executions) == 0 {
			return nil
		}
		body, err := chunk.Encode()
		bodies, chunk.Executions = append(bodies, body), nil
		return err
	}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		chunk.Executions = append(chunk.Executions, execution.Ref{ID: id, Attempt: 1})
		if len(chunk.Executions) == chunkSize {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return bodies, errors.Join(rows.Err(), flush())
}

// invoke is one instance of the function: one connection to the database, one
// invocation after another.
func (s *stage) invoke(ctx context.Context, invocations <-chan []string) error {
	db, err := s.counted(1)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	clock := executor.WallClock{}
	transport := executor.NewTransport(executor.ClientOptions{Allow: app.Loopback})
	defer transport.CloseIdleConnections()
	runner := executor.New(mysql.NewExecutions(db), nobody{}, executor.NewClient(transport, clock), clock, slog.New(slog.DiscardHandler))
	for bodies := range invocations {
		if err := errors.Join(runner.Run(ctx, bodies)...); err != nil {
			return err
		}
	}
	return nil
}

// nobody sends no retries, for there are none.
type nobody struct{}

func (nobody) Dispatch(context.Context, []execution.Waiting) error {
	return errors.New("nothing should be sent again")
}

// watchMemory notes the heap's and the process's peaks until its answer is
// asked for; half tells when the second half has begun.
func watchMemory(half func() bool) func() executed {
	runtime.GC()
	stop, done := make(chan struct{}), make(chan struct{})
	var peaks executed
	note := func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		heap := float64(sample[0].Value.Uint64()) / (1 << 20)
		if half() {
			peaks.heapLate = max(peaks.heapLate, heap)
		} else {
			peaks.heapEarly = max(peaks.heapEarly, heap)
		}
		peaks.rssMax = max(peaks.rssMax, residentMB())
	}
	go func() {
		defer close(done)
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-stop:
				return
			case <-every.C:
				note()
			}
		}
	}()
	return func() executed { close(stop); <-done; return peaks }
}

// residentMB is the process's resident memory, where the system tells.
func residentMB() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kB, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kB / 1024
		}
	}
	return 0
}
