package executor

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// phases measures one hop of a call. The transport dials in the background,
// perhaps for nothing, so the hooks run on other goroutines and even after the
// hop.
type phases struct {
	mu                                   sync.Mutex
	start, dnsStart, connStart, tlsStart time.Time
	dns, connect, tls, ttfb              *time.Duration
	reused                               bool
}

// watch begins a hop.
func watch(ctx context.Context) (context.Context, *phases) {
	p := &phases{start: time.Now()}
	begin := func(at *time.Time) {
		p.mu.Lock()
		defer p.mu.Unlock()
		*at = time.Now()
	}
	end := func(phase **time.Duration, since *time.Time) {
		p.mu.Lock()
		defer p.mu.Unlock()
		took := time.Since(*since)
		*phase = &took
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { begin(&p.dnsStart) },
		DNSDone:           func(httptrace.DNSDoneInfo) { end(&p.dns, &p.dnsStart) },
		ConnectStart:      func(string, string) { begin(&p.connStart) },
		ConnectDone:       func(string, string, error) { end(&p.connect, &p.connStart) },
		TLSHandshakeStart: func() { begin(&p.tlsStart) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { end(&p.tls, &p.tlsStart) },
		GotConn: func(info httptrace.GotConnInfo) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.reused = info.Reused
		},
		GotFirstResponseByte: func() { end(&p.ttfb, &p.start) },
	}), p
}

// timings is what was measured so far. A connection that was reused has no
// phases of its own, even if another was being made meanwhile.
func (p *phases) timings(total time.Duration) execution.Timings {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := execution.Timings{TTFB: p.ttfb, Total: &total}
	if !p.reused {
		t.DNS, t.Connect, t.TLS = p.dns, p.connect, p.tls
	}
	return t
}
