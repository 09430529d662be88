package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// APIHandler is the Lambda handler of the API, behind an HTTP API with payload
// version 2.0.
type APIHandler func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// maxResponse is the longest answer that Lambda takes of a function, as JSON; a
// longer one would fail the invocation, and the client learn nothing of why.
const maxResponse = 6*1024*1024 - 64*1024

// gateway serves an http.Handler through the proxy adapter, and shields it from
// what the adapter does differently from net/http. It never fails: whatever goes
// wrong is an answer.
func gateway(handler http.Handler, log *slog.Logger) APIHandler {
	adapter := httpadapter.NewV2(shield(handler, log))
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		// The gateway hands over a decoded path, which the adapter parses as a
		// URL: a "?" in it would begin a query, a stray "%" would be an error.
		path := event.RawPath
		if path == "" {
			path = event.RequestContext.HTTP.Path
		}
		event.RawPath = (&url.URL{Path: path}).EscapedPath()
		if err := isRequest(event); err != nil {
			log.WarnContext(ctx, "the event is no request", "err", err)
			return ownAnswer(event, http.StatusBadRequest, "The request cannot be understood."), nil
		}
		asked := &request{headers: event.Headers}
		response, err := adapter.ProxyWithContext(context.WithValue(ctx, requestKey{}, asked), event)
		if asked.broken {
			return ownAnswer(event, http.StatusInternalServerError, "Something went wrong on our side."), nil
		}
		if err != nil {
			log.WarnContext(ctx, "the event is no request", "err", err)
			return ownAnswer(event, http.StatusBadRequest, "The request cannot be understood."), nil
		}
		if size := responseSize(response); size > maxResponse {
			log.ErrorContext(ctx, "the answer is too long for the gateway", "path", path, "bytes", size)
			return ownAnswer(event, http.StatusInternalServerError,
				"The answer would be longer than 6 MB; ask for less at once, or send Accept-Encoding: gzip."), nil
		}
		return response, nil
	}
}

// isRequest reports why the adapter would make no request of an event. It tells
// of one itself, by a line that is none of a log, with what the client sent.
func isRequest(event events.APIGatewayV2HTTPRequest) error {
	address := "https://" + event.RequestContext.DomainName + "/" + strings.TrimPrefix(event.RawPath, "/")
	if event.RawQueryString != "" {
		address += "?" + event.RawQueryString
	}
	_, err := http.NewRequest(strings.ToUpper(event.RequestContext.HTTP.Method), address, nil) //nolint:noctx // it is never made
	return err
}

// ownAnswer is an error that the application did not write, in the form of those
// that it does.
func ownAnswer(event events.APIGatewayV2HTTPRequest, status int, message string) events.APIGatewayV2HTTPResponse {
	path := event.RequestContext.HTTP.Path
	if event.RawQueryString != "" {
		path += "?" + event.RawQueryString
	}
	id := event.RequestContext.RequestID
	body, err := json.Marshal(map[string]any{
		"success": false, "statusCode": status, "timestamp": time.UnixMilli(event.RequestContext.TimeEpoch).UTC().Format("2006-01-02T15:04:05.000Z"),
		"path": path, "message": message, "errors": nil, "requestId": id,
	})
	if err != nil {
		body = nil // texts and numbers always encode
	}
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status, Body: string(body),
		Headers: map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Request-Id": id,
		},
	}
}

// responseSize is how long a response is in JSON, and not less.
func responseSize(response events.APIGatewayV2HTTPResponse) int {
	const surroundings = 1024
	size := surroundings
	for name, value := range response.Headers {
		size += len(name) + 6*len(value)
	}
	for _, cookie := range response.Cookies {
		size += 6 * len(cookie)
	}
	if response.IsBase64Encoded || len(response.Body) > maxResponse {
		return size + len(response.Body)
	}
	if size+6*len(response.Body) <= maxResponse {
		return size + len(response.Body) // short enough, however it is escaped
	}
	for _, r := range response.Body {
		switch {
		case r == '"', r == '\\', r == '\n', r == '\r', r == '\t':
			size += 2
		case r < ' ', r == 0x7f, r == 0x2028, r == 0x2029:
			size += 6
		default:
			size += utf8.RuneLen(r)
		}
	}
	return size
}

type requestKey struct{}

// request is what the shield and the gateway tell each other of one.
type request struct {
	headers map[string]string // as the gateway sent them
	broken  bool              // the handler panicked: what it wrote is no whole answer
}

func shield(handler http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The adapter cuts header values at commas ("Mon, 23 Nov", user
		// agents); the gateway had already joined repeated headers, so each
		// value is whole as it came.
		asked, ok := r.Context().Value(requestKey{}).(*request)
		if !ok {
			asked = new(request)
		}
		for name, value := range asked.headers {
			r.Header.Set(name, value)
		}
		// net/http keeps this header out of the map and in a field.
		if host := r.Header.Get("Host"); host != "" {
			r.Host = host
			r.Header.Del("Host")
		}
		if !strings.Contains(r.RemoteAddr, ":") || net.ParseIP(r.RemoteAddr) != nil {
			r.RemoteAddr = net.JoinHostPort(r.RemoteAddr, "0")
		}
		once := &onceWriter{ResponseWriter: w}
		// The adapter recovers from nothing: a panic would end the process, and a
		// new one would have to start for the next request. net/http would break
		// off the connection; nothing has left yet here, so all of it is replaced.
		defer func() {
			if cause := recover(); cause != nil {
				log.ErrorContext(r.Context(), "panic", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
				asked.broken = true
				once.WriteHeader(http.StatusInternalServerError)
			}
		}()
		handler.ServeHTTP(once, r)
		if !once.wrote {
			once.WriteHeader(http.StatusOK)
		}
	})
}

// onceWriter keeps net/http's rules: the first final status counts, and
// informational ones are not final.
type onceWriter struct {
	http.ResponseWriter
	wrote bool
}

func (w *onceWriter) WriteHeader(status int) {
	if w.wrote || status < 200 {
		return
	}
	w.wrote = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *onceWriter) Write(body []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.ResponseWriter.Write(body)
}
