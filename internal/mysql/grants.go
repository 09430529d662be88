package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	driverpkg "github.com/go-sql-driver/mysql"
)

// grantedToFunctions are the rights that the functions have, on the product's own
// tables and on nothing else: neither the schema nor the record of migrations is
// theirs to change.
const grantedToFunctions = "SELECT, INSERT, UPDATE, DELETE"

// grantWait is how many seconds a second migration waits for the first one's
// grants.
const grantWait = 60

// EnsureUser makes the database user of the functions, from any host, or gives
// the one that there is this password where setPassword says so, and grants what
// the functions need on every table of the schema. db is signed in as one who
// may grant. Doing so again, or twice at once, is harmless.
func EnsureUser(ctx context.Context, db *sql.DB, login Login, setPassword bool) (err error) {
	conn, err := db.Conn(ctx) // a lock belongs to its connection
	if err != nil {
		return fmt.Errorf("database user: %w", err)
	}
	defer func() { _ = conn.Close() }()
	// Names have at most 64 characters; MySQL 9 has no MD5 of its own.
	const lock = "CONCAT('grants ', LEFT(SHA2(DATABASE(), 256), 40))"
	held, err := queryAllSQL(ctx, conn, scanInto[sql.NullBool], "SELECT GET_LOCK("+lock+", ?)", grantWait)
	if err != nil {
		return fmt.Errorf("database user: %w", err)
	}
	if !held[0].Bool {
		return fmt.Errorf("database user: another migration has been granting for %d seconds", grantWait)
	}
	defer func() {
		_, released := queryAllSQL(context.WithoutCancel(ctx), conn, scanInto[sql.NullBool], "SELECT RELEASE_LOCK("+lock+")")
		err = errors.Join(err, released)
	}()

	if setPassword {
		for _, statement := range []string{"CREATE USER IF NOT EXISTS ?@'%' IDENTIFIED BY ?", "ALTER USER ?@'%' IDENTIFIED BY ?"} {
			if _, err := execSQL(ctx, conn, statement, login.User, login.Password); err != nil {
				return fmt.Errorf("database user: %s: %w", strings.Fields(statement)[0], withoutStatement(err))
			}
		}
	}
	tables, err := queryAllSQL(ctx, conn, scanInto[string], `SELECT CONCAT('`+"`', REPLACE(table_schema, '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`'"+`)
		FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'goose%'
		ORDER BY table_name`)
	if err != nil {
		return fmt.Errorf("database user: %w", err)
	}
	for _, table := range tables {
		if _, err := execSQL(ctx, conn, "GRANT "+grantedToFunctions+" ON "+table+" TO ?@'%'", login.User); err != nil {
			return fmt.Errorf("database user: grant on %s: %w", table, err)
		}
	}
	return nil
}

// withoutStatement keeps a password out of an error: a server that trips over a
// statement repeats parts of it.
func withoutStatement(err error) error {
	var e *driverpkg.MySQLError
	if errors.As(err, &e) {
		return fmt.Errorf("the server's error %d", e.Number)
	}
	return err
}

// TryLogin reports whether the server takes a login. An error is any other fault
// than its refusal.
func TryLogin(ctx context.Context, opts Options) (bool, error) {
	opts.MaxConns = 1
	db, err := Open(opts)
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }()
	err = db.PingContext(ctx)
	if IsLoginRefused(err) || hasNumber(err, errSchemaDenied) {
		return false, nil
	}
	return err == nil, err
}

// AnyUser reports whether the product has a user yet.
func (s *Accounts) AnyUser(ctx context.Context) (bool, error) {
	anyone, err := queryAll(ctx, s.db, dialect.From("users").Select("id").Limit(1), scanInto[int64])
	return len(anyone) > 0, translate(err)
}
