// Package sqsserver is an in-memory stand-in for Amazon SQS that speaks its
// AWS JSON 1.0 protocol, so that a machine without AWS runs the product's real
// queue client. It implements the standard-queue operations that the product
// and its tools use, with the delays, visibility timeouts, receive counts,
// redrive, limits and error codes of the service.
//
// It checks no credentials and therefore listens on loopback only. Messages
// die with the process. It knows nothing of jobs or executions.
package sqsserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Account is the account number in every ARN and queue URL.
	Account = "000000000000"
	// DefaultRegion is the region in ARNs when Options names none.
	DefaultRegion = "us-east-1"

	targetPrefix = "AmazonSQS."
	// maxRequestBytes bounds what is read of a request: 1 MiB of messages can
	// be six times as long once every byte of it is escaped in JSON.
	maxRequestBytes = 8 << 20
	// shutdownGrace is how long Start waits for answers under way.
	shutdownGrace = 2 * time.Second
)

// Options configure a Server. The zero value is usable.
type Options struct {
	// Clock is where the server takes its time from; nil means the system's.
	Clock Clock
	// Region appears in ARNs; empty means DefaultRegion.
	Region string
	// Hooks make the server misbehave; the zero value does not.
	Hooks Hooks
}

// Server holds the queues. It is an http.Handler and safe for concurrent use.
type Server struct {
	clock  Clock
	region string
	hooks  atomic.Pointer[Hooks]

	// requests numbers the answers, for the x-amzn-RequestId header.
	requests atomic.Uint64

	// mu guards everything below, queues' contents included: a redrive moves
	// messages between queues, and no operation holds it for more than the
	// handling of ten messages.
	mu       sync.Mutex
	queues   map[string]*queue
	sequence uint64
}

// New returns a server without queues.
func New(options Options) *Server {
	server := &Server{
		clock:  options.Clock,
		region: options.Region,
		queues: make(map[string]*queue),
	}
	if server.clock == nil {
		server.clock = systemClock{}
	}
	if server.region == "" {
		server.region = DefaultRegion
	}
	server.SetHooks(options.Hooks)
	return server
}

// SetHooks replaces the hooks; calls under way may still see the former ones.
func (s *Server) SetHooks(hooks Hooks) { s.hooks.Store(&hooks) }

// QueueARN returns the ARN of the queue of that name, whether it exists or not.
func (s *Server) QueueARN(name string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", s.region, Account, name)
}

// QueueURL joins a server's base URL and a queue's name as the service does.
func QueueURL(base, name string) string {
	return strings.TrimSuffix(base, "/") + "/" + Account + "/" + name
}

// nextSequence numbers messages and receipt handles. The caller holds s.mu.
func (s *Server) nextSequence() uint64 {
	s.sequence++
	return s.sequence
}

// ServeHTTP answers one operation, named by the X-Amz-Target header.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := "local-" + strconv.FormatUint(s.requests.Add(1), 10)
	w.Header().Set("X-Amzn-Requestid", requestID)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")

	result, err := s.answer(r)
	if errors.Is(err, ErrHangUp) {
		hangUp(w)
		return
	}
	if err != nil {
		writeError(w, err)
		return
	}
	if result == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		writeError(w, internalError(err.Error()))
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(encoded)))
	// A client that is gone cannot be told so.
	_, _ = w.Write(encoded)
}

// answer runs the operation and the hooks around it.
func (s *Server) answer(r *http.Request) (any, error) {
	if r.Method != http.MethodPost {
		return nil, invalidAction("only POST requests of the AWS JSON protocol are understood")
	}
	name, found := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	operation, known := operations[name]
	if !found || !known {
		return nil, invalidAction(fmt.Sprintf("The action %q is not valid for this endpoint.", r.Header.Get("X-Amz-Target")))
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequestBytes))
	if err != nil {
		return nil, malformed(fmt.Sprintf("reading the request: %v", err))
	}
	var target struct {
		QueueURL  string `json:"QueueUrl"`
		QueueName string
	}
	if err := json.Unmarshal(body, &target); err != nil {
		return nil, malformed(err.Error())
	}
	call := Call{Operation: name, Queue: target.QueueName}
	if target.QueueURL != "" {
		call.Queue = queueName(target.QueueURL)
	}

	hooks := s.hooks.Load()
	if hooks.BeforeCall != nil {
		if err := hooks.BeforeCall(r.Context(), call); err != nil {
			return nil, err
		}
	}
	result, err := operation(s, request{ctx: r.Context(), host: r.Host, body: body, hooks: hooks})
	if err == nil && hooks.AfterCall != nil {
		err = hooks.AfterCall(r.Context(), call)
	}
	return result, err
}

// queueName is the last element of a queue URL. The host is not looked at, so
// that one queue can be reached under several names (a container's, say).
func queueName(url string) string {
	return url[strings.LastIndexByte(url, '/')+1:]
}

// hangUp ends the connection without an answer.
func hangUp(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeError(w, internalError("hanging up: "+err.Error()))
		return
	}
	_ = connection.Close()
}

// Endpoint is a server that accepts connections.
type Endpoint struct {
	// URL is the base URL, such as "http://127.0.0.1:9324".
	URL  string
	done chan error
}

// Wait blocks until the endpoint has shut down and returns why, nil when it
// was because the context of Start ended.
func (e *Endpoint) Wait() error {
	err := <-e.done
	e.done <- err
	return err
}

// Start listens on addr ("127.0.0.1:0" takes a free port) until ctx ends, and
// returns when connections are accepted. An address that is not loopback is an
// error.
func (s *Server) Start(ctx context.Context, addr string) (*Endpoint, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for the local queue: %w", err)
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		_ = listener.Close()
		return nil, fmt.Errorf("the local queue checks no credentials and listens on loopback only, not on %q", addr)
	}

	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		// Long polls end with ctx, so that a shutdown does not wait for them.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	endpoint := &Endpoint{URL: "http://" + listener.Addr().String(), done: make(chan error, 1)}
	stopped := make(chan struct{})
	go func() {
		err := server.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			<-stopped
			err = nil
		}
		endpoint.done <- err
	}()
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	return endpoint, nil
}
