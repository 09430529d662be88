// Package system is the whole product on one machine, without AWS: a database,
// a queue that speaks SQS and its pollers, a minute's tick, and an HTTP server
// in front. It invokes the very Lambda handlers that run on AWS, with the very
// events that AWS would send; it never calls what is behind them.
package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// Options say what to start.
type Options struct {
	Config config.Config
	Log    *slog.Logger
	// Progress receives one human line at a time while the system starts.
	Progress func(line string)
	// Addr is where the API is served; ":0" takes a free port.
	Addr string
	// Limited makes the pollers as slow to scale as AWS's event source mappings
	// are, up to the template's defaults or MostInvocations of each lane.
	Limited         bool
	MostInvocations int
	// Sample seeds a job that calls the system's own echo endpoint.
	Sample bool
	// TickEvery is the time between ticks; 0 means a minute.
	TickEvery time.Duration
	// Queue receives the local SQS server before anything uses it, so that
	// tests can make it misbehave; nil leaves it as it is.
	Queue func(*sqsserver.Server)
}

// maxHeaders is how many bytes the first line and the headers of a request may
// have. API Gateway takes 10 KiB.
const maxHeaders = 32 << 10

// System is a running system. Stop ends it.
type System struct {
	// URL is the API's address.
	URL string
	// Engine names the database.
	Engine string
	// AdminEmail and AdminPassword sign the first admin in, if AdminCreated.
	AdminEmail, AdminPassword string
	AdminCreated              bool

	opts    Options
	log     *slog.Logger
	server  *http.Server
	queue   *queue
	db      *database.Server // nil where the database was given
	lock    *dirLock
	closers []func() error
	// stopWork ends ticks and pollers; work is done when they have drained.
	stopWork context.CancelFunc
	work     sync.WaitGroup
	failed   chan error
	asked    chan struct{} // for a tick
}

// connections is how many database connections each handler may hold here.
const connections = 16

// Start starts everything, in the order in which parts need each other, and
// returns when the API answers. ctx bounds the start alone. On an error
// nothing is left running.
func Start(ctx context.Context, opts Options) (_ *System, err error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	if opts.TickEvery == 0 {
		opts.TickEvery = time.Minute
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	s := &System{opts: opts, log: opts.Log, failed: make(chan error, 1), asked: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			err = errors.Join(err, s.Stop(stopCtx))
		}
	}()

	dir := opts.Config.LocalDataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("the API cannot listen on %s; set PORT to a free port: %w", opts.Addr, err)
	}
	s.URL = fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	cfg, err := s.configure(ctx, dir)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	if err := s.serve(ctx, cfg, listener); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return s, nil
}

// SecretsKeyFile is where a data directory keeps the key of stored secrets.
const SecretsKeyFile = "secrets.key"

// configure completes the configuration with what this machine provides.
func (s *System) configure(ctx context.Context, dir string) (config.Config, error) {
	cfg := s.opts.Config
	keys, err := loadKeys(filepath.Join(dir, "keys.json"), cfg)
	if err != nil {
		return cfg, err
	}
	cfg.JWT.Secret, cfg.AdminEmail, cfg.AdminPassword = keys.jwtSecret(), keys.AdminEmail, config.Secret(keys.AdminPassword)
	s.AdminEmail, s.AdminPassword = keys.AdminEmail, keys.AdminPassword
	if !cfg.Secrets.Named() {
		cfg.Secrets.KeyFile = filepath.Join(dir, SecretsKeyFile)
		if err := secret.EnsureFile(cfg.Secrets.KeyFile); err != nil {
			return cfg, err
		}
	}
	if cfg.EgressAllow == nil {
		cfg.EgressAllow = app.Loopback
	}
	if err := s.openDatabase(ctx, dir, &cfg); err != nil {
		return cfg, err
	}
	if s.queue, err = startQueue(); err != nil {
		return cfg, err
	}
	if s.opts.Queue != nil {
		s.opts.Queue(s.queue.server)
	}
	cfg.Queues = s.queue.addresses()
	return cfg, nil
}

