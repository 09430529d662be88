package system

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"
)

// Limits of an HTTP API.
const (
	maxRequestBody = 10 << 20
	apiTimeout     = 29 * time.Second
)

// gateway is an HTTP API with payload version 2.0: requests become events for
// the API's handler, its answers responses.
type gateway struct {
	api lambda.Handler
	log *slog.Logger
}

func newGateway(api lambda.Handler, log *slog.Logger) http.Handler { return gateway{api, log} }

func (g gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		answer(w, http.StatusRequestEntityTooLarge, "Request Too Long")
		return
	case err != nil:
		answer(w, http.StatusBadRequest, "Bad Request")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), apiTimeout)
	defer cancel()
	var response events.APIGatewayV2HTTPResponse
	if err := invoke(ctx, g.api, toEvent(r, body), &response); err != nil {
		g.log.Error("the API's handler failed", "err", err)
		answer(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	out := []byte(response.Body)
	if response.IsBase64Encoded {
		if out, err = base64.StdEncoding.DecodeString(response.Body); err != nil {
			answer(w, http.StatusInternalServerError, "Internal Server Error")
			return
		}
	}
	for name, value := range response.Headers {
		w.Header().Set(name, value)
	}
	for name, values := range response.MultiValueHeaders {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	for _, cookie := range response.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(out)
}

// answer is the gateway's own voice.
func answer(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// toEvent makes the event of a request, as an HTTP API does: names in lower
// case, repeated values joined by commas, the path decoded.
func toEvent(r *http.Request, body []byte) events.APIGatewayV2HTTPRequest {
	headers := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	var cookies []string
	for _, line := range r.Header["Cookie"] {
		for cookie := range strings.SplitSeq(line, ";") {
			cookies = append(cookies, strings.TrimSpace(cookie))
		}
	}
	query := map[string]string{}
	values := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		query[name] = strings.Join(values[name], ",")
	}
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	now := time.Now().UTC()
	event := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery,
		Cookies: cookies, Headers: headers, QueryStringParameters: query,
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: "$default", AccountID: "000000000000", Stage: "$default", RequestID: uuid.NewString(), APIID: "local",
			DomainName: r.Host, DomainPrefix: "local", Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: source, UserAgent: r.UserAgent(),
			},
		},
	}
	if isText(r.Header.Get("Content-Type")) && utf8.Valid(body) {
		event.Body = string(body)
	} else if len(body) > 0 {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return event
}

// isText tells the content types that an HTTP API hands over as text.
func isText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return strings.HasPrefix(media, "text/") || media == "application/json" || media == "application/javascript" ||
		media == "application/xml" || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")
}
