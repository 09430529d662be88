package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/secretstore"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// MigrateEvent says what to do with the schema.
type MigrateEvent struct {
	// Command is up (also when empty), status, down, repair-rollups, which
	// counts the history anew and puts right the summaries that differ from it,
	// or rotate-secrets, which seals every stored secret under a fresh key.
	Command string `json:"command"`
	// To is the version that down goes back to; it must be given.
	To *int64 `json:"to"`
}

// MigrateResult is the state afterwards.
type MigrateResult struct {
	Version      int64 `json:"version"`
	Applied      int   `json:"applied"`
	Seeded       bool  `json:"seeded"`
	AdminCreated bool  `json:"adminCreated"`
	// DatabaseUser is what became of the functions' database user: "created or
	// changed", "unchanged", or empty where it is the one that migrates.
	DatabaseUser string `json:"databaseUser,omitempty"`
	// RepairedHours is how many hours of jobs had summaries that differed.
	RepairedHours int `json:"repairedHours"`
	// Unread is how many records of outcomes could not be read, in whose place
	// the repair counted the history.
	Unread int `json:"unread,omitempty"`
	// KeyVersion is the data key's that seals from now on, and Resealed how
	// many rows are sealed anew under it. Unreadable rows are left as they are.
	KeyVersion int `json:"keyVersion"`
	Resealed   int `json:"resealed"`
	Unreadable int `json:"unreadable"`
}

// MigrateHandler is the Lambda handler of migrations.
type MigrateHandler func(ctx context.Context, event MigrateEvent) (MigrateResult, error)

// migrationTime is what one statement of a migration may take: as long as a
// function lives. An index of a large table takes minutes.
const migrationTime = 15 * time.Minute

// migrateConns are the database connections of a migration: one makes the
// changes while another holds the lock. With a single one it waits for ever.
const migrateConns = 2

// NewMigrate makes the migrator. up also makes the functions' database user where
// DB_ADMIN_SECRET_ARN gives another one to migrate by, and seeds: the first
// categories, and the first admin where one is named.
func NewMigrate(ctx context.Context, env Env) (handler MigrateHandler, closeAll func() error, err error) {
	env.MaxConns = max(env.MaxConns, migrateConns)
	env = env.withDefaults()
	cfg := env.Config.DB
	arn := cfg.SecretARN
	if cfg.AdminSecretARN != "" {
		arn = cfg.AdminSecretARN
	}
	logins, err := env.logins(ctx, arn)
	if err != nil {
		return nil, nil, err
	}
	db, err := env.openDatabaseAs(logins, mysql.Options{AnswerTimeout: migrationTime})
	if err != nil {
		return nil, nil, err
	}
	ring, err := env.keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	return invoked(env, db, func(ctx context.Context, event MigrateEvent) (_ MigrateResult, err error) {
		defer func() {
			if err != nil { // whoever invoked it may not have waited
				env.Log.ErrorContext(ctx, "migrate", "command", event.Command, "err", err)
			}
		}()
		began := time.Now()
		defer func() { observeTime(ctx, telemetry.MigrationDuration, time.Since(began)) }()
		switch event.Command {
		case "", "up":
			done, err := mysql.MigrateUp(ctx, db, env.Log)
			if err != nil {
				return MigrateResult{}, err
			}
			result := MigrateResult{Version: done.Version, Applied: done.Applied}
			if result.DatabaseUser, err = env.ensureDatabaseUser(ctx, db); err != nil {
				return result, err
			}
			if result.Seeded, err = mysql.Seed(ctx, db, env.Now()); err != nil {
				return result, fmt.Errorf("seed: %w", err)
			}
			result.AdminCreated, err = env.ensureAdmin(ctx, db)
			return result, err
		case "down":
			if event.To == nil {
				return MigrateResult{}, fmt.Errorf(`to: is required: the version to go back to, such as {"command":"down","to":7}`)
			}
			done, err := mysql.MigrateDownTo(ctx, db, env.Log, *event.To)
			return MigrateResult{Version: done.Version, Applied: done.Applied}, err
		case "status":
			done, err := mysql.MigrationState(ctx, db, env.Log)
			return MigrateResult{Version: done.Version}, err
		case "repair-rollups":
			done, err := mysql.NewRollups(db).Repair(ctx, false)
			for _, fault := range done.Faults {
				env.Log.WarnContext(ctx, "a summary differed from the history", "jobId", fault.JobID, "hour", fault.Hour, "difference", fault.String())
			}
			if done.Unread > 0 {
				env.Log.WarnContext(ctx, "records of outcomes could not be read; the history was counted in their place", "unread", done.Unread)
			}
			return MigrateResult{RepairedHours: done.Hours, Unread: done.Unread}, err
		case "rotate-secrets":
			done, err := mysql.NewRotation(db, ring).Run(ctx, env.Now())
			return MigrateResult{KeyVersion: done.Version, Resealed: done.Resealed, Unreadable: done.Unreadable}, err
		default:
			return MigrateResult{}, fmt.Errorf("command: must be up, down, status, repair-rollups or rotate-secrets")
		}
	}), db.Close, nil
}

// ensureDatabaseUser gives the functions' database user its password and its
// rights, where migrations are made by another one.
func (e Env) ensureDatabaseUser(ctx context.Context, db *sql.DB) (string, error) {
	cfg := e.Config.DB
	if cfg.AdminSecretARN == "" || cfg.SecretARN == "" || cfg.Username != "" {
		return "", nil
	}
	// Read now and not once a start: it may have been rotated since.
	store, err := secretstore.Open(ctx, region())
	if err != nil {
		return "", err
	}
	login, err := readLogin(ctx, store, cfg.SecretARN)
	if err != nil {
		return "", err
	}
	encryption, err := DatabaseTLS(cfg)
	if err != nil {
		return "", err
	}
	signIn := mysql.Options{Host: cfg.Host, Port: cfg.Port, Database: cfg.Name, TLS: encryption, Logins: login}
	good, err := mysql.TryLogin(ctx, signIn)
	if err != nil {
		return "", fmt.Errorf("database user: %w", err)
	}
	if err := mysql.EnsureUser(ctx, db, login, !good); err != nil {
		return "", err
	}
	if good {
		return "unchanged", nil
	}
	if good, err = mysql.TryLogin(ctx, signIn); err != nil || !good {
		return "", errors.Join(errors.New("database user: it has its password, and the server refuses it"), err)
	}
	return "created or changed", nil
}

// ensureAdmin makes the first user, an admin, where there is none and one is
// named.
func (e Env) ensureAdmin(ctx context.Context, db *sql.DB) (bool, error) {
	accounts := mysql.NewAccounts(db)
	// Its secret may be deleted once it has served.
	if anyone, err := accounts.AnyUser(ctx); err != nil || anyone {
		return false, err
	}
	email, password, err := e.firstAdmin(ctx)
	if err != nil || email == "" {
		return false, err
	}
	return account.EnsureAdmin(ctx, accounts, email, password, e.Now())
}
