package telemetry

import (
	"context"
	"strings"
)

// lambdaTraceKey is where the Lambda runtime puts the trace header of an
// invocation. It is a plain string there.
const lambdaTraceKey = "x-amzn-trace-id"

type traceKey struct{}

// WithTrace returns a context whose messages and lines bear that trace, where it
// has one: of the message that an execution came in, say, in place of the
// invocation's.
func WithTrace(ctx context.Context, header string) context.Context {
	if header == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, header)
}

// TraceHeader is the X-Ray trace header of the context; empty without one.
func TraceHeader(ctx context.Context) string {
	if header, ok := ctx.Value(traceKey{}).(string); ok {
		return header
	}
	header, _ := ctx.Value(lambdaTraceKey).(string)
	return header
}

// TraceID is the id of a trace header, such as "1-5759e988-bd862e3fe1be46a9";
// empty where the trace is not kept, so that there is nothing to look up.
func TraceID(header string) string {
	id, sampled := "", false
	for part := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Root":
			id = value
		case "Sampled":
			sampled = value == "1"
		}
	}
	if !sampled {
		return ""
	}
	return id
}
