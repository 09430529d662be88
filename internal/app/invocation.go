package app

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// invoked gives a handler what every invocation has: connections that live, a
// line of metrics at its end, and one of its panic: the runtime, which ends the
// process then, tells Lambda of it and not the log.
func invoked[E, A any](env Env, db *sql.DB, handle func(context.Context, E) (A, error)) func(context.Context, E) (A, error) {
	var ended atomic.Int64 // in ms, by the wall clock, which goes on in a frozen process
	return func(ctx context.Context, event E) (A, error) {
		// Only one of those that begin at once, which happens where this is no
		// Lambda function: two would each wait for connections that the other holds.
		now := env.Now().UnixMilli()
		if last := ended.Load(); last != 0 && now-last > thawAfter.Milliseconds() && ended.CompareAndSwap(last, now) {
			thaw(ctx, db)
		}
		defer func() { ended.Store(env.Now().UnixMilli()) }()
		defer func() {
			if cause := recover(); cause != nil {
				env.Log.ErrorContext(ctx, "panic", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
				panic(cause)
			}
		}()
		if env.Metrics == nil {
			return handle(ctx, event)
		}
		ctx, metrics := telemetry.Measure(ctx)
		defer func() {
			if err := env.Metrics.Emit(ctx, metrics); err != nil {
				env.Log.WarnContext(ctx, "metrics were not written", "err", err)
			}
		}()
		return handle(ctx, event)
	}
}

// observeTime adds how long something took to a metric of milliseconds.
func observeTime(ctx context.Context, metric telemetry.Metric, took time.Duration) {
	telemetry.Observe(ctx, metric, "", float64(took.Microseconds())/1000)
}

// limitMemory lets the collector work harder near what the function has, rather
// than the process be killed above it: 80 % are for the heap, the rest for what
// the runtime does not count. GOMEMLIMIT, where it is set, stands.
func limitMemory(getenv func(string) string) {
	megabytes, err := strconv.ParseInt(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 32)
	if err != nil || megabytes <= 0 || getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(megabytes << 20 / 10 * 8)
}
