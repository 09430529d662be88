package sqsserver

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
)

// Transport returns a round tripper that hands every request to the server
// within the process, whatever host it names. A test can so run a client and
// the server under one virtual clock, which sockets do not allow.
func (s *Server) Transport() http.RoundTripper { return inProcess{server: s} }

type inProcess struct{ server *Server }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.WithContext(r.Context()) // a copy, for a round tripper leaves its request alone
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	defer func() { _ = r.Body.Close() }()
	recorded := &recorder{header: make(http.Header), status: http.StatusOK}
	t.server.ServeHTTP(recorded, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if recorded.hungUp {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{
		StatusCode: recorded.status, Status: http.StatusText(recorded.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: recorded.header, Body: io.NopCloser(&recorded.body),
		ContentLength: int64(recorded.body.Len()), Request: r,
	}, nil
}

// recorder keeps an answer; it can be hijacked only to be closed.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	hungUp bool
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.hungUp = true
	ours, theirs := net.Pipe()
	return ours, nil, theirs.Close()
}
