// Command repairrollups counts the history anew and puts right the summaries
// that differ from it, while everything else may go on: what the migrate
// function does on AWS with {"command":"repair-rollups"}.
//
//	make repair-rollups                the database that DB_HOST and the like name
//	make repair-rollups DIR=.local     the local runner's, while it does not run
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/seed"
	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

func main() {
	dir := flag.String("dir", "", "the data directory of a database to start; without it DB_HOST and the like name one")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		cancel()
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) (err error) {
	cfg, err := config.Parse(config.Local, os.Environ())
	if err != nil {
		return err
	}
	log := telemetry.NewConsole(os.Stdout, telemetry.ParseLevel(cfg.LogLevel))
	where, stop, err := seed.Open(ctx, dir, func(line string) { fmt.Println("… " + line) })
	if err != nil {
		return err
	}
	defer stop()
	cfg.DB.Host, cfg.DB.Port, cfg.DB.Username, cfg.DB.Password = where.Host, where.Port, where.User, config.Secret(where.Password)
	if dir != "" {
		cfg.DB.TLSCA = config.TLSOff // a server of our own
	}
	migrate, closeAll, err := app.NewMigrate(ctx, app.Env{Config: cfg, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	began := time.Now()
	done, err := migrate(ctx, app.MigrateEvent{Command: "repair-rollups"})
	if err != nil {
		return err
	}
	if done.Unread > 0 {
		fmt.Printf("%d records of outcomes could not be read; the history was counted in their place.\n", done.Unread)
	}
	fmt.Printf("%d hours of jobs had summaries that differed from the history; %s.\n", done.RepairedHours, time.Since(began).Round(time.Millisecond))
	return nil
}
