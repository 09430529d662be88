package executor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// errTooLarge is an answer of more than maxBody.
var errTooLarge = errors.New("the answer's body is larger than 1 MiB")

// read takes what is kept of an answer and closes it. The connection goes back
// to the pool only when the body was read to its end.
func read(response *http.Response) (*execution.Response, error) {
	defer func() { _ = response.Body.Close() }()
	kept := &execution.Response{Status: response.StatusCode, Headers: response.Header}
	// One byte more than is kept tells whether there is more.
	body, err := io.ReadAll(io.LimitReader(response.Body, execution.MaxResponseBody+1))
	if len(body) > execution.MaxResponseBody {
		kept.Truncated = true
		body = body[:execution.MaxResponseBody]
	}
	kept.Body = body
	if err == nil && kept.Truncated {
		var rest int64
		rest, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody-execution.MaxResponseBody))
		if err == nil && rest == maxBody-execution.MaxResponseBody {
			err = errTooLarge
		}
	}
	return kept, err
}

// judge says whether an answer is a success.
func judge(response *execution.Response) *execution.Failure {
	status := response.Status
	switch {
	case status >= 200 && status <= 299:
		return nil
	case status == 301 || status == 302 || status == 303 || status == 307 || status == 308:
		return &execution.Failure{
			Kind:    execution.ErrRedirect,
			Message: fmt.Sprintf("The target answered with a redirect (%d) that the job does not follow; see maxRedirects.", status),
		}
	default:
		return &execution.Failure{Kind: execution.ErrHTTPStatus, Message: strings.TrimSpace(fmt.Sprintf("The target answered %d %s", status, http.StatusText(status))) + "."}
	}
}

// retryAfter reads the header in both its forms.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// classify says what kind of failure an error is, in words that are safe to
// show: no addresses behind a name, no text of the target.
func classify(ctx context.Context, err error) *execution.Failure {
	failure := func(kind execution.ErrorKind, message string) *execution.Failure {
		return &execution.Failure{Kind: kind, Message: message}
	}
	var (
		dns      *net.DNSError
		redirect redirectError
		secret   secretError
	)
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return failure(execution.ErrBlockedAddress, "The target's address is in a network that jobs may not call.")
	case errors.As(err, &redirect):
		return failure(execution.ErrRedirect, redirect.message)
	case errors.As(err, &secret):
		return failure(execution.ErrBlockedSecret, secret.message)
	case errors.Is(err, errTooLarge):
		return failure(execution.ErrTooLarge, "The answer's body is larger than 1 MiB.")
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errCallTimeout) {
			return failure(execution.ErrTimeout, "The target did not answer within the job's timeout.")
		}
		return failure(execution.ErrCancelled, "The worker that made the call had to stop before the target answered.")
	}
	switch {
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return failure(execution.ErrDNS, "The target's host name does not exist.")
		}
		return failure(execution.ErrDNS, "The target's host name could not be resolved.")
	case isTLS(err):
		return failure(execution.ErrTLS, "No secure connection could be made: "+tlsReason(err)+".")
	case isDial(err):
		return failure(execution.ErrConnect, "No connection could be made: "+dialReason(err)+".")
	case strings.Contains(err.Error(), "response headers exceeded"), strings.Contains(err.Error(), "header list larger"):
		return failure(execution.ErrTooLarge, "The answer's header is larger than 64 KiB.")
	case isReset(err):
		return failure(execution.ErrReset, "The target closed the connection before it had answered.")
	default:
		return failure(execution.ErrProtocol, "The target's answer is not valid HTTP.")
	}
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) || strings.Contains(err.Error(), "tls: ")
}

func tlsReason(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return "the certificate is signed by an unknown authority"
	case errors.As(err, &hostname):
		return "the certificate is for another host name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet"
	case errors.As(err, &invalid):
		return "the certificate is not valid"
	case errors.As(err, &record):
		return "the target does not speak TLS"
	default:
		return "the handshake failed"
	}
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func dialReason(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the target refused it"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "the target cannot be reached"
	default:
		var network net.Error
		if errors.As(err, &network) && network.Timeout() {
			return "the target did not accept it in time"
		}
		return "the network refused it"
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "server closed idle connection")
}
