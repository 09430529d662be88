package executor

import (
	"crypto/tls"
	"net"
	"net/http"
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
	// MaxIdlePerHost is how many connections to one host are kept for reuse;
	// 0 means 64.
	MaxIdlePerHost int
}

// maxResponseHeader bounds the header of an answer, in bytes.
const maxResponseHeader = 64 << 10

// NewTransport makes the guarded transport: the address that is really
// connected is judged, on every dial, after the name was resolved; so neither a
// literal, a name, a rebinding nor a redirect reaches a private network. There
// is no proxy, and answers are not decompressed.
func NewTransport(opts ClientOptions) *http.Transport {
	var v4, v6 []netip.Prefix
	for _, prefix := range opts.Allow {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Control: guard.Safe}
	perHost := opts.MaxIdlePerHost
	if perHost == 0 {
		perHost = 64
	}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        opts.TLS,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
		// Bounded by each call's own deadline.
		TLSHandshakeTimeout:   0,
		ResponseHeaderTimeout: 0,
		ExpectContinueTimeout: time.Second,
	}
}
