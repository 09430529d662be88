// Package telemetry is how the product speaks to those who run it: structured
// logs with the ids that tie them together. It knows nothing of the domain.
package telemetry

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Service names the product in every log line.
const Service = "cron-jobs-api"

// ParseLevel reads debug, info, warn or error; anything else is info.
func ParseLevel(text string) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(text))); err != nil {
		return slog.LevelInfo
	}
	return level
}

// NewJSON makes the logger of the Lambda functions: a JSON object a line, with
// the invocation's request id and the attributes that With put in the context.
func NewJSON(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(contextual{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}), true}).With("service", Service)
}

// NewConsole makes the logger of the local runner: short lines for a person.
func NewConsole(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(contextual{newConsole(w, level), false})
}

// SetDefault makes log the process's logger, and silences the standard library's
// old one: net/http writes bytes of what targets send to it.
func SetDefault(logger *slog.Logger) {
	slog.SetDefault(logger)
	log.SetOutput(io.Discard)
}

type attrsKey struct{}

// With returns a context whose log lines bear the attributes.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	have, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	all := make([]slog.Attr, 0, len(have)+len(attrs))
	return context.WithValue(ctx, attrsKey{}, append(append(all, have...), attrs...))
}

type briefKey struct{}

// Brief returns a context whose lines do without the invocation's ids: there are
// hundreds of them in one, and each byte is paid for.
func Brief(ctx context.Context) context.Context { return context.WithValue(ctx, briefKey{}, true) }

// contextual adds what the context knows to each record. An invocation's id is
// of use only where there is a console of AWS to look it up in.
type contextual struct {
	slog.Handler
	invocation bool
}

func (h contextual) Handle(ctx context.Context, record slog.Record) error {
	if h.invocation {
		record.Time = record.Time.UTC().Truncate(time.Millisecond)
	}
	if brief := ctx.Value(briefKey{}) != nil; h.invocation && !brief {
		if invocation, ok := lambdacontext.FromContext(ctx); ok && invocation.AwsRequestID != "" {
			record.AddAttrs(slog.String("awsRequestId", invocation.AwsRequestID))
		}
		if trace := TraceID(TraceHeader(ctx)); trace != "" {
			record.AddAttrs(slog.String("trace_id", trace))
		}
	}
	if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		record.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, record)
}

func (h contextual) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextual{h.Handler.WithAttrs(attrs), h.invocation}
}

func (h contextual) WithGroup(name string) slog.Handler {
	return contextual{h.Handler.WithGroup(name), h.invocation}
}
