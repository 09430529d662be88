// Command seedlarge fills a database with as much as a large installation
// holds: by default 100,000 jobs, a year of 10,000,000 executions, and an audit
// log of 200,000 entries.
//
//	make seed-large JOBS=100000 EXECUTIONS=10000000              the database that DB_HOST and the like name
//	make seed-large JOBS=… EXECUTIONS=… DIR=.large               one that it keeps in a directory
//
// A directory serves as LOCAL_DATA_DIR afterwards. An interrupted filling goes
// on when it is called again, and one from before there was an audit log gets
// one; other data is never touched.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/seed"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

func main() {
	jobs := flag.Int("jobs", 100_000, "how many jobs")
	executions := flag.Int("executions", 10_000_000, "how many executions")
	dir := flag.String("dir", "", "the data directory of a database to start; without it DB_HOST and the like name one")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *jobs, *executions, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		cancel()
		os.Exit(1)
	}
}

func say(line string) { fmt.Println("… " + line) }

func run(ctx context.Context, jobs, executions int, dir string) error {
	telemetry.SetDefault(slog.New(slog.DiscardHandler))
	plan, err := seed.NewPlan(jobs, executions, time.Now())
	if err != nil {
		return err
	}
	where, stop, err := seed.Open(ctx, dir, say)
	if err != nil {
		return err
	}
	defer stop()
	db, err := mysql.Open(where)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	began := time.Now()
	if _, err := mysql.MigrateUp(ctx, db, slog.Default()); err != nil {
		return err
	}
	if _, err := mysql.Seed(ctx, db, time.Now()); err != nil {
		return err
	}
	filled, logged, err := seed.Fill(ctx, db, plan, say)
	if err != nil {
		return err
	}
	took := time.Since(began)
	switch {
	case filled:
		fmt.Printf("%d jobs and %d executions with their attempts in %s: %.0f executions/s, all else included.\n",
			jobs, executions, took.Round(time.Second), float64(executions)/took.Seconds())
	case logged:
		fmt.Printf("The data was there already, but for the audit log, which took %s.\n", took.Round(time.Second))
	default:
		fmt.Println("The data is there already.")
	}
	return nil
}
