package app

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// APIHandler is the Lambda handler of the API, behind an HTTP API with payload
// version 2.0.
type APIHandler func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// gateway serves an http.Handler through the proxy adapter, and shields it from
// what the adapter does differently from net/http.
func gateway(handler http.Handler) APIHandler {
	adapter := httpadapter.NewV2(shield(handler))
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		// The gateway hands over a decoded path, which the adapter parses as a
		// URL: a "?" in it would begin a query, a stray "%" would be an error.
		path := event.RawPath
		if path == "" {
			path = event.RequestContext.HTTP.Path
		}
		event.RawPath = (&url.URL{Path: path}).EscapedPath()
		return adapter.ProxyWithContext(context.WithValue(ctx, headersKey{}, event.Headers), event)
	}
}

type headersKey struct{}

func shield(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The adapter cuts header values at commas ("Mon, 23 Nov", user
		// agents); the gateway had already joined repeated headers, so each
		// value is whole as it came.
		if headers, ok := r.Context().Value(headersKey{}).(map[string]string); ok {
			for name, value := range headers {
				r.Header.Set(name, value)
			}
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
