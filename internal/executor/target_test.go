package executor_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// loopback lets the client call targets of the tests.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// patience is far more than any condition takes that these tests wait for.
const patience = 10 * time.Second

// target is a server that speaks bytes, as hostile ones do.
type target struct {
	addr string
	mu   sync.Mutex
	seen []string // the requests, byte for byte, in the order of their arrival
}

// listen starts a target that runs script on each connection. At the test's end
// it insists that every connection was closed by the client.
func listen(t *testing.T, script func(c *conn)) *target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &target{addr: listener.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = accepted.Close() }()
				script(&conn{Conn: accepted, in: bufio.NewReader(accepted), target: s})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		ended := make(chan struct{})
		go func() {
			all.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("a connection to the target is still open")
		}
	})
	return s
}

// requests is what the target has received so far.
func (s *target) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// conn is one connection, seen from the target.
type conn struct {
	net.Conn
	in     *bufio.Reader
	target *target
}

// request reads one request, header and body, and notes it; false at the
// connection's end.
func (c *conn) request() (string, bool) {
	var text strings.Builder
	length := 0
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return "", false
		}
		text.WriteString(line)
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
			for _, digit := range strings.TrimSpace(value) {
				length = 10*length + int(digit-'0')
			}
		}
		if line == "\r\n" {
			break
		}
	}
	if _, err := io.CopyN(&text, c.in, int64(length)); err != nil {
		return "", false
	}
	c.target.mu.Lock()
	defer c.target.mu.Unlock()
	c.target.seen = append(c.target.seen, text.String())
	return text.String(), true
}

// say writes; what cannot be written is of no interest, for the client may
// have gone.
func (c *conn) say(parts ...string) {
	for _, part := range parts {
		if _, err := io.WriteString(c, part); err != nil {
			return
		}
	}
}

// hang waits until the client closes the connection.
func (c *conn) hang() { _, _ = io.Copy(io.Discard, c.in) }

// reset closes the connection with a RST.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// forever writes a piece again and again until the client closes.
func (c *conn) forever(piece string, pause time.Duration) {
	for {
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
		if pause > 0 {
			time.Sleep(pause)
		}
	}
}

// answering is a script that reads one request, answers, and then waits for the
// client to close.
func answering(parts ...string) func(c *conn) {
	return func(c *conn) {
		if _, ok := c.request(); ok {
			c.say(parts...)
			c.hang()
		}
	}
}

// newTransport makes a transport for one test, which may call loopback.
func newTransport(t *testing.T, opts executor.ClientOptions) *executor.Transport {
	t.Helper()
	if opts.Allow == nil {
		opts.Allow = loopback
	}
	transport := executor.NewTransport(opts)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func newClient(t *testing.T) *executor.Client {
	t.Helper()
	return executor.NewClient(newTransport(t, executor.ClientOptions{}), executor.WallClock{})
}

// work is an execution that calls a URL, with changes.
func work(url string, change ...func(*executor.Work)) executor.Work {
	w := executor.Work{
		ID: 42, JobID: 7, JobName: "nightly", Trigger: execution.Schedule, Attempt: 1, Revision: 1, Lane: execution.Fast,
		ScheduledFor: time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC),
		NotBefore:    time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC),
		Request: job.Request{
			Method: http.MethodGet, URL: url, Timeout: patience, OverlapPolicy: job.OverlapAllow,
			Retry: execution.RetryPolicy{Attempts: 3, Delay: time.Second, Backoff: execution.Fixed},
		},
	}
	for _, c := range change {
		c(&w)
	}
	return w
}

func method(name string) func(*executor.Work) {
	return func(w *executor.Work) { w.Request.Method = name }
}

func body(text string) func(*executor.Work) {
	return func(w *executor.Work) { w.Request.Body = []byte(text) }
}

func headers(pairs ...string) func(*executor.Work) {
	return func(w *executor.Work) {
		w.Request.Headers = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			w.Request.Headers[pairs[i]] = pairs[i+1]
		}
	}
}

func timeout(d time.Duration) func(*executor.Work) {
	return func(w *executor.Work) { w.Request.Timeout = d }
}

func redirects(n int) func(*executor.Work) {
	return func(w *executor.Work) { w.Request.MaxRedirects = n }
}

// call makes one call and checks what holds for every attempt.
func call(t *testing.T, client *executor.Client, w executor.Work) execution.Attempt {
	t.Helper()
	attempt, _ := client.Call(t.Context(), executor.Call{Work: w})
	if attempt.EndedAt.Before(attempt.StartedAt) || attempt.StartedAt.Location() != time.UTC {
		t.Errorf("the attempt lasts from %s to %s", attempt.StartedAt, attempt.EndedAt)
	}
	if attempt.Timings.Total == nil {
		t.Error("the total is not measured")
	}
	if attempt.Failure == nil {
		return attempt
	}
	for _, unsafe := range []string{"127.0.0", "::1", "169.254", evil, w.Request.URL} {
		if strings.Contains(attempt.Failure.Message, unsafe) {
			t.Errorf("the message %q shows %q", attempt.Failure.Message, unsafe)
		}
	}
	if !strings.HasSuffix(attempt.Failure.Message, ".") {
		t.Errorf("the message %q is no sentence", attempt.Failure.Message)
	}
	return attempt
}

// evil is text of targets that must not show up in a message.
const evil = "EVIL<script>"

// expect compares an attempt's outcome. kind "" is success.
func expect(t *testing.T, attempt execution.Attempt, kind execution.ErrorKind, status int, retryable bool) {
	t.Helper()
	var gotKind execution.ErrorKind
	gotStatus := 0
	if attempt.Failure != nil {
		gotKind = attempt.Failure.Kind
	}
	if attempt.Response != nil {
		gotStatus = attempt.Response.Status
	}
	if gotKind != kind || gotStatus != status {
		t.Errorf("kind %q, status %d; want %q, %d (%+v)", gotKind, gotStatus, kind, status, attempt.Failure)
	}
	if got := execution.Retryable(execution.Outcome{Failure: attempt.Failure, Status: gotStatus}); got != retryable {
		t.Errorf("retryable is %t, want %t", got, retryable)
	}
}
