// Package runtimeapi stands in for the Lambda Runtime API: what Lambda serves to
// the one process of a function's instance, from which it fetches events and to
// which it hands its answers. A built function runs under it as it does on AWS,
// without a container and without an account.
//
// Like Lambda it gives an instance one event at a time, and refuses an answer
// that is longer than Lambda would take.
package runtimeapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// MaxAnswer is the longest answer that Lambda takes of a function, in bytes.
const MaxAnswer = 6_291_556

// defaultTime is what a function has for an event that names no deadline.
const defaultTime = 3 * time.Second

// Event is one invocation. The zero value of a field takes its default.
type Event struct {
	Payload []byte
	// ID names the invocation; one is made up.
	ID string
	// ARN is the function's, as it was invoked.
	ARN string
	// Trace is the header of the X-Ray trace that the invocation belongs to.
	Trace string
	// Deadline is when the function must have answered; three seconds from now.
	Deadline time.Time
}

// FunctionError is a failure that the function told of, or that Lambda makes of
// its answer.
type FunctionError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// Error returns type and message.
func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// Server is the Runtime API of one instance of a function. It is safe for
// concurrent use.
type Server struct {
	listener net.Listener
	server   *http.Server
	turn     sync.Mutex // held by Invoke: an instance has one event at a time

	events     chan *invocation
	ready      chan struct{} // closed when the first event is asked for
	initFailed chan *FunctionError
	asked      sync.Once

	mu      sync.Mutex
	current *invocation // handed over and not answered
}

type invocation struct {
	Event
	answer chan result
}

type result struct {
	payload []byte
	err     error
}

// Start serves on a free port of loopback until Close.
func Start() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("runtime API: %w", err)
	}
	s := &Server{
		listener: listener, events: make(chan *invocation), ready: make(chan struct{}), initFailed: make(chan *FunctionError, 1),
	}
	mux := http.NewServeMux()
	const version = "/2018-06-01/runtime"
	mux.HandleFunc("GET "+version+"/invocation/next", s.next)
	mux.HandleFunc("POST "+version+"/invocation/{id}/response", s.response)
	mux.HandleFunc("POST "+version+"/invocation/{id}/error", s.failure)
	mux.HandleFunc("POST "+version+"/init/error", s.initError)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Address is what the function finds in AWS_LAMBDA_RUNTIME_API.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends the service; a function that waits for an event loses its
// connection.
func (s *Server) Close() error { return s.server.Close() }

// AwaitReady returns when the function asks for its first event. The error is a
// *FunctionError where the function told that it cannot start, or the context's.
func (s *Server) AwaitReady(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case failed := <-s.initFailed:
		return failed
	case <-ctx.Done():
		return fmt.Errorf("runtime API: no event was asked for: %w", context.Cause(ctx))
	}
}

// Invoke hands over an event as soon as the function asks for one, and returns
// its answer. The error is a *FunctionError where the function failed, or the
// context's: pass one that ends when the process does.
func (s *Server) Invoke(ctx context.Context, event Event) ([]byte, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	event.ID = cmp.Or(event.ID, rand.Text())
	if event.Deadline.IsZero() {
		event.Deadline = time.Now().Add(defaultTime)
	}
	handed := &invocation{Event: event, answer: make(chan result, 1)}
	select {
	case s.events <- handed:
	case <-ctx.Done():
		return nil, fmt.Errorf("runtime API: the event was not fetched: %w", context.Cause(ctx))
	}
	select {
	case answered := <-handed.answer:
		return answered.payload, answered.err
	case <-ctx.Done():
		s.take(event.ID)
		return nil, fmt.Errorf("runtime API: the event was not answered: %w", context.Cause(ctx))
	}
}

func (s *Server) next(w http.ResponseWriter, r *http.Request) {
	s.asked.Do(func() { close(s.ready) })
	var event *invocation
	select {
	case event = <-s.events:
	case <-r.Context().Done():
		return
	}
	s.mu.Lock()
	s.current = event
	s.mu.Unlock()
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Lambda-Runtime-Aws-Request-Id", event.ID)
	header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(event.Deadline.UnixMilli(), 10))
	header.Set("Lambda-Runtime-Invoked-Function-Arn", event.ARN)
	if event.Trace != "" {
		header.Set("Lambda-Runtime-Trace-Id", event.Trace)
	}
	_, _ = w.Write(event.Payload)
}

// take is the invocation of that id, which from then on is answered; nil where
// there is none.
func (s *Server) take(id string) *invocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.current
	if current == nil || current.ID != id {
		return nil
	}
	s.current = nil
	return current
}

func (s *Server) response(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxAnswer))
	event := s.take(r.PathValue("id"))
	var tooLong *http.MaxBytesError
	switch {
	case event == nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "no event of this id awaits an answer")
	case errors.As(err, &tooLong):
		failed := &FunctionError{"Function.ResponseSizeTooLarge", fmt.Sprintf("the answer is longer than %d bytes", MaxAnswer)}
		event.answer <- result{err: failed}
		refuse(w, http.StatusRequestEntityTooLarge, failed.Type, failed.Message)
	case err != nil:
		event.answer <- result{err: fmt.Errorf("runtime API: the answer broke off: %w", err)}
	default:
		// What failed while it was being written is told behind it.
		if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
			event.answer <- result{err: &FunctionError{kind, "the answer ended in an error"}}
		} else {
			event.answer <- result{payload: payload}
		}
		accept(w)
	}
}

func (s *Server) failure(w http.ResponseWriter, r *http.Request) {
	failed := readFailure(r)
	event := s.take(r.PathValue("id"))
	if event == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "no event of this id awaits an answer")
		return
	}
	event.answer <- result{err: failed}
	accept(w)
}

func (s *Server) initError(w http.ResponseWriter, r *http.Request) {
	select {
	case s.initFailed <- readFailure(r):
	default: // told before
	}
	accept(w)
}

func readFailure(r *http.Request) *FunctionError {
	text, err := io.ReadAll(io.LimitReader(r.Body, MaxAnswer))
	failed := new(FunctionError)
	if err != nil || json.Unmarshal(text, failed) != nil {
		failed.Message = strings.ToValidUTF8(string(text), "�")
	}
	failed.Type = cmp.Or(failed.Type, r.Header.Get("Lambda-Runtime-Function-Error-Type"), "Unhandled")
	return failed
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(FunctionError{kind, message})
}
