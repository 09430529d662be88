package executor

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// tracer measures the phases of a call's last hop. The transport may dial in
// the background, so its hooks run on other goroutines.
type tracer struct {
	mu                                   sync.Mutex
	start, dnsStart, connStart, tlsStart time.Time
	dns, connect, tls, ttfb              *time.Duration
}

// watch begins a hop.
func (t *tracer) watch(ctx context.Context) context.Context {
	t.mu.Lock()
	t.start = time.Now()
	t.dns, t.connect, t.tls, t.ttfb = nil, nil, nil, nil
	t.mu.Unlock()
	begin := func(at *time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		*at = time.Now()
	}
	end := func(phase **time.Duration, since *time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		took := time.Since(*since)
		*phase = &took
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:             func(httptrace.DNSStartInfo) { begin(&t.dnsStart) },
		DNSDone:              func(httptrace.DNSDoneInfo) { end(&t.dns, &t.dnsStart) },
		ConnectStart:         func(string, string) { begin(&t.connStart) },
		ConnectDone:          func(string, string, error) { end(&t.connect, &t.connStart) },
		TLSHandshakeStart:    func() { begin(&t.tlsStart) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { end(&t.tls, &t.tlsStart) },
		GotFirstResponseByte: func() { end(&t.ttfb, &t.start) },
	})
}

func (t *tracer) timings(total time.Duration) execution.Timings {
	t.mu.Lock()
	defer t.mu.Unlock()
	return execution.Timings{DNS: t.dns, Connect: t.connect, TLS: t.tls, TTFB: t.ttfb, Total: &total}
}
