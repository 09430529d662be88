package executor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/cronjobs/cronjobs/internal/execution"
)

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
	case isBlocked(err):
		return failure(execution.ErrBlockedAddress, "The target's address is in a network that jobs may not call.")
	case errors.As(err, &redirect):
		return failure(execution.ErrRedirect, redirect.message)
	case errors.As(err, &secret):
		return failure(execution.ErrBlockedSecret, secret.message)
	case errors.Is(err, errTooLarge):
		return failure(execution.ErrTooLarge, "The answer's body is larger than 1 MiB.")
	case isUnsendable(err):
		return failure(execution.ErrInternal, "The stored request cannot be sent.")
	}
	// Whatever else is wrong may come of our own breaking off.
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
	case isDial(err):
		return failure(execution.ErrConnect, "No connection could be made: "+dialReason(err)+".")
	case isTLS(err):
		return failure(execution.ErrTLS, "No secure connection could be made: "+tlsReason(err)+".")
	case isHeaderTooLarge(err):
		return failure(execution.ErrTooLarge, "The answer's header is larger than 64 KiB.")
	case isReset(err):
		return failure(execution.ErrReset, "The target closed the connection before it had answered.")
	default:
		return failure(execution.ErrProtocol, "The target's answer is not valid HTTP.")
	}
}

func isBlocked(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort)
}

// isUnsendable reports a request that was refused before anything was sent.
func isUnsendable(err error) bool {
	var request requestError
	return errors.As(err, &request) || strings.HasPrefix(err.Error(), "net/http: invalid ")
}

// isHeaderTooLarge knows the transport's error by its text, for it has no type.
func isHeaderTooLarge(err error) bool {
	return strings.Contains(err.Error(), "net/http: server response headers exceeded")
}

// isTLS reports a failed handshake, or an alert that came after it; but not a
// connection that broke in the middle of it.
func isTLS(err error) bool {
	var (
		handshake handshakeError
		op        *net.OpError
	)
	if errors.As(err, &handshake) {
		return !isReset(handshake.cause)
	}
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
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

// isDial reports a connection that was not made. One that is reset at once may
// look like that, but whether it does is chance.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, syscall.ECONNRESET)
}

func dialReason(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the target refused it"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "the target cannot be reached"
	case errors.As(err, &network) && network.Timeout():
		return "the target did not accept it in time"
	default:
		return "the network refused it"
	}
}

// isReset reports a connection that was closed or lost once it had been made.
func isReset(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "read" || op.Op == "write") {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), "server closed idle connection")
}
