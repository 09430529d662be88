package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/rdsca"
)

// openDatabase prepares the pool; it connects at the first statement. The login
// is read now, so that a start says what is wrong with its secret.
func (e Env) openDatabase(ctx context.Context) (*sql.DB, error) {
	logins, err := e.logins(ctx, e.Config.DB.SecretARN)
	if err != nil {
		return nil, err
	}
	return e.openDatabaseAs(logins, mysql.Options{})
}

// openDatabaseAs is openDatabase by some login, with the timeouts of opts.
func (e Env) openDatabaseAs(logins mysql.Logins, opts mysql.Options) (*sql.DB, error) {
	db := e.Config.DB
	encryption, err := DatabaseTLS(db)
	if err != nil {
		return nil, err
	}
	opts.Host, opts.Port, opts.Database, opts.Logins = db.Host, db.Port, db.Name, logins
	opts.TLS, opts.MaxConns = encryption, e.MaxConns
	return mysql.Open(opts)
}

// DatabaseTLS is how connections to a database are secured; nil where they are
// not, which only the local runner and `sam local` may ask for. A certificate
// must be signed by RDS's authorities, unless DB_TLS_CA names others, and must
// bear the name that DB_HOST gives.
func DatabaseTLS(db config.Database) (*tls.Config, error) {
	if db.TLSCA == config.TLSOff || strings.HasPrefix(db.Host, "/") {
		return nil, nil //nolint:nilnil // no encryption, and no fault
	}
	encryption := &tls.Config{ServerName: db.Host, MinVersion: tls.VersionTLS12}
	switch db.TLSCA {
	case "", config.TLSRDS:
		encryption.RootCAs = rdsca.Pool()
	case config.TLSSkipVerify:
		encryption.InsecureSkipVerify = true
	case config.TLSSystem:
	default:
		certificates, err := os.ReadFile(db.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("DB_TLS_CA: %w", err)
		}
		encryption.RootCAs = x509.NewCertPool()
		if !encryption.RootCAs.AppendCertsFromPEM(certificates) {
			return nil, errors.New("DB_TLS_CA: the file holds no certificate in PEM form")
		}
	}
	return encryption, nil
}

const (
	// thawAfter is how long a function may have stood still before its
	// connections are tried ahead of their use: meanwhile the server, or
	// something on the way, may have dropped them without a word.
	thawAfter = 30 * time.Second
	// pingTime bounds trying one; it is given up for a new one then.
	pingTime = time.Second
)

// thaw tries every idle connection of a pool, so that those that are dead are
// found in a moment and replaced. It waits for none that others have taken.
func thaw(ctx context.Context, db *sql.DB) {
	take, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	for range db.Stats().Idle {
		conn, err := db.Conn(take)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // after all are tried, or one would be tried again
		ping, cancel := context.WithTimeout(ctx, pingTime)
		_ = conn.PingContext(ping)
		cancel()
	}
}
