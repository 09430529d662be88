package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// idleBar is what a tick may take with nothing due, whatever is stored.
const idleBar = 20.0 // ms

const idleTicks = 200

// benchIdle measures ticks that find nothing due among many stored jobs, each
// with a next run of its own some time from now.
func benchIdle(ctx context.Context, server *database.Server, c choice, say func(string)) error {
	s, err := openStage(ctx, server, "bench_idle")
	if err != nil {
		return err
	}
	defer s.close(ctx)
	say(fmt.Sprintf("storing %d jobs", c.stored))
	if err := storeJobs(ctx, s.db, c.stored, "", time.Now().Add(time.Hour)); err != nil {
		return err
	}
	db, err := s.counted(tickConns)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	queue, stop, err := startQueue(ctx)
	if err != nil {
		return err
	}
	defer stop()
	lane := &timedQueue{Queue: queue}
	tick := dispatch.New(mysql.NewExecutions(db), lane, lane, time.Now, slog.Default())
	say(fmt.Sprintf("%d ticks with none due", idleTicks))
	var took []float64
	for i := range idleTicks + 5 {
		began := time.Now()
		s.trips.reset()
		report, err := tick.Tick(ctx)
		if err != nil {
			return err
		}
		if report.Jobs+report.Synced > 0 {
			return fmt.Errorf("a tick with none due claimed %d jobs and moved %d", report.Jobs, report.Synced)
		}
		if i >= 5 { // the first ones connect and warm up
			took = append(took, float64(time.Since(began).Microseconds())/1000)
		}
	}
	median, p99 := percentile(took, 50), percentile(took, 99)
	fmt.Printf("\nA tick with %d jobs stored and none due (bar: %.0f ms)\n    p50 ms    p99 ms  p99 ÷ bar   trips\n%10.1f %9.1f %10.2f %7d\n",
		c.stored, idleBar, median, p99, p99/idleBar, s.trips.count())
	if c.statements {
		s.trips.print()
	}
	return nil
}
