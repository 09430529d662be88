package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
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
// where the server refuses it, and gives every new connection its settings.
type connector struct {
	driver.Connector
	logins  Logins
	timeout time.Duration
	session *session
}

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

type waitedKey struct{}

// WithOneConnectTimeout returns a context whose statements share the timeout of
// connecting: what one has waited in vain, the next ones no longer have, and they
// fail at once when it is used up. A request that needs several things of the
// database so waits for it once.
func WithOneConnectTimeout(ctx context.Context) context.Context {
	return context.WithValue(ctx, waitedKey{}, new(atomic.Int64))
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	left := c.timeout
	waited, shared := ctx.Value(waitedKey{}).(*atomic.Int64) // in ns
	if shared {
		left -= time.Duration(waited.Load())
		if left < c.timeout/10 { // the rest is of no use, or a rounding
			return nil, &connectError{c.timeout, "others of this request have waited so long"}
		}
	}
	began := time.Now()
	inTime, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	conn, err := c.connect(inTime)
	if err != nil && shared {
		waited.Add(int64(time.Since(began)))
	}
	if err != nil && inTime.Err() != nil && ctx.Err() == nil {
		// The cause itself would pass for the caller's own deadline.
		err = &connectError{c.timeout, err.Error()}
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
	if err := c.session.settle(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("mysql: session: %w", err)
	}
	return conn, nil
}

// IsLoginRefused reports whether the server refused a user or a password.
func IsLoginRefused(err error) bool { return hasNumber(err, errAccessDenied, errUserUnknown) }
