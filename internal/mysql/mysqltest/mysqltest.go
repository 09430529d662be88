// Package mysqltest gives each test a database of its own: migrated, holding
// what the migrations seed and nothing else, on a real server.
//
// The server is the one that TEST_DB_HOST, TEST_DB_PORT, TEST_DB_USERNAME and
// TEST_DB_PASSWORD name, or else one that is started for the test process. Only
// schemas whose names begin with "cronjobs_test_" are touched. Migrated schemas
// are used again after their rows are removed, by later tests and by other test
// processes, since creating tables is slow on some engines.
//
// The package is for tests alone, and knows none of the product's queries.
package mysqltest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/mysql"
)

// setUpTimeout bounds what a test waits for its database.
const setUpTimeout = 2 * time.Minute

// New opens a database that is the test's own until it ends. Generated ids do
// not begin at 1: the counters of an earlier test go on.
func New(t testing.TB) *sql.DB {
	t.Helper()
	return open(t, Options(t))
}

// Options is where a database like that of New is, for tests that open it
// themselves, or more than once.
func Options(t testing.TB) mysql.Options {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setUpTimeout)
	defer cancel()
	srv := shared(t)
	name, err := srv.take(ctx)
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	t.Cleanup(func() { srv.giveBack(name) })
	return srv.options(name)
}

// Empty opens a new schema without a table, which is dropped when the test ends:
// for tests of the migrations themselves.
func Empty(t testing.TB) *sql.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setUpTimeout)
	defer cancel()
	srv := shared(t)
	name := prefix + srv.hash + "_empty_" + strings.ToLower(rand.Text())[:12]
	if err := srv.create(ctx, name); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.drop(context.Background(), name); err != nil {
			t.Errorf("mysqltest: %v", err)
		}
	})
	return open(t, srv.options(name))
}

func open(t testing.TB, opts mysql.Options) *sql.DB {
	t.Helper()
	db, err := mysql.Open(opts)
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("mysqltest: close: %v", err)
		}
	})
	return db
}
