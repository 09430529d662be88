package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"
)

// Login is whom a connection is made as.
type Login struct{ User, Password string }

// Logins are where a login comes from that may change while the program runs.
type Logins interface {
	// Login is the login to connect with.
	Login(ctx context.Context) (Login, error)
	// Renewed reads the login again after the server refused one; false where
	// there is no other, or it was read too short a while ago.
	Renewed(ctx context.Context, refused Login) (Login, bool, error)
}

// Login makes a Login a source of itself, which never changes.
func (l Login) Login(context.Context) (Login, error) { return l, nil }

// Renewed has nothing else to offer.
func (l Login) Renewed(context.Context, Login) (Login, bool, error) { return l, false, nil }

// connector connects with the present login, once more with a renewed one
// where the server refuses it, and puts every new connection at READ COMMITTED.
// The name of the session variable differs between engines; the statement does
// not.
type connector struct {
	driver.Connector
	logins  Logins
	timeout time.Duration
}

const setReadCommitted = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

// loginKey is how a login reaches the driver, which is made before it is known.
type loginKey struct{}

func useLogin(ctx context.Context, cfg *driverpkg.Config) error {
	if login, ok := ctx.Value(loginKey{}).(Login); ok {
		cfg.User, cfg.Passwd = login.User, login.Password
	}
	return nil
}

// connectError is a connection that was not had in time. It calls itself a
// timeout of the network, as one that the network reports does.
type connectError struct {
	after time.Duration
	cause string
}

func (e *connectError) Error() string {
	return fmt.Sprintf("mysql: no connection within %v: %s", e.after, e.cause)
}
func (e *connectError) Timeout() bool   { return true }
func (e *connectError) Temporary() bool { return true }

type timeoutKey struct{}

// WithOneConnectTimeout returns a context whose statements wait for a connection
// only until the first one was not had in time: the next ones fail at once. A
// request that needs several things of the database so waits for it once.
func WithOneConnectTimeout(ctx context.Context) context.Context {
	return context.WithValue(ctx, timeoutKey{}, new(atomic.Pointer[error]))
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	before, once := ctx.Value(timeoutKey{}).(*atomic.Pointer[error])
	if once {
		if late := before.Load(); late != nil {
			return nil, *late
		}
	}
	inTime, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.connect(inTime)
	if err != nil && inTime.Err() != nil && ctx.Err() == nil {
		// The cause itself would pass for the caller's own deadline.
		err = &connectError{c.timeout, err.Error()}
	}
	// The driver has the same timeout, and may be the first to notice.
	if late := net.Error(nil); once && errors.As(err, &late) && late.Timeout() {
		before.Store(&err)
	}
	return conn, err
}

func (c connector) connect(ctx context.Context) (driver.Conn, error) {
	login, err := c.logins.Login(ctx)
	if err != nil {
		return nil, fmt.Errorf("mysql: login: %w", err)
	}
	conn, err := c.connectAs(ctx, login)
	if !IsLoginRefused(err) {
		return conn, err
	}
	renewed, changed, renewErr := c.logins.Renewed(ctx, login)
	if renewErr != nil {
		return nil, errors.Join(err, fmt.Errorf("mysql: login: %w", renewErr))
	}
	if !changed {
		return nil, err
	}
	return c.connectAs(ctx, renewed)
}

func (c connector) connectAs(ctx context.Context, login Login) (driver.Conn, error) {
	conn, err := c.Connector.Connect(context.WithValue(ctx, loginKey{}, login))
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("mysql: the driver's connection cannot execute statements")
	}
	if _, err := execer.ExecContext(ctx, setReadCommitted, nil); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("mysql: isolation level: %w", err)
	}
	return conn, nil
}

// IsLoginRefused reports whether the server refused a user or a password.
func IsLoginRefused(err error) bool { return hasNumber(err, errAccessDenied, errUserUnknown) }
