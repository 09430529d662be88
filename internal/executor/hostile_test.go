package executor_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

const ok = "HTTP/1.1 200 OK\r\n"

// TestCallOfHostileTargets calls targets that do everything but answer well.
// That each connection is closed afterwards is checked by the target itself.
func TestCallOfHostileTargets(t *testing.T) {
	t.Parallel()
	const (
		soon = 150 * time.Millisecond // for calls that end by their timeout alone, whatever they have read until then
		long = patience
	)
	for name, tc := range map[string]struct {
		script    func(c *conn)
		timeout   time.Duration
		method    string
		kind      execution.ErrorKind
		status    int
		retryable bool
	}{
		"says nothing":             {script: answering(), timeout: soon, kind: execution.ErrTimeout, retryable: true},
		"hangs in the status line": {script: answering("HTTP/1.1 20"), timeout: soon, kind: execution.ErrTimeout, retryable: true},
		"hangs in the header":      {script: answering(ok, "X-A: b\r\n"), timeout: soon, kind: execution.ErrTimeout, retryable: true},
		"drips the header": {timeout: soon, kind: execution.ErrTimeout, retryable: true, script: func(c *conn) {
			c.request()
			c.say(ok)
			c.forever("X", 5*time.Millisecond)
		}},
		"closes without reading":       {script: func(c *conn) { _ = c.Close() }, timeout: long, kind: execution.ErrReset, retryable: true},
		"closes without an answer":     {script: func(c *conn) { c.request() }, timeout: long, kind: execution.ErrReset, retryable: true},
		"closes in the status line":    {script: func(c *conn) { c.request(); c.say("HTTP/1.") }, timeout: long, kind: execution.ErrProtocol, retryable: true},
		"closes in the header":         {script: func(c *conn) { c.request(); c.say(ok, "X-A: ") }, timeout: long, kind: execution.ErrReset, retryable: true},
		"closes in the body":           {script: func(c *conn) { c.request(); c.say(ok, "Content-Length: 10\r\n\r\n", "123") }, timeout: long, kind: execution.ErrReset, status: 200, retryable: true},
		"closes between chunks":        {script: func(c *conn) { c.request(); c.say(ok, "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n") }, timeout: long, kind: execution.ErrReset, status: 200, retryable: true},
		"resets without an answer":     {script: func(c *conn) { c.request(); c.reset() }, timeout: long, kind: execution.ErrReset, retryable: true},
		"resets in the header":         {script: func(c *conn) { c.request(); c.say(ok, "X-A: "); c.reset() }, timeout: long, kind: execution.ErrReset, retryable: true},
		"answers garbage":              {script: answering(evil, "\x00\xff\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"answers an empty line":        {script: answering("\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"answers another protocol":     {script: answering("SSH-2.0-", evil, "\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"answers an odd version":       {script: answering("HTTP/x.y 200 ", evil, "\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"answers an odd status":        {script: answering("HTTP/1.1 2OO ", evil, "\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"answers a negative status":    {script: answering("HTTP/1.1 -20 ", evil, "\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"header without a colon":       {script: answering(ok, evil, "\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"two lengths that differ":      {script: answering(ok, "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"a negative length":            {script: answering(ok, "Content-Length: -1\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"an unknown transfer encoding": {script: answering(ok, "Transfer-Encoding: ", evil, "\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"a chunk size that is none":    {script: answering(ok, "Transfer-Encoding: chunked\r\n\r\n", evil, "\r\n"), timeout: long, kind: execution.ErrProtocol, status: 200, retryable: true},
		"a chunk size beyond bounds":   {script: answering(ok, "Transfer-Encoding: chunked\r\n\r\n", "fffffffffffffffff\r\n"), timeout: long, kind: execution.ErrProtocol, status: 200, retryable: true},
		"a chunk longer than it says":  {script: answering(ok, "Transfer-Encoding: chunked\r\n\r\n", "1\r\nabc\r\n0\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, status: 200, retryable: true},
		"chunk extensions without end": {timeout: long, kind: execution.ErrProtocol, status: 200, retryable: true, script: func(c *conn) {
			c.request()
			c.say(ok, "Transfer-Encoding: chunked\r\n\r\n", "1;")
			c.forever(strings.Repeat("x", 1024), 0)
		}},
		"trailers without end": {timeout: long, kind: execution.ErrProtocol, status: 200, retryable: true, script: func(c *conn) {
			c.request()
			c.say(ok, "Transfer-Encoding: chunked\r\n\r\n0\r\n")
			c.forever("X-Trailer: "+strings.Repeat("x", 1024)+"\r\n", 0)
		}},
		"a header line without end": {timeout: long, kind: execution.ErrTooLarge, script: func(c *conn) {
			c.request()
			c.say(ok, "X-A: ")
			c.forever(strings.Repeat("x", 1024), 0)
		}},
		"header lines without end": {timeout: long, kind: execution.ErrTooLarge, script: func(c *conn) {
			c.request()
			c.say(ok)
			c.forever("X-A: b\r\n", 0)
		}},
		"a status line without end": {timeout: long, kind: execution.ErrTooLarge, script: func(c *conn) {
			c.request()
			c.say("HTTP/1.1 200 ")
			c.forever(strings.Repeat("x", 1024), 0)
		}},
		"a header over 64 KiB": {script: answering(ok, "X-A: ", strings.Repeat("x", 64<<10), "\r\n\r\n"), timeout: long, kind: execution.ErrTooLarge},
		"interim answers without end": {timeout: long, kind: execution.ErrTooLarge, script: func(c *conn) {
			c.request()
			c.forever("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0)
		}},
		"interim answers, then none":   {script: answering("HTTP/1.1 100 Continue\r\n\r\n"), timeout: soon, kind: execution.ErrTimeout, retryable: true},
		"switches protocols and hangs": {script: answering("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"switches protocols, badly":    {script: answering("HTTP/1.1 101 Switching Protocols\r\n\r\n"), timeout: long, kind: execution.ErrProtocol, retryable: true},
		"a failure cut off":            {script: func(c *conn) { c.request(); c.say("HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n1") }, timeout: long, kind: execution.ErrHTTPStatus, status: 503, retryable: true},
		"an unknown status":            {script: answering("HTTP/1.1 799 ", evil, "\r\nContent-Length: 0\r\n\r\n"), timeout: long, kind: execution.ErrHTTPStatus, status: 799, retryable: true},
		"not modified, body":           {script: answering("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n12345"), timeout: long, kind: execution.ErrHTTPStatus, status: 304},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := listen(t, tc.script)
			attempt := call(t, newClient(t), work("http://"+target.addr+"/", timeout(tc.timeout)))
			expect(t, attempt, tc.kind, tc.status, tc.retryable)
			if took := attempt.EndedAt.Sub(attempt.StartedAt); tc.timeout == soon && took > patience/2 {
				t.Errorf("the call took %s, its timeout is %s", took, tc.timeout)
			}
			if n := len(target.requests()); n > 1 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

// TestCallOfTargetsThatHangInTheBody has calls end by their timeout after they
// have read the header. The time is not the wall's, nor the network real, so that
// no load makes the header come later than the timeout.
func TestCallOfTargetsThatHangInTheBody(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script    func(c *conn)
		kind      execution.ErrorKind
		status    int
		retryable bool
	}{
		"hangs in the body": {answering(ok, "Content-Length: 10\r\n\r\n", "12345"), execution.ErrTimeout, 200, true},
		"hangs in a chunk":  {answering(ok, "Transfer-Encoding: chunked\r\n\r\n", "a\r\n12345"), execution.ErrTimeout, 200, true},
		"drips the body": {func(c *conn) {
			c.request()
			c.say(ok, "\r\n")
			c.forever(".", 5*time.Millisecond)
		}, execution.ErrTimeout, 200, true},
		"a failure that drips its body": {func(c *conn) {
			c.request()
			c.say("HTTP/1.1 404 ", evil, "\r\n\r\n")
			c.forever(".", 5*time.Millisecond)
		}, execution.ErrHTTPStatus, 404, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var scripts sync.WaitGroup
				defer scripts.Wait()
				transport := newTransport(t, executor.ClientOptions{})
				transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					scripts.Go(func() {
						defer func() { _ = theirs.Close() }()
						tc.script(&conn{Conn: theirs, in: bufio.NewReader(theirs), target: &target{}})
					})
					return ours, nil
				}
				const limit = 30 * time.Second
				attempt := call(t, executor.NewClient(transport, executor.WallClock{}), work("http://target.test/", timeout(limit)))
				expect(t, attempt, tc.kind, tc.status, tc.retryable)
				if took := attempt.EndedAt.Sub(attempt.StartedAt); took != limit {
					t.Errorf("the call took %s, its timeout is %s", took, limit)
				}
			})
		})
	}
}

// watchedConn tells when its first bytes have been read.
type watchedConn struct {
	net.Conn
	read func()
}

func (c watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.read()
	}
	return n, err
}

// TestCallOfATargetThatResetsInTheBody resets when the client has the header, so
// that the reset cannot overtake it.
func TestCallOfATargetThatResetsInTheBody(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	target := listen(t, func(c *conn) {
		c.request()
		c.say(ok, "Content-Length: 100000\r\n\r\n", "x")
		<-read
		c.reset()
	})
	transport := newTransport(t, executor.ClientOptions{})
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		return watchedConn{c, sync.OnceFunc(func() { close(read) })}, err
	}
	attempt := call(t, executor.NewClient(transport, executor.WallClock{}), work("http://"+target.addr+"/"))
	expect(t, attempt, execution.ErrReset, 200, true)
}

// TestCallOfOddTargets calls targets that answer well enough.
func TestCallOfOddTargets(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method string
		answer string
		body   string
		status int
	}{
		"no content, body":          {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n12345", "", 204},
		"HEAD with a length":        {"HEAD", ok + "Content-Length: 1000000\r\n\r\n", "", 200},
		"interim answers":           {"GET", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10) + ok + "Content-Length: 2\r\n\r\nhi", "hi", 200},
		"trailers":                  {"GET", ok + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: " + evil + "\r\n\r\n", "hi", 200},
		"chunk extensions":          {"GET", ok + "Transfer-Encoding: chunked\r\n\r\n2;a=\"b;\"\r\nhi\r\n0;;;\r\n\r\n", "hi", 200},
		"more than it says":         {"GET", ok + "Content-Length: 2\r\nConnection: close\r\n\r\nhi" + evil, "hi", 200},
		"HTTP/1.0":                  {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200},
		"bare line feeds":           {"GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "hi", 200},
		"a header of nearly 64 KiB": {"GET", ok + "X-A: " + strings.Repeat("x", 60<<10) + "\r\nContent-Length: 2\r\n\r\nhi", "hi", 200},
		"an unknown encoding":       {"GET", ok + "Content-Encoding: zip\r\nContent-Length: 2\r\n\r\nhi", "hi", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := listen(t, answering(tc.answer))
			attempt := call(t, newClient(t), work("http://"+target.addr+"/", method(tc.method)))
			expect(t, attempt, "", tc.status, false)
			if attempt.Response != nil && string(attempt.Response.Body) != tc.body {
				t.Errorf("the body is %q, want %q", attempt.Response.Body, tc.body)
			}
		})
	}
}

func TestCallOfAClosedPort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	attempt := call(t, newClient(t), work("http://"+address+"/"))
	expect(t, attempt, execution.ErrConnect, 0, true)
	if want := "the target refused it"; !strings.Contains(attempt.Failure.Message, want) {
		t.Errorf("the message is %q", attempt.Failure.Message)
	}
}

// TestCallIsCancelled tells a worker that must stop from a target that is slow.
func TestCallIsCancelled(t *testing.T) {
	t.Parallel()
	for name, cancelled := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"by its worker": context.WithCancel,
		"by a deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := cancelled(t.Context())
			defer cancel()
			target := listen(t, func(c *conn) {
				c.request()
				if name == "by its worker" {
					cancel()
				}
				c.hang()
			})
			attempt, _ := newClient(t).Call(ctx, executor.Call{Work: work("http://" + target.addr)})
			expect(t, attempt, execution.ErrCancelled, 0, true)
		})
	}
}

func TestStoredRequestThatCannotBeSent(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]executor.Work{
		"a URL that is none":  work("http://[::1"),
		"a method that is no": work("http://127.0.0.1:1/", method("GET /x HTTP/1.1\r\n")),
		"a header with lines": work("http://127.0.0.1:1/", headers("X-A", "b\r\nX-C: d")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, call(t, newClient(t), w), execution.ErrInternal, 0, true)
		})
	}
}
