package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"
	"github.com/doug-martin/goqu/v9/dialect/mysql"
	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// dialect writes the SQL. The stock MySQL dialect turns an upsert into INSERT
// IGNORE, which silently drops and cuts rows; ours does not. Prepared mode
// keeps fractional seconds and NUL bytes intact.
var dialect = registerDialect()

func registerDialect() goqu.DialectWrapper {
	const name = "cronjobs"
	opts := mysql.DialectOptionsV8()
	opts.SupportsInsertIgnoreSyntax = false
	opts.SupportsWithCTE = true
	opts.SupportsWithCTERecursive = true
	goqu.RegisterDialect(name, opts)
	goqu.SetDefaultPrepared(true)
	return goqu.Dialect(name)
}

// statement is what goqu's datasets have in common.
type statement interface {
	ToSQL() (string, []any, error)
}

// querier is a *sql.DB or a *sql.Tx.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// exec runs a statement and returns the number of rows it matched.
func exec(ctx context.Context, q querier, s statement) (int64, error) {
	query, args, err := s.ToSQL()
	if err != nil {
		return 0, fmt.Errorf("build statement: %w", err)
	}
	return execSQL(ctx, q, query, args...)
}

// execSQL is exec for a statement that goqu cannot say.
func execSQL(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	return outcome(ctx, q, sql.Result.RowsAffected, query, args...)
}

// insertID runs an insert of one row and returns its generated id.
func insertID(ctx context.Context, q querier, s statement) (int64, error) {
	query, args, err := s.ToSQL()
	if err != nil {
		return 0, fmt.Errorf("build statement: %w", err)
	}
	return outcome(ctx, q, sql.Result.LastInsertId, query, args...)
}

// outcome runs a statement and reads one number of its result.
//
// The result is read under the connection's lock. Outside a transaction the pool
// may have given the connection to another by then, whose whole statement one
// would wait for; so the connection is held until the number is read.
func outcome(ctx context.Context, q querier, number func(sql.Result) (int64, error), query string, args ...any) (int64, error) {
	if db, pooled := q.(*sql.DB); pooled {
		held, err := db.Conn(ctx)
		if err != nil {
			return 0, err
		}
		defer func() { _ = held.Close() }() // gives it back to the pool
		q = held
	}
	result, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return number(result)
}

// queryAll runs a query and scans each row with scan.
func queryAll[T any](ctx context.Context, q querier, s statement, scan func(*sql.Rows) (T, error)) ([]T, error) {
	query, args, err := s.ToSQL()
	if err != nil {
		return nil, fmt.Errorf("build query: %w", err)
	}
	return queryAllSQL(ctx, q, scan, query, args...)
}

// queryAllSQL is queryAll for a query that goqu cannot say.
func queryAllSQL[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) (_ []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// queryOne runs a query that answers at most one row; sql.ErrNoRows where it
// answers none.
func queryOne[T any](ctx context.Context, q querier, s statement, scan func(*sql.Rows) (T, error)) (T, error) {
	all, err := queryAll(ctx, q, s, scan)
	if err != nil || len(all) == 0 {
		var zero T
		if err == nil {
			err = sql.ErrNoRows
		}
		return zero, err
	}
	return all[0], nil
}

// scanInto scans rows of a single column.
func scanInto[T any](rows *sql.Rows) (v T, err error) { err = rows.Scan(&v); return v, err }

// Attempts at a transaction that the engine chose as a deadlock's victim.
const txTries = 4

// inTx runs fn in a transaction and commits. A transaction that lost a
// deadlock (1213), or a lock wait (1205), is run again up to three times, so fn
// must do nothing but talk to the database and must build its result afresh.
func inTx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	return retried(ctx, func() error { return oneTx(ctx, db, fn) })
}

// inOne is inTx for a transaction of one statement, which needs no begin and no
// commit: one round trip in place of three.
func inOne(ctx context.Context, db *sql.DB, query string, args ...any) error {
	return retried(ctx, func() error {
		_, err := execSQL(ctx, db, query, args...)
		return err
	})
}

// retried tries a transaction up to txTries times.
func retried(ctx context.Context, once func() error) error {
	for try := 1; ; try++ {
		err := once()
		if err == nil || try == txTries || !isRetryable(err) {
			return translate(err)
		}
		// Jitter, so that two victims do not meet again.
		pause := time.Duration(try)*5*time.Millisecond + rand.N(10*time.Millisecond)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func oneTx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// errLostRace rolls a transaction back and runs it again: a compare-and-swap
// found that another process had been faster.
var errLostRace = errors.New("mysql: another process changed the row first")

// The server's error numbers that this package acts on.
const (
	errSchemaDenied    = 1044
	errAccessDenied    = 1045
	errUserUnknown     = 1698 // MariaDB's, of a user that there is not
	errDuplicate       = 1062
	errUnknownVariable = 1193
	errLockWaitTimeout = 1205
	errDeadlock        = 1213
	// TiDB answers 9007 (write conflict) and 8002 in place of a deadlock.
	errTiDBWriteConflict = 9007
	errTiDBTxnRetryable  = 8002
	errUnknown           = 1105
)

func hasNumber(err error, numbers ...uint16) bool {
	var e *driverpkg.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range numbers {
		if e.Number == n {
			return true
		}
	}
	return false
}

// isDatabase reports an error of the server or of the connection to it.
func isDatabase(err error) bool {
	var e *driverpkg.MySQLError
	return errors.As(err, &e) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, driverpkg.ErrInvalidConn) || errors.Is(err, context.Canceled)
}

func isDuplicate(err error) bool { return hasNumber(err, errDuplicate) }

func isRetryable(err error) bool {
	return errors.Is(err, errLostRace) ||
		hasNumber(err, errDeadlock, errLockWaitTimeout, errTiDBWriteConflict, errTiDBTxnRetryable) ||
		// TiDB has no numbers of its own for giving up on a contended row.
		hasNumber(err, errUnknown) && (strings.Contains(err.Error(), "pessimistic lock retry limit reached") ||
			strings.Contains(err.Error(), "lock wait timeout"))
}

// translate gives the errors of the driver their place among the product's
// codes. Errors that have a code already pass, as do a caller's own deadlines.
func translate(err error) error {
	var own *apperr.Error
	switch {
	case err == nil, errors.As(err, &own):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return apperr.Wrap(apperr.NotFound, err, "There is no such record.")
	case isDuplicate(err):
		return apperr.Wrap(apperr.Conflict, err, "That value is taken.")
	case isRetryable(err), isAway(err):
		unavailable := apperr.Wrap(apperr.Unavailable, err, "The database cannot be reached at present; try again.")
		unavailable.RetryAfter = 2 * time.Second
		return unavailable
	default:
		return apperr.Wrap(apperr.Internal, err, "Something went wrong on our side.")
	}
}

// isAway reports an error of the connection or of the server's state rather
// than of the statement: refused, reset, cut off in mid-answer, too many
// connections, shutting down, read-only, or a password that is being changed.
func isAway(err error) bool {
	for _, broken := range []error{
		driver.ErrBadConn, driverpkg.ErrInvalidConn,
		driverpkg.ErrMalformPkt, driverpkg.ErrPktSync, driverpkg.ErrPktSyncMul, driverpkg.ErrBusyBuffer,
	} {
		if errors.Is(err, broken) {
			return true
		}
	}
	if isNetwork(err) {
		return true
	}
	return hasNumber(err, errAccessDenied, errUserUnknown, 1040, 1053, 1077, 1079, 1203, 1290, 1792, 1836, 2002, 2003, 2006, 2013)
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network)
}
