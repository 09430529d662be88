// Package mysql holds every query of the product, one file per subject. Each
// exported store method owns its transaction. The package implements
// interfaces that its consumers declare, and knows nothing of HTTP or queues.
//
// The statements are those that MySQL 8.4+, MariaDB 10.11 and TiDB all take:
// VALUES(column) in upserts, LOCK IN SHARE MODE for a shared lock, and SKIP
// LOCKED only as a hint that an engine may ignore.
package mysql

import (
	"cmp"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"
)

// Options say where the database is and how many connections to hold.
type Options struct {
	Host     string
	Port     int
	User     string
	Password string
	// Logins, when set, are used in place of User and Password.
	Logins   Logins
	Database string // may be empty for server-wide work
	// TLS, when set, is used with the server's name checked by its own rules.
	TLS *tls.Config
	// MaxConns bounds the open connections of this process; 0 means 10.
	MaxConns int
	// AnswerTimeout is how long a statement may take, or a connection be silent
	// after one, before it is given up; 0 means 20 seconds.
	AnswerTimeout time.Duration
	// ConnectTimeout bounds making a connection, all of it; 0 means 5 seconds.
	ConnectTimeout time.Duration
}

const defaultConnectTimeout = 5 * time.Second

// defaultAnswerTimeout is far above what any statement of a request, a tick or
// an execution takes, and below what a tick has.
const defaultAnswerTimeout = 20 * time.Second

// maxIdleTime is shorter than the server's wait_timeout of 120 s, so that the
// server never closes a connection that we are about to use.
const maxIdleTime = 90 * time.Second

// Open prepares a pool of connections under the policy that every statement of
// this package relies on: UTC, strict SQL, READ COMMITTED, matched (not
// changed) row counts. It does not connect.
func Open(opts Options) (*sql.DB, error) {
	connects, err := Connector(opts)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connects)
	if opts.MaxConns <= 0 {
		opts.MaxConns = 10
	}
	db.SetMaxOpenConns(opts.MaxConns)
	db.SetMaxIdleConns(opts.MaxConns)
	db.SetConnMaxIdleTime(maxIdleTime)
	return db, nil
}

// Connector makes single connections under the policy of Open, for those who
// put something between the pool and its connections.
func Connector(opts Options) (driver.Connector, error) {
	cfg, err := driverConfig(opts)
	if err != nil {
		return nil, err
	}
	made, err := driverpkg.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("mysql: configuration: %w", err)
	}
	logins := opts.Logins
	if logins == nil {
		logins = Login{opts.User, opts.Password}
	}
	return connector{made, logins, cfg.Timeout, new(session)}, nil
}

// driverConfig is the one place that sets the connection's policy, but for the
// session's variables, which are settings.
func driverConfig(opts Options) (*driverpkg.Config, error) {
	if opts.Host == "" {
		return nil, fmt.Errorf("mysql: no host")
	}
	cfg := driverpkg.NewConfig()
	cfg.DBName = opts.Database
	if strings.HasPrefix(opts.Host, "/") {
		cfg.Net, cfg.Addr = "unix", opts.Host
	} else {
		cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port))
	}
	cfg.TLS = opts.TLS
	cfg.Loc = time.UTC
	cfg.ParseTime = true
	// A compare-and-swap counts the rows that matched; MySQL's default counts
	// those that changed, which differs when a value stays as it was.
	cfg.ClientFoundRows = true
	// One round trip a statement instead of three. Safe: the connection's
	// character set is utf8mb4 and NO_BACKSLASH_ESCAPES is off (see settings).
	cfg.InterpolateParams = true
	// After a failover the old writer answers "read-only": drop the connection.
	cfg.RejectReadOnly = true
	cfg.Timeout = cmp.Or(opts.ConnectTimeout, defaultConnectTimeout)
	cfg.ReadTimeout = cmp.Or(opts.AnswerTimeout, defaultAnswerTimeout)
	cfg.WriteTimeout = cfg.ReadTimeout
	if err := cfg.Apply(driverpkg.BeforeConnect(useLogin)); err != nil {
		return nil, fmt.Errorf("mysql: configuration: %w", err)
	}
	return cfg, nil
}
