package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// TickEvent is what the scheduler sends. Its own fields (time, source, …) do
// not matter: a tick does what is due whenever it runs.
type TickEvent struct {
	// ResendWaiting sends a message for every waiting execution first,
	// whatever was sent before: for when the queue has lost its messages.
	ResendWaiting bool `json:"resendWaiting"`
}

// UnmarshalJSON passes over what is no object: whoever sends it wants a tick.
func (e *TickEvent) UnmarshalJSON(text []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return nil
	}
	type event TickEvent
	return json.Unmarshal(text, (*event)(e))
}

// TickResult is what a tick did, for people who invoke it by hand.
type TickResult struct {
	Claimed    int   `json:"claimed"`
	Jobs       int   `json:"jobs"`
	Missed     int   `json:"missed"`
	SetAside   int   `json:"setAside"`
	Hidden     int   `json:"hidden"`
	Resent     int   `json:"resent"`
	Recovered  int   `json:"recovered"`
	Synced     int   `json:"synced"`
	Folded     int   `json:"folded"`
	Purged     int   `json:"purged"`
	SkewMs     int64 `json:"skewMs"`
	DurationMs int64 `json:"durationMs"`
	Cut        bool  `json:"cut"`
}

// tickConns are the database connections of one tick: it marks what it has sent
// while it claims.
const tickConns = 2

// TickHandler is the Lambda handler of the tick.
type TickHandler func(ctx context.Context, event TickEvent) (TickResult, error)

// NewTick makes the tick. close lets go of what it holds.
func NewTick(ctx context.Context, env Env) (handler TickHandler, closeAll func() error, err error) {
	env.MaxConns = cmp.Or(env.MaxConns, tickConns)
	env = env.withDefaults()
	db, err := env.openDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	dispatcher, err := env.openDispatcher(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	upkeep, executions := newUpkeep(db, env), env.executions(db)
	return invoked(env, db, func(ctx context.Context, event TickEvent) (TickResult, error) {
		result, err := tick(ctx, dispatcher, upkeep, event, env.Log)
		if env.Metrics != nil {
			measureTick(ctx, executions, env, result)
		}
		return result, err
	}), db.Close, nil
}

// measureTick adds what a tick did to its metrics. TickDuration is observed by the
// tick itself, for it says that one has succeeded.
func measureTick(ctx context.Context, executions *mysql.Executions, env Env, result TickResult) {
	for metric, amount := range map[telemetry.Metric]int{
		telemetry.OccurrencesClaimed: result.Claimed, telemetry.Swept: result.Resent + result.Recovered,
	} {
		telemetry.Observe(ctx, metric, "", float64(amount))
	}
	if result.Missed > 0 {
		telemetry.Observe(ctx, telemetry.Executions, string(execution.Missed), float64(result.Missed))
	}
	backlog, err := executions.Backlog(ctx, env.Now())
	if err != nil {
		env.Log.WarnContext(ctx, "the backlog is not known", "err", err)
		return
	}
	telemetry.Observe(ctx, telemetry.OutboxBacklog, "", float64(backlog))
}

func tick(ctx context.Context, dispatcher *dispatch.Dispatcher, upkeep upkeep, event TickEvent, log *slog.Logger) (TickResult, error) {
	began := time.Now()
	resent := 0
	var unsent error
	if event.ResendWaiting {
		if resent, unsent = dispatcher.ResendWaiting(ctx); unsent != nil {
			unsent = fmt.Errorf("not every waiting execution was sent again: %w", unsent)
		}
	}
	report, err := dispatcher.Tick(ctx)
	if err == nil {
		// All of it is committed. Upkeep can wait, and is no part of the promise.
		observeTime(ctx, telemetry.TickDuration, time.Since(began))
	}
	upkept, upkeepErr := upkeep.run(ctx)
	err = errors.Join(err, unsent, upkeepErr)
	result := TickResult{
		Claimed: report.Claimed, Jobs: report.Jobs, Missed: report.Missed, SetAside: report.SetAside, Hidden: report.Hidden,
		Resent: report.Resent + resent, Recovered: report.Recovered, Synced: report.Synced, Folded: upkept.folded, Purged: upkept.purged,
		SkewMs: report.Skew.Milliseconds(), DurationMs: time.Since(began).Milliseconds(), Cut: report.Cut,
	}
	level := slog.LevelDebug
	if result.Claimed+result.Missed+result.SetAside+result.Resent+result.Recovered+result.Synced > 0 {
		level = slog.LevelInfo
	}
	if err != nil {
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.Int("claimed", result.Claimed), slog.Int("jobs", result.Jobs), slog.Int("missed", result.Missed),
		slog.Int("setAside", result.SetAside), slog.Int("resent", result.Resent), slog.Int("recovered", result.Recovered),
		slog.Int64("durationMs", result.DurationMs),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	log.LogAttrs(ctx, level, "tick", attrs...)
	return result, err
}
