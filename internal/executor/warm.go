package executor

import (
	"context"
	"net"
	"net/url"
	"sync"
	"time"
)

// warmFor is how long a connection that was made beforehand may wait for its
// call. Servers give silent connections up after some seconds.
const warmFor = 3 * time.Second

// warmMost bounds the connections that wait in a process that may open so many
// files: calls need descriptors too.
func warmMost(files int) int { return max(files*2/5, 16) }

// warmConns holds connections that are ready and have carried nothing yet, by
// scheme and address: a burst of calls should find nothing left to do at its
// instant but to send requests. A connection is handed out once.
type warmConns struct {
	mu    sync.Mutex
	ready map[string][]warmConn
	count int
	most  int
}

type warmConn struct {
	net.Conn
	raw   net.Conn // beneath TLS
	since time.Time
}

func newWarmConns() *warmConns {
	return &warmConns{ready: map[string][]warmConn{}, most: warmMost(openFiles())}
}

// take hands out a connection that is still open; nil where there is none.
func (w *warmConns) take(scheme, address string) net.Conn {
	key := scheme + " " + address
	for {
		w.mu.Lock()
		waiting := w.ready[key]
		if len(waiting) == 0 {
			delete(w.ready, key)
			w.mu.Unlock()
			return nil
		}
		last := waiting[len(waiting)-1]
		w.ready[key] = waiting[:len(waiting)-1]
		w.count--
		w.mu.Unlock()
		// Wall time: the process may have been frozen in between.
		if time.Since(last.since.Round(0)) < warmFor && stillOpen(last.raw, last.Conn != last.raw) {
			return last.Conn
		}
		_ = last.Close()
	}
}

func (w *warmConns) put(scheme, address string, conn warmConn) {
	key := scheme + " " + address
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= w.most {
		_ = conn.Close()
		return
	}
	w.count++
	w.ready[key] = append(w.ready[key], conn)
}

// drop closes what has waited too long.
func (w *warmConns) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, waiting := range w.ready {
		kept := waiting[:0]
		for _, conn := range waiting {
			if time.Since(conn.since.Round(0)) < warmFor {
				kept = append(kept, conn)
			} else {
				w.count--
				_ = conn.Close()
			}
		}
		if w.ready[key] = kept; len(kept) == 0 {
			delete(w.ready, key)
		}
	}
}

// Prepare makes the connections that these works will want, as far as it can
// before the context ends, and returns when they are ready. It never fails: a
// call makes its own connection where none is ready, and reports what is wrong
// with it. What no call takes within warmFor is closed.
func (c *Client) Prepare(ctx context.Context, works []Work) {
	if c.connect == nil {
		return
	}
	var all sync.WaitGroup
	for _, work := range works {
		target, err := url.Parse(work.Request.URL)
		if err != nil {
			continue
		}
		all.Go(func() { c.connect.prepare(ctx, target) })
	}
	all.Wait()
	time.AfterFunc(warmFor+time.Millisecond, c.connect.warm.drop)
}

func (c *connector) prepare(ctx context.Context, target *url.URL) {
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	address := net.JoinHostPort(target.Hostname(), port)
	raw, err := c.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	conn := warmConn{Conn: raw, raw: raw, since: time.Now()}
	if target.Scheme == "https" {
		secured, err := c.handshake(ctx, raw, target.Hostname())
		if err != nil {
			_ = raw.Close()
			return
		}
		conn.Conn = secured
	}
	c.warm.put(target.Scheme, address, conn)
}
