package mysqltest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/migrations"
)

// prefix begins the name of every schema that this package touches. The rest is
// a hash of the migrations and "template" or a number.
const prefix = "cronjobs_test_"

// truncateFrom is the number of rows from which a table is truncated; fewer are
// deleted, which is faster by far where TRUNCATE is a schema change.
const truncateFrom = 2000

// table is a table of the template.
type table struct {
	name   string
	create string // the statement that makes it
	seeded bool   // the migrations put rows into it
}

// take gives a schema to a test: one that this process has used before, or the
// first that no process holds.
func (s *server) take(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, err := s.pick(ctx)
	if err != nil {
		return "", err
	}
	// A schema in an unknown state, such as one whose making was interrupted or
	// whose tables a test has dropped, is made anew.
	if resetErr := s.reset(ctx, name); resetErr != nil {
		if err := s.clone(ctx, name); err != nil {
			return "", fmt.Errorf("make schema %s: %w", name, errors.Join(err, resetErr))
		}
	}
	return name, nil
}

// pick finds a schema's name and holds its lock.
func (s *server) pick(ctx context.Context) (string, error) {
	if n := len(s.free); n > 0 {
		name := s.free[n-1]
		s.free = s.free[:n-1]
		return name, nil
	}
	for {
		name := fmt.Sprintf("%s%s_%d", prefix, s.hash, s.next)
		s.next++
		held, err := s.lock(ctx, name, 0)
		if err != nil || held {
			return name, err
		}
	}
}

func (s *server) giveBack(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, name)
}

// lock takes a lock that other processes see, for as long as this one lives or
// until it is unlocked.
func (s *server) lock(ctx context.Context, name string, seconds int) (bool, error) {
	var held sql.NullBool
	err := s.locks.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", name, seconds).Scan(&held)
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	return held.Bool, nil
}

func (s *server) unlock(ctx context.Context, name string) error {
	var released sql.NullBool
	return s.locks.QueryRowContext(ctx, "SELECT RELEASE_LOCK(?)", name).Scan(&released)
}

// reset removes what a test left behind in a schema and puts the seeded rows
// back. It fails when a table of the template is missing.
func (s *server) reset(ctx context.Context, name string) error {
	var count strings.Builder
	for i, tbl := range s.tables {
		if i > 0 {
			count.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&count, "SELECT %d, COUNT(*) FROM (SELECT 1 FROM %s LIMIT %d) AS t%d", i, in(name, tbl.name), truncateFrom, i)
	}
	rows, err := s.admin.QueryContext(ctx, count.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	left := make(map[int]int)
	for rows.Next() {
		var i, n int
		if err := rows.Scan(&i, &n); err != nil {
			return err
		}
		left[i] = n
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i, tbl := range s.tables {
		if err := s.restore(ctx, name, tbl, left[i]); err != nil {
			return err
		}
	}
	return nil
}

// restore brings one table of a schema back to the template's rows.
func (s *server) restore(ctx context.Context, name string, tbl table, left int) error {
	var err error
	switch {
	case left >= truncateFrom:
		_, err = s.admin.ExecContext(ctx, "TRUNCATE TABLE "+in(name, tbl.name))
	case left > 0:
		_, err = s.admin.ExecContext(ctx, "DELETE FROM "+in(name, tbl.name))
	}
	if err == nil && tbl.seeded {
		_, err = s.admin.ExecContext(ctx, "INSERT INTO "+in(name, tbl.name)+" SELECT * FROM "+in(s.template(), tbl.name))
	}
	return err
}

// clone makes a schema like the template.
func (s *server) clone(ctx context.Context, name string) error {
	if err := errors.Join(s.drop(ctx, name), s.create(ctx, name)); err != nil {
		return err
	}
	db, err := mysql.Open(s.options(name))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, tbl := range s.tables {
		if _, err := db.ExecContext(ctx, tbl.create); err != nil {
			return err
		}
		if err := s.restore(ctx, name, tbl, 0); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) template() string { return prefix + s.hash + "_template" }

// makeTemplate migrates the template, unless another process has, and reads
// what it is made of.
func (s *server) makeTemplate(ctx context.Context) error {
	name := s.template()
	held, err := s.lock(ctx, name, int(setUpTimeout.Seconds()))
	if err != nil {
		return err
	}
	if !held {
		return fmt.Errorf("another process does not finish the schema %s", name)
	}
	if err := s.removeOutdated(ctx); err != nil {
		return fmt.Errorf("remove outdated schemas: %w", err)
	}
	if err := s.migrate(ctx, name); err != nil {
		return fmt.Errorf("migrate %s: %w", name, err)
	}
	if s.tables, err = s.readTables(ctx, name); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return s.unlock(ctx, name)
}

// migrate brings a schema to the newest migration; one that an interrupted run
// left half done is made anew.
func (s *server) migrate(ctx context.Context, name string) error {
	err := s.tryMigrate(ctx, name)
	if err == nil {
		return nil
	}
	if dropErr := s.drop(ctx, name); dropErr != nil {
		return errors.Join(err, dropErr)
	}
	return s.tryMigrate(ctx, name)
}

func (s *server) tryMigrate(ctx context.Context, name string) error {
	if err := s.create(ctx, name); err != nil {
		return err
	}
	db, err := mysql.Open(s.options(name))
	if err != nil {
		return err
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectMySQL, db, migrations.FS)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// removeOutdated drops, when the template is about to be made, the schemas of
// other states of the migrations that no process holds.
func (s *server) removeOutdated(ctx context.Context) error {
	made, err := s.column(ctx, "SELECT schema_name FROM information_schema.schemata WHERE schema_name = ?", s.template())
	if err != nil || len(made) > 0 {
		return err
	}
	names, err := s.column(ctx, "SELECT schema_name FROM information_schema.schemata WHERE LEFT(schema_name, ?) = ? AND LEFT(schema_name, ?) <> ?",
		len(prefix), prefix, len(prefix+s.hash), prefix+s.hash)
	if err != nil {
		return err
	}
	for _, name := range names {
		held, err := s.lock(ctx, name, 0)
		if err != nil {
			return err
		}
		if !held {
			continue // in use
		}
		if err := errors.Join(s.drop(ctx, name), s.unlock(ctx, name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) readTables(ctx context.Context, schema string) ([]table, error) {
	names, err := s.column(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY table_name", schema)
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, name := range names {
		tbl := table{name: name}
		err := s.admin.QueryRowContext(ctx, "SHOW CREATE TABLE "+in(schema, name)).Scan(&tbl.name, &tbl.create)
		if err != nil {
			return nil, err
		}
		if err := s.admin.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+in(schema, name)+")").Scan(&tbl.seeded); err != nil {
			return nil, err
		}
		tables = append(tables, tbl)
	}
	return tables, nil
}

// column reads a query's only column.
func (s *server) column(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.admin.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, rows.Err()
}

func (s *server) create(ctx context.Context, name string) error {
	_, err := s.admin.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+quote(name)+" CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
	return err
}

func (s *server) drop(ctx context.Context, name string) error {
	_, err := s.admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+quote(name))
	return err
}

func in(schema, table string) string { return quote(schema) + "." + quote(table) }

func quote(name string) string { return "`" + name + "`" }

// migrationsHash tells one state of the migrations from another.
func migrationsHash() (string, error) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range names {
		data, err := migrations.FS.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:10], nil
}
