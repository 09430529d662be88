// Package app puts the parts together: it alone knows them all. Each New
// function makes one of the four Lambda handlers from configuration; the mains
// start them on AWS, the local runner and the tests invoke the very same ones.
package app

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// Env is what a handler is made from. The zero value of a field takes its
// default.
type Env struct {
	Config config.Config
	Log    *slog.Logger
	// MaxConns bounds the database connections; 0 means 1, as on AWS, where
	// every instance holds its own and their sum is what the database allows.
	MaxConns int
	// Now is the clock; nil means the machine's.
	Now func() time.Time
	// Metrics is where metrics go; nil means nowhere.
	Metrics *telemetry.Emitter
	// AskTick asks for a tick ahead of its minute; nil means by invoking the
	// function that the configuration names, if it names one.
	AskTick func(ctx context.Context) error
}

// FromEnvironment reads the configuration of a program on AWS.
func FromEnvironment(program config.Program) (Env, error) {
	cfg, err := config.Parse(program, os.Environ())
	if err != nil {
		return Env{}, err
	}
	log := telemetry.NewJSON(os.Stdout, telemetry.ParseLevel(cfg.LogLevel))
	telemetry.SetDefault(log)
	return Env{Config: cfg, Log: log, Metrics: telemetry.NewEmitter(os.Stdout, cfg.Environment, string(program), time.Now)}, nil
}

// Handler reads a program's configuration and makes its handler, for a main. A
// start that cannot succeed ends the process, and says why in its log, in a line
// like every other: whoever looks for errors there must find it.
func Handler[H any](program config.Program, newHandler func(context.Context, Env) (H, func() error, error)) H {
	var handler H
	limitMemory(os.Getenv)
	env, err := FromEnvironment(program)
	if err == nil {
		handler, _, err = newHandler(context.Background(), env)
	}
	if err != nil {
		// The configuration, which may be what is wrong, says nothing of errors.
		telemetry.NewJSON(os.Stdout, slog.LevelError).Error("the function cannot start", "function", string(program), "err", err)
		os.Exit(1)
	}
	return handler
}

func (e Env) withDefaults() Env {
	if e.Log == nil {
		e.Log = slog.Default()
	}
	e.MaxConns = cmp.Or(e.MaxConns, 1)
	if e.Now == nil {
		e.Now = time.Now
	}
	return e
}

// openDispatcher connects the dispatcher to its store and its two lanes.
func (e Env) openDispatcher(ctx context.Context, db *sql.DB) (*dispatch.Dispatcher, error) {
	client, err := sqsqueue.NewClient(ctx, region(), e.Config.Queues.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	fast := lane{sqsqueue.New(client, e.Config.Queues.FastURL)}
	slow := lane{sqsqueue.New(client, e.Config.Queues.SlowURL)}
	return dispatch.New(e.executions(db), fast, slow, e.Now, e.Log), nil
}

// region is where the functions run; any will do where there is no AWS.
func region() string { return cmp.Or(os.Getenv("AWS_REGION"), "us-east-1") }

// executions is the store of executions, under the configured limits.
func (e Env) executions(db *sql.DB) *mysql.Executions {
	return mysql.NewExecutions(db).WithLimits(execution.Limits(e.Config.JobLimits))
}

// lane is an SQS queue as the dispatcher sees it.
type lane struct{ queue *sqsqueue.Queue }

func (l lane) Send(ctx context.Context, messages []dispatch.Message) []error {
	out := make([]sqsqueue.Message, len(messages))
	for i, m := range messages {
		out[i] = sqsqueue.Message(m)
	}
	return l.queue.Send(ctx, out)
}

func (l lane) Depth(ctx context.Context) (int, error) {
	visible, _, _, err := l.queue.Depth(ctx)
	return visible, err
}

// Loopback are the machine's own addresses, which the local runner lets jobs
// call.
var Loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
