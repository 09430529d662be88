// Package database is a MySQL-compatible server for one machine: it starts one
// on a private data directory and a free loopback port, waits until it answers,
// and stops it again.
//
// It prefers a mysqld or mariadbd that is installed, and otherwise builds and
// runs TiDB, which needs nothing but the go command. What it stores survives a
// kill of the server and of the program that started it.
//
// The package is a leaf: it knows nothing of jobs, migrations or configuration.
// It serves the local runner and the tests, never production.
package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Values of Options.Choice.
const (
	// Auto takes the engine that the data directory was made with; for a new
	// directory an installed server if there is a usable one, else the embedded.
	Auto = "auto"
	// Installed takes a mysqld or mariadbd found on this machine.
	Installed = "server"
	// Embedded takes TiDB, built from source on first use.
	Embedded = "embedded"
)

// Options says what to start, and where its data lives.
type Options struct {
	// DataDir keeps the data, logs and state of the server; it is created, and
	// belongs to one running server at a time. Required.
	DataDir string
	// Choice is Auto, Installed, Embedded, or the path of a mysqld or mariadbd;
	// empty means Auto.
	Choice string
	// MemoryMB is the size of InnoDB's buffer pool; 0 means 128. The embedded
	// engine takes what it needs, 250 to 500 MB as long as queries are small.
	MemoryMB int
	// Throwaway trades durability for speed: a crash of the machine may lose
	// data. For tests.
	Throwaway bool
	// Progress receives one human line at a time: what is being prepared,
	// built or awaited. Nil discards them.
	Progress func(line string)
}

func (o Options) auto() bool { return o.Choice == Auto || o.Choice == "" }

// Server is a running database server. Its user may do everything.
type Server struct {
	Host     string
	Port     int
	User     string
	Password string
	// Engine names the server for people, such as "MariaDB 10.11.19
	// (/usr/sbin/mariadbd)".
	Engine string
	// LogFile is where the server writes its log.
	LogFile string

	process *process
	lock    *dirLock
}

// startTimeout bounds the wait for a started server's first answer; recovery
// after a crash is included, a build is not.
const startTimeout = 2 * time.Minute

// ErrInUse is returned by Start when another live program runs a server on the
// same data directory.
var ErrInUse = errors.New("the data directory is in use")

// Start starts a server on opts.DataDir and returns once it answers queries.
// ctx bounds the start alone. When another program uses the directory it
// returns an error that wraps ErrInUse; a server left behind by a program that
// died is stopped first.
//
// The server is stopped by Stop. On Linux it is also stopped by the system when
// the calling program dies.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.DataDir == "" {
		return nil, errors.New("database: no data directory given")
	}
	dir, err := filepath.Abs(opts.DataDir)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	opts.DataDir = dir
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	if opts.MemoryMB <= 0 {
		opts.MemoryMB = 128
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	lock, err := acquire(ctx, dir, opts.Progress)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	server, err := start(ctx, opts, lock)
	if err != nil {
		lock.release()
		return nil, fmt.Errorf("database: %w", err)
	}
	return server, nil
}

// engine is one kind of server: how its data directory is made, how it is run,
// and what is set once it answers.
type engine interface {
	// kind names the data format, such as "mysql".
	kind() string
	// String names the engine for people.
	String() string
	// prepare makes what the first run needs: a binary, an empty data
	// directory. It does nothing where it has been done.
	prepare(ctx context.Context, opts Options) error
	// discard removes the data directory.
	discard(opts Options) error
	// command says how to run the server.
	command(opts Options, at state) (command, error)
	// settle sets what the command line cannot, over an open connection.
	settle(ctx context.Context, s *Server) error
}

// start chooses an engine, prepares and runs it. The caller holds the lock, and
// lets go of it when start fails.
func start(ctx context.Context, opts Options, lock *dirLock) (*Server, error) {
	eng, err := choose(ctx, opts)
	if err != nil {
		return nil, err
	}
	if err := eng.prepare(ctx, opts); err != nil {
		if !opts.auto() || eng.kind() == embeddedKind || ctx.Err() != nil {
			return nil, err
		}
		// An installed server may be confined to its own directories, or lack
		// a file. Nothing is stored yet, so another engine loses nothing.
		opts.Progress(fmt.Sprintf("%s cannot be used (%v); taking the embedded database instead", eng, err))
		eng = &tidb{}
		if err := eng.prepare(ctx, opts); err != nil {
			return nil, err
		}
	}
	server, err := launchTwice(ctx, opts, eng, lock)
	if err != nil && opts.Throwaway && ctx.Err() == nil {
		// A crash of the machine may have spoiled what was not written for keeps.
		opts.Progress(fmt.Sprintf("beginning anew: %v", err))
		if err := eng.discard(opts); err != nil {
			return nil, err
		}
		if err := eng.prepare(ctx, opts); err != nil {
			return nil, err
		}
		server, err = launchTwice(ctx, opts, eng, lock)
	}
	return server, err
}

// launchTwice is launch with a second try on another port.
func launchTwice(ctx context.Context, opts Options, eng engine, lock *dirLock) (*Server, error) {
	// Another process can take the port between its choice and its use, so a
	// server that stops before it answers gets a second one.
	server, err := launch(ctx, opts, eng, lock, false)
	if errors.Is(err, errExitedEarly) {
		server, err = launch(ctx, opts, eng, lock, true)
	}
	return server, err
}

// launch runs the engine's server once and waits for it to answer.
func launch(ctx context.Context, opts Options, eng engine, lock *dirLock, freshPort bool) (*Server, error) {
	at, err := nextState(opts.DataDir, eng.kind(), freshPort)
	if err != nil {
		return nil, err
	}
	cmd, err := eng.command(opts, at)
	if err != nil {
		return nil, err
	}
	proc, err := run(cmd, lock.file)
	if err != nil {
		return nil, err
	}
	at.Server = proc.pid()
	server := &Server{
		Host: "127.0.0.1", Port: at.Port, User: user, Password: at.Password,
		Engine: eng.String(), LogFile: cmd.logFile, process: proc, lock: lock,
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = at.save(opts.DataDir)
	if err == nil {
		err = server.awaitAnswer(ready, opts.Progress)
	}
	if err == nil {
		err = eng.settle(ready, server)
	}
	if err != nil {
		proc.stop(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("%s did not start: %w%s", eng, err, tail(cmd.logFile))
	}
	return server, nil
}

// Stop shuts the server down and waits for it; when ctx ends first the server
// is killed, which its data survives. It may be called again.
func (s *Server) Stop(ctx context.Context) error {
	s.process.stop(ctx)
	s.lock.release()
	return nil
}

// Exited is closed when the server has stopped, whether asked to or not.
func (s *Server) Exited() <-chan struct{} { return s.process.exited }

// LogValue keeps the password out of logs.
func (s *Server) LogValue() slog.Value {
	return slog.GroupValue(slog.String("engine", s.Engine), slog.String("host", s.Host), slog.Int("port", s.Port))
}
