package app

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/internal/config"
)

// newTestAPI is the API's handler with its database at a port of this machine.
func newTestAPI(t *testing.T, port int) APIHandler {
	t.Helper()
	cfg, err := config.Parse(config.API, []string{
		"DB_HOST=127.0.0.1", "DB_USERNAME=u", "DB_PASSWORD=p", "DB_TLS_CA=" + config.TLSOff, "AWS_SAM_LOCAL=true",
		"JWT_SECRET=" + strings.Repeat("k", config.MinKeyBytes),
		"QUEUE_FAST_URL=http://127.0.0.1:1/fast", "QUEUE_SLOW_URL=http://127.0.0.1:1/slow", "QUEUE_ENDPOINT=http://127.0.0.1:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.DB.Port = port
	handler, closeAll, err := NewAPI(t.Context(), Env{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeAll() })
	return handler
}

func requestTo(method, path string, headers map[string]string) events.APIGatewayV2HTTPRequest {
	event := events.APIGatewayV2HTTPRequest{Version: "2.0", RouteKey: "$default", RawPath: path, Headers: headers}
	event.RequestContext.HTTP.Method, event.RequestContext.HTTP.Path = method, path
	event.RequestContext.HTTP.SourceIP = "203.0.113.10"
	event.RequestContext.RequestID = "gateway-1"
	return event
}

// A compressed answer is bytes, which an event carries in base64; the gateway
// decodes it.
func TestCompressedAnswersPassTheGateway(t *testing.T) {
	t.Parallel()
	handler := newTestAPI(t, 1)
	ask := func(encoding string) events.APIGatewayV2HTTPResponse {
		t.Helper()
		got, err := handler(t.Context(), requestTo("GET", "/api/docs-json", map[string]string{"accept-encoding": encoding}))
		if err != nil || got.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %v", got.StatusCode, err)
		}
		return got
	}
	plain, packed := ask("identity"), ask("gzip, deflate, br")
	if plain.IsBase64Encoded || plain.Headers["Content-Encoding"] != "" || !json.Valid([]byte(plain.Body)) {
		t.Errorf("the plain answer: base64 %t, %v", plain.IsBase64Encoded, plain.Headers)
	}
	if !packed.IsBase64Encoded || packed.Headers["Content-Encoding"] != "gzip" {
		t.Fatalf("the compressed answer: base64 %t, %v", packed.IsBase64Encoded, packed.Headers)
	}
	if !strings.Contains(packed.Headers["Vary"], "Accept-Encoding") {
		t.Errorf("Vary: %q", packed.Headers["Vary"])
	}
	raw, err := base64.StdEncoding.DecodeString(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil || string(text) != plain.Body {
		t.Errorf("%d bytes came out, %d were to, %v", len(text), len(plain.Body), err)
	}
	if len(packed.Body) > len(plain.Body)/2 {
		t.Errorf("%d bytes of %d are left, in base64", len(packed.Body), len(plain.Body))
	}
}

// A database that cannot be connected to, or not in time, is told as such, once a
// request and not once for each thing that the request needs.
func TestWithoutAConnectionTheAPIIsUnavailable(t *testing.T) {
	t.Parallel()
	login := requestTo("POST", "/auth/login", map[string]string{"content-type": "application/json"})
	login.Body = `{"email":"admin@example.com","password":"change-me-please"}`
	for name, event := range map[string]events.APIGatewayV2HTTPRequest{"health": requestTo("GET", "/health", nil), "login": login} {
		t.Run(name+", nobody there", func(t *testing.T) {
			t.Parallel()
			wantUnavailable(t, newTestAPI(t, 1), event)
		})
		t.Run(name+", silence", func(t *testing.T) {
			t.Parallel()
			port, connections := silence(t)
			wantUnavailable(t, newTestAPI(t, port), event)
			if tried := connections.Load(); tried != 1 {
				t.Errorf("%d connections were tried, two seconds each", tried)
			}
		})
	}
}

// silence takes connections, counts them, and never says a word.
func silence(t *testing.T) (port int, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	connections = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			defer func() { _ = conn.Close() }()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, connections
}

func wantUnavailable(t *testing.T, handler APIHandler, event events.APIGatewayV2HTTPRequest) {
	t.Helper()
	got, err := handler(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		Success    *bool
		StatusCode int
		Message    string
	}
	if err := json.Unmarshal([]byte(got.Body), &envelope); err != nil {
		t.Fatalf("%v: %s", err, got.Body)
	}
	if got.StatusCode != http.StatusServiceUnavailable || envelope.StatusCode != got.StatusCode || envelope.Success == nil || *envelope.Success {
		t.Errorf("%d %s", got.StatusCode, got.Body)
	}
	if got.Headers["Retry-After"] == "" || !strings.HasPrefix(got.Headers["Content-Type"], "application/json") {
		t.Errorf("headers %v", got.Headers)
	}
}
