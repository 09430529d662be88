package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/migrations"
)

// Migrated is the state of the schema after a migration.
type Migrated struct {
	Version int64 // the newest migration that is applied
	Applied int   // how many this run applied or took back
}

// Two migrations at once wait for each other by a row in a table of goose's,
// which every engine has, unlike named locks behind a proxy.
const (
	lockEvery = time.Second
	lockTries = 120
)

func migrator(db *sql.DB, log *slog.Logger) (*goose.Provider, error) {
	locker, err := lock.NewMySQLTableLocker(lock.WithTableLockTimeout(lockEvery, lockTries), lock.WithTableLogger(log))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectMySQL, db, migrations.FS, goose.WithLocker(locker), goose.WithSlog(log),
		goose.WithAllowOutofOrder(true)) // numbers are given out before the files are merged
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return provider, nil
}

// MigrateUp brings the schema to the newest version. Doing so again, or twice
// at once, is harmless.
func MigrateUp(ctx context.Context, db *sql.DB, log *slog.Logger) (Migrated, error) {
	provider, err := migrator(db, log)
	if err != nil {
		return Migrated{}, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return Migrated{}, fmt.Errorf("migrations: %w", err)
	}
	return state(ctx, provider, len(results))
}

// MigrateDownTo takes migrations back until version is the newest; 0 takes all
// back, and the data with them.
func MigrateDownTo(ctx context.Context, db *sql.DB, log *slog.Logger, version int64) (Migrated, error) {
	provider, err := migrator(db, log)
	if err != nil {
		return Migrated{}, err
	}
	results, err := provider.DownTo(ctx, version)
	if err != nil {
		return Migrated{}, fmt.Errorf("migrations: %w", err)
	}
	return state(ctx, provider, len(results))
}

// MigrationState reads the schema's version.
func MigrationState(ctx context.Context, db *sql.DB, log *slog.Logger) (Migrated, error) {
	provider, err := migrator(db, log)
	if err != nil {
		return Migrated{}, err
	}
	return state(ctx, provider, 0)
}

func state(ctx context.Context, provider *goose.Provider, applied int) (Migrated, error) {
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return Migrated{}, fmt.Errorf("migrations: %w", err)
	}
	return Migrated{Version: version, Applied: applied}, nil
}

// seedCategories are those that a new database begins with.
var seedCategories = []struct{ name, description, color string }{
	{"Data Sync", "Jobs for synchronizing data between systems", "#3B82F6"},
	{"Reports", "Scheduled report generation jobs", "#10B981"},
	{"Maintenance", "System maintenance and cleanup jobs", "#F59E0B"},
	{"Notifications", "Email and webhook notification jobs", "#8B5CF6"},
}

// Seed puts the first categories, with ids from 1, into a database that has
// held neither a category nor a job yet. It reports whether it did.
func Seed(ctx context.Context, db *sql.DB, now time.Time) (bool, error) {
	seeded := false
	err := inTx(ctx, db, func(tx *sql.Tx) error {
		seeded = false
		used, err := queryAllSQL(ctx, tx, scanInto[bool], "SELECT EXISTS (SELECT 1 FROM categories) OR EXISTS (SELECT 1 FROM jobs)")
		if err != nil || used[0] {
			return err
		}
		var args []any
		for i, c := range seedCategories {
			args = append(args, i+1, c.name, job.CategoryNameKey(c.name), c.description, c.color, "active", utc(now), utc(now))
		}
		_, err = execSQL(ctx, tx, "INSERT INTO categories (id, name, name_key, description, color, status, created_at, updated_at) VALUES "+
			tuples(len(seedCategories), 8), args...)
		if isDuplicate(err) {
			return nil // another migration was faster
		}
		seeded = err == nil
		return err
	})
	return seeded, err
}