// openDatabase uses the given server, or starts one.
func (s *System) openDatabase(ctx context.Context, dir string, cfg *config.Config) error {
	if cfg.DB.Host != "" {
		s.Engine = fmt.Sprintf("the server at %s:%d", cfg.DB.Host, cfg.DB.Port)
	} else {
		server, err := database.Start(ctx, database.Options{
			DataDir: filepath.Join(dir, "database"), Choice: cfg.LocalDatabase, Progress: s.opts.Progress,
		})
		if err != nil {
			return err
		}
		s.db, s.Engine = server, server.Engine
		cfg.DB.Host, cfg.DB.Port, cfg.DB.Username, cfg.DB.Password = server.Host, server.Port, server.User, config.Secret(server.Password)
		cfg.DB.TLSCA = config.TLSOff
	}
	encryption, err := app.DatabaseTLS(cfg.DB)
	if err != nil {
		return err
	}
	err = database.EnsureDatabase(ctx, cfg.DB.Host, cfg.DB.Port, cfg.DB.Username, cfg.DB.Password.Reveal(), cfg.DB.Name, encryption)
	if err != nil {
		return fmt.Errorf("database %s on %s: %w", cfg.DB.Name, s.Engine, err)
	}
	return nil
}

// serve migrates, makes the handlers, and sets ticks, pollers and the API going.
func (s *System) serve(ctx context.Context, cfg config.Config, listener net.Listener) error {
	env := app.Env{Config: cfg, Log: s.log, MaxConns: connections}
	s.opts.Progress("bringing the schema up to date")
	if err := s.migrate(ctx, env); err != nil {
		return err
	}
	asking := env
	asking.AskTick = s.askTick
	api, closeAPI, err := app.NewAPI(ctx, asking)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, closeAPI)
	tick, closeTick, err := app.NewTick(ctx, env)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, closeTick)
	executor, closeExecutor, err := app.NewExecutor(ctx, env)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, closeExecutor)

	apiHandler := lambda.NewHandler(api)
	if s.opts.Sample && s.AdminCreated {
		if err := s.seedSample(ctx, apiHandler); err != nil {
			return fmt.Errorf("sample job: %w", err)
		}
	}
	// Work outlives the start's context, and ends with Stop.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopWork = stop
	if err := s.queue.poll(work, &s.work, lambda.NewHandler(executor), s.opts, s.log, s.fail); err != nil {
		return err
	}
	s.work.Go(func() { s.ticks(work, lambda.NewHandler(tick)) })

	gateway := newGateway(apiHandler, s.log)
	// No mux: it would clean paths and answer them itself.
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == echoPath {
			echo{}.ServeHTTP(w, r)
			return
		}
		gateway.ServeHTTP(w, r)
	})
	s.server = &http.Server{Handler: front, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeaders}
	go func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("the API's server ended: %w", err))
		}
	}()
	if s.db != nil {
		go func() {
			<-s.db.Exited()
			if work.Err() == nil {
				s.fail(fmt.Errorf("the database server ended by itself; see %s", s.db.LogFile))
			}
		}()
	}
	return nil
}

func (s *System) migrate(ctx context.Context, env app.Env) error {
	migrate, closeAll, err := app.NewMigrate(ctx, env)
	if err != nil {
		return err
	}
	defer func() { _ = closeAll() }()
	var result app.MigrateResult
	if err := invoke(ctx, lambda.NewHandler(migrate), app.MigrateEvent{Command: "up"}, &result); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	s.AdminCreated = result.AdminCreated
	return nil
}

// fail reports that a part has ended by itself; the first report counts.
func (s *System) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed answers an error if a part that must run ends by itself.
func (s *System) Failed() <-chan error { return s.failed }

// Stop ends ticks and pollers, lets calls in flight finish within their own
// timeouts or until ctx ends, and then stops the API and the rest.
func (s *System) Stop(ctx context.Context) error {
	var failures []error
	if s.stopWork != nil {
		s.stopWork()
	}
	drained := make(chan struct{})
	go func() { s.work.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-ctx.Done():
		failures = append(failures, fmt.Errorf("calls were still in flight; the next start recovers them: %w", ctx.Err()))
	}
	// Only now: calls in flight may go to the system's own echo endpoint.
	if s.server != nil {
		failures = append(failures, s.server.Shutdown(ctx))
	}
	if s.queue != nil {
		s.queue.stop()
	}
	for _, closeOne := range s.closers {
		failures = append(failures, closeOne())
	}
	if s.db != nil {
		// The database must end in order even where calls did not.
		dbCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		failures = append(failures, s.db.Stop(dbCtx))
	}
	if s.lock != nil {
		s.lock.release()
	}
	return errors.Join(failures...)
}
