package database

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// DSN is the data source name, in the form of go-sql-driver/mysql, of a schema
// on the server; an empty name selects no schema. Times are parsed as UTC.
func (s *Server) DSN(schema string) string {
	return dsn(s.Host, s.Port, s.User, s.Password, schema)
}

func dsn(host string, port int, user, password, schema string) string {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(host, strconv.Itoa(port))
	cfg.User, cfg.Passwd, cfg.DBName = user, password, schema
	cfg.ParseTime = true
	cfg.InterpolateParams = true
	cfg.Timeout = 5 * time.Second
	return cfg.FormatDSN()
}

// EnsureDatabase creates the schema where it is missing, with utf8mb4 as its
// character set, on any engine.
// Encryption is nil where the server is not spoken to by TLS.
func EnsureDatabase(ctx context.Context, host string, port int, user, password, name string, encryption *tls.Config) error {
	db, err := open(dsn(host, port, user, password, ""), encryption)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer db.Close()
	// The statement needs a right that an account of one schema lacks, so it is
	// not tried where it would do nothing.
	var found int
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", name).Scan(&found)
	if err == nil && found == 0 {
		_, err = db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+quote(name)+
			" CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
	}
	if err != nil {
		return fmt.Errorf("database: create schema %s: %w", name, err)
	}
	return nil
}

// EnsureDatabase creates the schema on this server where it is missing.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	return EnsureDatabase(ctx, s.Host, s.Port, s.User, s.Password, name, nil)
}

func quote(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// open opens a pool whose driver keeps quiet: what fails is returned.
func open(dsn string, encryption *tls.Config) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	cfg.Logger = &mysql.NopLogger{}
	cfg.TLS = encryption
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// awaitAnswer waits until the server answers a query.
func (s *Server) awaitAnswer(ctx context.Context, progress func(string)) error {
	db, err := open(s.DSN(""), nil)
	if err != nil {
		return err
	}
	defer db.Close()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	patience := time.NewTimer(5 * time.Second)
	defer patience.Stop()
	for {
		_, err := db.ExecContext(ctx, "DO 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.process.exited:
			return errExitedEarly
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-patience.C:
			progress(fmt.Sprintf("waiting for %s to answer (its log: %s)", s.Engine, s.LogFile))
		case <-poll.C:
		}
	}
}
