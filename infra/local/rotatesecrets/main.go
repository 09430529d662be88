// Command rotatesecrets seals every stored secret under a fresh data key, while
// everything else may go on: what the migrate function does on AWS with
// {"command":"rotate-secrets"}. It may be stopped and run again.
//
//	make rotate-secrets                the database that DB_HOST and the like name
//	make rotate-secrets DIR=.local     the local runner's, while it does not run
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/seed"
	"github.com/cronjobs/cronjobs/infra/local/system"
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
	if dir != "" && !cfg.Secrets.Named() {
		cfg.Secrets.KeyFile = filepath.Join(dir, system.SecretsKeyFile)
	}
	cfg.DB.Host, cfg.DB.Port, cfg.DB.Username, cfg.DB.Password = where.Host, where.Port, where.User, config.Secret(where.Password)
	migrate, closeAll, err := app.NewMigrate(ctx, app.Env{Config: cfg, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	began := time.Now()
	done, err := migrate(ctx, app.MigrateEvent{Command: "rotate-secrets"})
	if err != nil {
		return err
	}
	fmt.Printf("%d rows are sealed under version %d of the data key; %s.\n", done.Resealed, done.KeyVersion, time.Since(began).Round(time.Millisecond))
	if done.Unreadable > 0 {
		return fmt.Errorf("%d rows cannot be opened and stay as they are; the log names them", done.Unreadable)
	}
	return nil
}
