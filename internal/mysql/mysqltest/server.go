package mysqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// server is the database server of this test process.
type server struct {
	at mysql.Options
	// locks is the connection that holds this process's schemas: the server
	// frees them when the process is gone.
	locks *sql.Conn
	admin *sql.DB

	mu   sync.Mutex
	free []string
	// next is the number of the first schema that this process has not asked for.
	next int
	// tables of the template, by name; true for those with seeded rows.
	tables []table
	hash   string
}

var connectOnce = sync.OnceValues(connect)

// shared is the process's server, started by the first test that needs it.
func shared(t testing.TB) *server {
	t.Helper()
	srv, err := connectOnce()
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	return srv
}

// connect finds or starts the server and makes the template. A server started
// here ends with the process: nothing tells a package when its last test is done.
func connect() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setUpTimeout)
	defer cancel()
	at, engine, err := fromEnvironment()
	if err != nil {
		return nil, err
	}
	if at.Host == "" {
		// A build of the embedded engine takes longer than a test's set-up.
		started, err := database.StartForTests(context.Background(), database.Auto, say)
		if err != nil {
			return nil, err
		}
		engine = started.Engine
		at = mysql.Options{Host: started.Host, Port: started.Port, User: started.User, Password: started.Password}
	}
	say("database tests run on " + engine)
	// Dozens of schemas are made at once, on machines that are busy.
	at.AnswerTimeout = setUpTimeout

	admin, err := mysql.Open(at)
	if err != nil {
		return nil, err
	}
	srv := &server{at: at, admin: admin}
	if srv.locks, err = admin.Conn(ctx); err != nil {
		return nil, fmt.Errorf("connect to the test server: %w", err)
	}
	// Held for as long as the tests run, and idle most of that time.
	if _, err := srv.locks.ExecContext(ctx, "SET SESSION wait_timeout = 28800"); err != nil {
		return nil, err
	}
	if srv.hash, err = migrationsHash(); err != nil {
		return nil, err
	}
	return srv, srv.makeTemplate(ctx)
}

// fromEnvironment reads the server to use; an empty host means none was named.
func fromEnvironment() (at mysql.Options, engine string, err error) {
	at.Host = os.Getenv("TEST_DB_HOST")
	if at.Host == "" {
		return at, "", nil
	}
	at.User, at.Password = os.Getenv("TEST_DB_USERNAME"), os.Getenv("TEST_DB_PASSWORD")
	at.Port = 3306
	if port := os.Getenv("TEST_DB_PORT"); port != "" {
		if at.Port, err = strconv.Atoi(port); err != nil {
			return at, "", errors.New("TEST_DB_PORT is not a number")
		}
	}
	engine = os.Getenv("TEST_DB_ENGINE")
	if engine == "" {
		engine = fmt.Sprintf("the server at %s:%d", at.Host, at.Port)
	}
	return at, engine, nil
}

// options is where a schema is.
func (s *server) options(schema string) mysql.Options {
	opts := s.at
	opts.Database = schema
	return opts
}

func say(line string) { fmt.Fprintln(os.Stderr, "mysqltest: "+line) }
