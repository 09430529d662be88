package executor

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"time"

	"code.dny.dev/ssrf"
)

// ClientOptions configure the outbound client.
type ClientOptions struct {
	// Allow are special-purpose addresses that jobs may call all the same.
	Allow []netip.Prefix
	// TLS overrides the trust of targets, for tests; nil means the system's.
	TLS *tls.Config
	// Resolver looks names up, for tests; nil means the system's.
	Resolver *net.Resolver
	// MaxIdlePerHost is how many connections to one host are kept for reuse;
	// 0 means 64.
	MaxIdlePerHost int
}

const (
	// maxResponseHeader bounds the header of an answer, in bytes.
	maxResponseHeader = 64 << 10
	// connectTimeout bounds one connection's dial, its name's look-up included.
	connectTimeout = 30 * time.Second
	// keepIdle is how long an idle connection may be used again. Servers give
	// idle ones up after 2 s and more; a call sent on a connection that its
	// server is just closing would be lost, for it is not sent twice. A burst
	// is over sooner, and a later call connects anew.
	keepIdle = 1500 * time.Millisecond
)

// NewTransport makes the guarded transport: the address that is really
// connected is judged, on every dial, after the name was resolved; so neither a
// literal, a name, a rebinding nor a redirect reaches a private network. There
// is no proxy, and answers are not decompressed.
//
// It speaks HTTP/1.1 alone. Over HTTP/2, http.Transport sends a request again
// by itself when the target refuses or aborts its stream, one connection would
// carry calls of jobs that have nothing to do with each other, and megabytes of
// each answer are buffered before anyone asks for them.
func NewTransport(opts ClientOptions) *Transport {
	var v4, v6 []netip.Prefix
	for _, prefix := range opts.Allow {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	connect := &connector{
		warm:   newWarmConns(),
		dialer: &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second, Control: guard.Safe, Resolver: opts.Resolver},
		tls:    &tls.Config{},
	}
	if opts.TLS != nil {
		connect.tls = opts.TLS.Clone()
	}
	connect.tls.MinVersion = tls.VersionTLS12
	connect.tls.NextProtos = []string{"http/1.1"}
	perHost := opts.MaxIdlePerHost
	if perHost == 0 {
		perHost = 64
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return &Transport{connect: connect, Transport: &http.Transport{
		Proxy:                  nil,
		DialContext:            connect.plain,
		DialTLSContext:         connect.secure,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        keepIdle,
		MaxResponseHeaderBytes: maxResponseHeader,
	}}
}

// Transport is an http.Transport that can be told beforehand which connections
// will be wanted.
type Transport struct {
	*http.Transport
	connect *connector
}

// callKey is where a request's context holds the context of its call.
type callKey struct{}

// withCall lets connections that are made for a call end with it. The
// transport detaches a dial from its request, for the sake of later requests;
// a target that accepts connections and then says nothing would collect one
// for every call.
func withCall(call context.Context) context.Context {
	return context.WithValue(call, callKey{}, call)
}

// connector makes connections.
type connector struct {
	warm   *warmConns
	dialer *net.Dialer
	tls    *tls.Config
}

func (c *connector) plain(ctx context.Context, network, address string) (net.Conn, error) {
	if conn := c.warm.take("http", address); conn != nil {
		return conn, nil
	}
	ctx, cancel := untilCallEnds(ctx)
	defer cancel()
	return c.dialer.DialContext(ctx, network, address)
}

// securedConn hides from the transport that it is a TLS connection: the
// handshake is done and reported.
type securedConn struct{ *tls.Conn }

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ cause error }

func (e handshakeError) Error() string { return "handshake: " + e.cause.Error() }
func (e handshakeError) Unwrap() error { return e.cause }

func (c *connector) secure(ctx context.Context, network, address string) (net.Conn, error) {
	if conn := c.warm.take("https", address); conn != nil {
		return conn, nil
	}
	ctx, cancel := untilCallEnds(ctx)
	defer cancel()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	conn, err := c.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secured, err := c.handshake(ctx, conn, host)
	if err != nil {
		_ = conn.Close()
		return nil, handshakeError{err}
	}
	return secured, nil
}

// handshake makes a connection secure, and reports the phase.
func (c *connector) handshake(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	config := c.tls.Clone()
	config.ServerName = host
	secured := tls.Client(conn, config)
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	err := secured.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(secured.ConnectionState(), err)
	}
	if err != nil {
		return nil, err
	}
	return securedConn{secured}, nil
}

// untilCallEnds ends a dial's context together with the call that wants it.
func untilCallEnds(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	call, ok := ctx.Value(callKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	stop := context.AfterFunc(call, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
