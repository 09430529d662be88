package executor_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// TestMemoryStaysFlat makes many calls at once of targets that send without end,
// or what is no HTTP, and watches the heap. It runs alone, as tests do that are
// not parallel.
//
//nolint:paralleltest // it measures the memory of the process
func TestMemoryStaysFlat(t *testing.T) {
	flood := map[string]func(c *conn){
		"a body": func(c *conn) { c.request(); c.say(ok, "\r\n"); c.forever(strings.Repeat("x", 32<<10), 0) },
		"chunks": func(c *conn) {
			c.request()
			c.say(ok, "Transfer-Encoding: chunked\r\n\r\n")
			c.forever("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", 0)
		},
		"headers": func(c *conn) { c.request(); c.say(ok); c.forever("X-A: "+strings.Repeat("x", 1000)+"\r\n", 0) },
		"interim answers": func(c *conn) {
			c.request()
			c.forever("HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("x", 1000)+"\r\n\r\n", 0)
		},
		"HTTP/2 preface": func(c *conn) {
			c.request()
			c.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
			c.forever("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 0)
		},
		"HTTP/2 frames": func(c *conn) { c.forever("\x00\xff\xff\x04\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 4096), 0) },
		"a TLS alert":   func(c *conn) { c.request(); c.forever("\x15\x03\x03\x00\x02\x02\x28", 0) },
		"an endless chunk": func(c *conn) {
			c.request()
			c.say(ok, "Transfer-Encoding: chunked\r\n\r\n", "7fffffffffffffff\r\n")
			c.forever(strings.Repeat("x", 32<<10), 0)
		},
	}
	const atOnce, most = 8, 48 << 20 // of each; bytes for 64 calls, whose answers are kept up to 64 KiB
	client := newClient(t)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all sync.WaitGroup
	for name, script := range flood {
		server := listen(t, script)
		for range atOnce {
			all.Go(func() {
				attempt := call(t, client, work("http://"+server.addr+"/", timeout(5*time.Second)))
				if attempt.Failure == nil || attempt.Failure.Kind == execution.ErrInternal {
					t.Errorf("%s: %+v", name, attempt.Failure)
				}
			})
		}
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	peak := before.HeapAlloc
	for done := false; !done; {
		select {
		case <-ended:
			done = true
		case <-time.After(5 * time.Millisecond):
		}
		// What is garbage by now does not count: how much of it there is depends on
		// when it was last collected.
		runtime.GC()
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	if grown := peak - before.HeapAlloc; grown > most {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	} else {
		t.Logf("the heap grew by %d MiB at most", grown>>20)
	}
}
