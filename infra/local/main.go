// Command local runs the whole system on one machine, without AWS: a database,
// a queue, the minute's tick, the executor and the API. See the README.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/system"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// stopTimeout is the longest that calls in flight are waited for: the longest
// timeout of a job, and a little to record it.
const stopTimeout = 310 * time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	cfg, err := config.Parse(config.Local, os.Environ())
	if err != nil {
		return err
	}
	log := telemetry.NewConsole(os.Stdout, telemetry.ParseLevel(cfg.LogLevel))
	telemetry.SetDefault(log)

	interrupted, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	began := time.Now()
	s, err := system.Start(interrupted, system.Options{
		Config: cfg, Log: log, Addr: fmt.Sprintf(":%d", cfg.HTTPPort), Sample: true,
		Progress: func(line string) { fmt.Println("… " + line) },
	})
	if err != nil {
		if interrupted.Err() != nil {
			return errors.New("interrupted before it had started")
		}
		return err
	}
	greet(s, cfg, time.Since(began))

	select {
	case err = <-s.Failed():
	case <-interrupted.Done():
		fmt.Println("\nStopping: calls in flight may finish; press Ctrl-C again to leave at once.")
	}
	// From here a second Ctrl-C has its usual effect.
	release()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err = errors.Join(err, s.Stop(ctx)); err == nil {
		fmt.Println("Stopped.")
	}
	return err
}

// greet says where everything is.
func greet(s *system.System, cfg config.Config, took time.Duration) {
	fmt.Printf(`
Cron Jobs Management System, ready in %s
  API       %s
  API docs  %s/api/docs
  database  %s
  data      %s
`, took.Round(10*time.Millisecond), s.URL, s.URL, s.Engine, cfg.LocalDataDir)
	switch {
	case s.AdminCreated:
		password := s.AdminPassword
		if cfg.AdminPassword != "" {
			password = "the one that ADMIN_PASSWORD gives"
		}
		fmt.Printf("\n  Sign in as  %s\n  Password    %s\n\n", s.AdminEmail, password)
	default:
		fmt.Println("\n  The users are those that the database holds; the first admin's password was shown at the first start.")
		fmt.Println()
	}
}
