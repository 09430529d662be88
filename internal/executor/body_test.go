package executor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// countingConn counts what is read from a connection.
type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// countingClient makes a client and a count of what it reads, in bytes.
func countingClient(t *testing.T) (*executor.Client, *atomic.Int64) {
	t.Helper()
	transport := newTransport(t, executor.ClientOptions{})
	read := &atomic.Int64{}
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return countingConn{c, read}, nil
	}
	return executor.NewClient(transport, executor.WallClock{}), read
}

// readAhead is what the transport may have read beyond what was asked for.
const readAhead = 16 << 10

func TestBodiesAreLimited(t *testing.T) {
	t.Parallel()
	const kept, most = execution.MaxResponseBody, 1 << 20
	piece := strings.Repeat("x", 32<<10)
	sized := func(n int) func(c *conn) {
		return func(c *conn) {
			c.request()
			c.say(ok, "Content-Length: ", strconv.Itoa(n), "\r\n\r\n", strings.Repeat("x", n))
			c.hang()
		}
	}
	for name, tc := range map[string]struct {
		script    func(c *conn)
		kind      execution.ErrorKind
		status    int
		length    int
		truncated bool
	}{
		"as much as is kept":    {sized(kept), "", 200, kept, false},
		"a byte more":           {sized(kept + 1), "", 200, kept, true},
		"as much as is read":    {sized(most), "", 200, kept, true},
		"a byte more than that": {sized(most + 1), execution.ErrTooLarge, 200, kept, true},
		"10 MiB":                {sized(10 << 20), execution.ErrTooLarge, 200, kept, true},
		"a length beyond all": {func(c *conn) {
			c.request()
			c.say(ok, "Content-Length: 9223372036854775807\r\n\r\n")
			c.forever(piece, 0)
		}, execution.ErrTooLarge, 200, kept, true},
		"no end": {func(c *conn) {
			c.request()
			c.say(ok, "\r\n")
			c.forever(piece, 0)
		}, execution.ErrTooLarge, 200, kept, true},
		"chunks without end": {func(c *conn) {
			c.request()
			c.say(ok, "Transfer-Encoding: chunked\r\n\r\n")
			c.forever("8000\r\n"+piece+"\r\n", 0)
		}, execution.ErrTooLarge, 200, kept, true},
		"a failure without end": {func(c *conn) {
			c.request()
			c.say("HTTP/1.1 500 Oops\r\n\r\n")
			c.forever(piece, 0)
		}, execution.ErrHTTPStatus, 500, kept, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := listen(t, tc.script)
			client, read := countingClient(t)
			attempt := call(t, client, work("http://"+target.addr+"/"))
			expect(t, attempt, tc.kind, tc.status, tc.status == 500)
			if len(attempt.Response.Body) != tc.length || attempt.Response.Truncated != tc.truncated {
				t.Errorf("%d bytes are kept, truncated is %t", len(attempt.Response.Body), attempt.Response.Truncated)
			}
			if n := read.Load(); n > most+readAhead {
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	target := listen(t, func(c *conn) {
		c.request()
		c.say(ok)
		c.forever("X-A: "+strings.Repeat("x", 1000)+"\r\n", 0)
	})
	client, read := countingClient(t)
	expect(t, call(t, client, work("http://"+target.addr+"/")), execution.ErrTooLarge, 0, false)
	if n := read.Load(); n > 64<<10+readAhead {
		t.Errorf("%d bytes were read", n)
	}
}

// TestCompressedAnswersStayCompressed keeps a small bomb small.
func TestCompressedAnswersStayCompressed(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	for range 1024 {
		if _, err := packer.Write(make([]byte, 16<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := packer.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	t.Cleanup(server.Close)
	attempt := call(t, newClient(t), work(server.URL))
	expect(t, attempt, "", 200, false)
	if !bytes.Equal(attempt.Response.Body, bomb.Bytes()) {
		t.Errorf("%d bytes are kept of %d", len(attempt.Response.Body), bomb.Len())
	}
}

// TestAnswerIsKept shows what of an ordinary answer is kept.
func TestAnswerIsKept(t *testing.T) {
	t.Parallel()
	target := listen(t, answering("HTTP/1.1 201 Created\r\nX-Two: a\r\nx-two: b\r\nContent-Length: 4\r\n\r\n\x00\xffé"))
	attempt := call(t, newClient(t), work("http://"+target.addr+"/", method("POST")))
	expect(t, attempt, "", 201, false)
	if got := attempt.Response.Headers["X-Two"]; strings.Join(got, ",") != "a,b" {
		t.Errorf("the header is %q", got)
	}
	if got := string(attempt.Response.Body); got != "\x00\xffé" {
		t.Errorf("the body is %q", got)
	}
	for name, phase := range map[string]*time.Duration{"connect": attempt.Timings.Connect, "ttfb": attempt.Timings.TTFB, "total": attempt.Timings.Total} {
		if phase == nil {
			t.Errorf("%s is not measured", name)
		}
	}
	if attempt.Timings.TLS != nil {
		t.Error("a handshake is measured that did not happen")
	}
}
