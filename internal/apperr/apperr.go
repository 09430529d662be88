// Package apperr is the one error type that crosses package borders here: a
// code that says what kind of failure it is, a message that is safe to show to
// a client, and the fields at fault.
//
// It knows nothing of HTTP, SQL or AWS: adapters translate their own errors
// into codes, and the HTTP adapter translates codes into statuses. An error
// without a code is internal, and its text never reaches a client.
package apperr

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the kind of a failure.
type Code string

// The codes, from the client's faults to ours.
const (
	Invalid            Code = "invalid"             // malformed or out of bounds
	Unauthenticated    Code = "unauthenticated"     // no valid credentials
	Forbidden          Code = "forbidden"           // known, but not allowed
	NotFound           Code = "not_found"           // no such thing, or no longer
	MethodNotAllowed   Code = "method_not_allowed"  // the resource exists, the method does not
	Conflict           Code = "conflict"            // name taken, in use, already running
	PreconditionFailed Code = "precondition_failed" // If-Match names another version
	TooLarge           Code = "too_large"           // the body exceeds its limit
	UnsupportedMedia   Code = "unsupported_media"   // the content type is not understood
	TooManyRequests    Code = "too_many_requests"   // a rate limit
	Internal           Code = "internal"            // our fault; text stays inside
	Unavailable        Code = "unavailable"         // the database or queue is away; try again
)

// Field is one fault of the input.
type Field struct {
	// Name is the path of the field without its place ("name",
	// "headers.X-Foo", "jobs[3].cronPattern"); "" means the whole body.
	Name string
	// Message says what is wrong and what to do; it never repeats the value.
	Message string
}

// Covers reports whether the field of that name, something in it or what it is
// in is among the fields.
func Covers(fields []Field, name string) bool {
	within := func(inner, outer string) bool {
		return outer != "" && (strings.HasPrefix(inner, outer+".") || strings.HasPrefix(inner, outer+"["))
	}
	for _, f := range fields {
		if f.Name == name || within(name, f.Name) || within(f.Name, name) {
			return true
		}
	}
	return false
}

// Error is a failure with a code. The zero value is not useful.
type Error struct {
	Code    Code
	Message string // safe to show to a client
	Fields  []Field
	// RetryAfter is how long the client should wait, for TooManyRequests and
	// Unavailable; 0 means unsaid.
	RetryAfter time.Duration
	cause      error
}

// New makes an error with a message that is safe to show.
func New(code Code, message string) *Error {
	return &Error{Code: code, Message: message}
}

// Newf is New with a format; its arguments must be safe to show as well.
func Newf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error with a safe message around a cause that stays inside.
func Wrap(code Code, cause error, message string) *Error {
	return &Error{Code: code, Message: message, cause: cause}
}

// InvalidFields is an Invalid error that names every fault found.
func InvalidFields(fields []Field) *Error {
	message := "The request has a field that is not valid."
	if len(fields) > 1 {
		message = fmt.Sprintf("The request has %d faults.", len(fields))
	}
	return &Error{Code: Invalid, Message: message, Fields: fields}
}

// InvalidField is an Invalid error with one fault.
func InvalidField(name, message string) *Error {
	return InvalidFields([]Field{{Name: name, Message: message}})
}

// Error returns the message with its cause, for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause, which may be nil.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf returns the code of the first Error in err's chain; Internal where
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Is reports whether err bears the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }

// Faults collects the faults of one input, so that all are named at once. The
// zero value is ready to use.
type Faults struct {
	fields []Field
}

// Add notes a fault.
func (f *Faults) Add(name, message string) {
	f.fields = append(f.fields, Field{Name: name, Message: message})
}

// Addf notes a fault with a formatted message.
func (f *Faults) Addf(name, format string, args ...any) {
	f.Add(name, fmt.Sprintf(format, args...))
}

// Has reports whether a fault of that field was noted.
func (f *Faults) Has(name string) bool {
	for _, field := range f.fields {
		if field.Name == name {
			return true
		}
	}
	return false
}

// Err returns an Invalid error with all faults, or nil where there is none.
func (f *Faults) Err() error {
	if len(f.fields) == 0 {
		return nil
	}
	return InvalidFields(f.fields)
}
