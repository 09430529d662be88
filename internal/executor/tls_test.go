package executor_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// overTLS is a script that speaks TLS first.
func overTLS(config *tls.Config, script func(c *conn)) func(c *conn) {
	return func(c *conn) {
		secured := tls.Server(c.Conn, config)
		if secured.Handshake() != nil || secured.ConnectionState().NegotiatedProtocol == "h2" {
			return // HTTP/2 would be spoken from here on
		}
		script(&conn{Conn: secured, in: bufio.NewReader(secured), target: c.target})
	}
}

func TestCallOverTLS(t *testing.T) {
	t.Parallel()
	known, unknown := newAuthority(t), newAuthority(t)
	fine := answering(ok, "Content-Length: 2\r\n\r\nhi")
	served := func(cert tls.Certificate) func(c *conn) {
		return overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, fine)
	}
	for name, tc := range map[string]struct {
		script  func(c *conn)
		kind    execution.ErrorKind
		message string // a part of it
		status  int
	}{
		"well": {script: served(known.issue(t)), status: 200},
		"of a target that prefers HTTP/2": {
			script: overTLS(&tls.Config{Certificates: []tls.Certificate{known.issue(t)}, NextProtos: []string{"h2", "http/1.1"}}, fine),
			status: 200,
		},
		"of a target without HTTP": {
			script: overTLS(&tls.Config{Certificates: []tls.Certificate{known.issue(t)}, NextProtos: []string{"acme-tls/1"}}, fine),
			kind:   execution.ErrTLS, message: "handshake failed",
		},
		"with an unknown authority": {script: served(unknown.issue(t)), kind: execution.ErrTLS, message: "unknown authority"},
		"with another's certificate": {
			script: served(known.issue(t, func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"example.com"} })),
			kind:   execution.ErrTLS, message: "another host name",
		},
		"with an expired certificate": {
			script: served(known.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })),
			kind:   execution.ErrTLS, message: "expired",
		},
		"with a certificate for clients": {
			script: served(known.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
			kind:   execution.ErrTLS, message: "not valid",
		},
		"of a version that is too old": {
			script: overTLS(&tls.Config{Certificates: []tls.Certificate{known.issue(t)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, fine),
			kind:   execution.ErrTLS, message: "handshake failed",
		},
		"that asks for a client's certificate": {
			script: overTLS(&tls.Config{Certificates: []tls.Certificate{known.issue(t)}, ClientAuth: tls.RequireAnyClientCert}, fine),
			kind:   execution.ErrTLS, message: "handshake failed",
		},
		"of a target that answers plainly": {
			script: func(c *conn) { c.say("HTTP/1.1 400 Bad Request\r\n\r\n"); c.hang() },
			kind:   execution.ErrTLS, message: "does not speak TLS",
		},
		"of a target that closes":                  {script: func(*conn) {}, kind: execution.ErrReset, message: "closed"},
		"of a target that resets":                  {script: func(c *conn) { c.reset() }, kind: execution.ErrReset, message: "closed"},
		"of a target that says nothing":            {script: func(c *conn) { c.hang() }, kind: execution.ErrTimeout},
		"of a target that hangs in its handshake":  {script: func(c *conn) { c.say("\x16\x03\x03\x00\x7a\x02"); c.hang() }, kind: execution.ErrTimeout},
		"of a target that hangs after a handshake": {script: overTLS(&tls.Config{Certificates: []tls.Certificate{known.issue(t)}}, answering()), kind: execution.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := listen(t, tc.script)
			transport := newTransport(t, executor.ClientOptions{TLS: &tls.Config{RootCAs: known.pool()}})
			limit := patience
			if tc.kind == execution.ErrTimeout {
				limit = 150 * time.Millisecond
			}
			attempt := call(t, executor.NewClient(transport, executor.WallClock{}), work("https://"+target.addr+"/", timeout(limit)))
			expect(t, attempt, tc.kind, tc.status, tc.kind != "")
			if attempt.Failure != nil && !strings.Contains(attempt.Failure.Message, tc.message) {
				t.Errorf("the message is %q, want %q in it", attempt.Failure.Message, tc.message)
			}
			if tc.kind == "" && (attempt.Timings.TLS == nil || *attempt.Timings.TLS <= 0) {
				t.Error("the handshake is not measured")
			}
		})
	}
}

func TestCallOfATLSTargetInPlain(t *testing.T) {
	t.Parallel()
	// The first byte tells a request from a handshake; the answer is an alert.
	target := listen(t, func(c *conn) {
		c.request()
		c.say("\x15\x03\x01\x00\x02\x02\x46")
	})
	expect(t, call(t, newClient(t), work("http://"+target.addr+"/")), execution.ErrProtocol, 0, true)
}
