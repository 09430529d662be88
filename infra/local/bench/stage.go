package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// stage is a database of its own for one measurement, on the common server.
type stage struct {
	server *database.Server
	name   string
	trips  roundTrips
	// db prepares and inspects; what is measured has pools of its own.
	db *sql.DB
}

// openStage makes an empty database with the product's schema.
func openStage(ctx context.Context, server *database.Server, name string) (*stage, error) {
	if err := database.EnsureDatabase(ctx, server.Host, server.Port, server.User, server.Password, name, nil); err != nil {
		return nil, err
	}
	s := &stage{server: server, name: name}
	db, err := mysql.Open(s.options(4))
	if err != nil {
		return nil, err
	}
	s.db = db
	if _, err := mysql.MigrateUp(ctx, db, slog.Default()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	// The first category comes with it.
	if _, err := mysql.Seed(ctx, db, time.Now()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// storeTime is what one statement that stores a measurement's jobs may take.
const storeTime = 5 * time.Minute

func (s *stage) options(conns int) mysql.Options {
	return mysql.Options{
		Host: s.server.Host, Port: s.server.Port, User: s.server.User, Password: s.server.Password, Database: s.name, MaxConns: conns, AnswerTimeout: storeTime,
	}
}

// counted is a pool of as many connections as a function on AWS has, whose round
// trips are counted.
func (s *stage) counted(conns int) (*sql.DB, error) {
	connector, err := mysql.Connector(s.options(conns))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(countingConnector{connector, &s.trips})
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// close drops the database, so that the next measurement has the memory.
func (s *stage) close(ctx context.Context) {
	_, _ = s.db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+s.name)
	_ = s.db.Close()
}

// storeJobs writes jobs, due from a time on or, where that is zero, not
// scheduled, each with a request for the URL unless that is empty. They go into
// the tables directly, each statement doubling them: a million requests to the
// API would measure something else.
func storeJobs(ctx context.Context, db *sql.DB, jobs int, url string, from time.Time) error {
	next := sql.NullTime{Time: from.UTC(), Valid: !from.IsZero()}
	if _, err := db.ExecContext(ctx, `INSERT INTO jobs (name, name_key, description, cron_pattern, timezone, category_id, method, status,
		next_run_at, created_at, updated_at) VALUES ('bench', 'bench', 'A job of the benchmark', '0 0 1 1 *', 'UTC', 1, 'GET', 'active',
		?, NOW(), NOW())`, next); err != nil {
		return err
	}
	for stored := 1; stored < jobs; {
		more := min(stored, jobs-stored, doubleMost)
		// Each has an instant of its own within a month.
		if _, err := db.ExecContext(ctx, `INSERT INTO jobs (name, name_key, description, cron_pattern, timezone, category_id, method, status,
			next_run_at, created_at, updated_at) SELECT CONCAT('bench ', ?, '.', id), CONCAT('bench ', ?, '.', id), description, cron_pattern,
			timezone, category_id, method, status, DATE_ADD(?, INTERVAL (id * 7919 + ?) % 2592000 SECOND), created_at, updated_at
			FROM jobs ORDER BY id LIMIT ?`, stored, stored, next, stored, more); err != nil {
			return fmt.Errorf("store jobs: %w", err)
		}
		stored += more
	}
	if url == "" {
		return nil
	}
	_, err := db.ExecContext(ctx, `INSERT INTO job_requests (job_id, revision, method, url, body_secret, timeout_ms, max_redirects, retry_attempts,
		retry_delay_ms, retry_backoff, overlap_policy, created_at) SELECT id, 1, 'GET', ?, 0, 30000, 0, 0, 1000, 'fixed', 'allow', NOW() FROM jobs`, url)
	return err
}

// doubleMost bounds one statement of storeJobs.
const doubleMost = 100_000
