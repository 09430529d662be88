package executor_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

func workFor(url string) executor.Work {
	return executor.Work{ID: 1, JobID: 2, Attempt: 1, Request: job.Request{Method: "GET", URL: url, Timeout: 5 * time.Second}}
}

// counted is a server that counts its connections.
func counted(t *testing.T, start func(*httptest.Server)) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	start(server)
	t.Cleanup(server.Close)
	return server, &connections
}

func TestPreparedConnectionsCarryTheCalls(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "https": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, connections := counted(t, start)
			options := executor.ClientOptions{}
			if name == "https" {
				options.TLS = server.Client().Transport.(*http.Transport).TLSClientConfig
			}
			client := executor.NewClient(newTransport(t, options), executor.WallClock{})
			work := workFor(server.URL)
			client.Prepare(t.Context(), []executor.Work{work, work})
			// The server counts when it accepts, a little after the dial.
			for deadline := time.Now().Add(5 * time.Second); connections.Load() < 2; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d connections were prepared, want 2", connections.Load())
				}
			}
			for range 2 {
				attempt, _ := client.Call(t.Context(), executor.Call{Work: work})
				if attempt.Failure != nil {
					t.Fatalf("%+v", attempt.Failure)
				}
			}
			if n := connections.Load(); n != 2 {
				t.Errorf("the calls made %d connections of their own", n-2)
			}
		})
	}
}

func TestAConnectionThatWasGivenUpIsNotUsed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed := make(chan struct{})
	go func() {
		// The prepared connection is closed at once, the next one served.
		first, err := listener.Accept()
		if err != nil {
			return
		}
		first.Close()
		close(closed)
		server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
		_ = server.Serve(listener)
	}()
	client := newClient(t)
	work := workFor("http://" + listener.Addr().String())
	client.Prepare(t.Context(), []executor.Work{work})
	<-closed
	if attempt, _ := client.Call(t.Context(), executor.Call{Work: work}); attempt.Failure != nil {
		t.Errorf("%+v", attempt.Failure)
	}
}

func TestPreparingIsGuardedLikeCalling(t *testing.T) {
	t.Parallel()
	server, connections := counted(t, (*httptest.Server).Start)
	transport := newTransport(t, executor.ClientOptions{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	client := executor.NewClient(transport, executor.WallClock{})
	work := workFor(server.URL)
	client.Prepare(t.Context(), []executor.Work{work})
	attempt, _ := client.Call(t.Context(), executor.Call{Work: work})
	if attempt.Failure == nil || attempt.Failure.Kind != execution.ErrBlockedAddress {
		t.Errorf("the call ended with %+v", attempt.Failure)
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections reached a forbidden address", n)
	}
}

// TestAConnectionThatSpeaksFirstIsNotUsed: what it says is no answer.
func TestAConnectionThatSpeaksFirstIsNotUsed(t *testing.T) {
	t.Parallel()
	spoken := make(chan struct{})
	var accepted atomic.Int32
	target := listen(t, func(c *conn) {
		if accepted.Add(1) == 1 {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
			close(spoken)
			c.hang()
			return
		}
		answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nthen")(c)
	})
	client := newClient(t)
	w := work("http://" + target.addr + "/")
	client.Prepare(t.Context(), []executor.Work{w})
	<-spoken
	attempt := call(t, client, w)
	expect(t, attempt, "", 200, false)
	if got := string(attempt.Response.Body); got != "then" {
		t.Errorf("the answer is %q", got)
	}
}
