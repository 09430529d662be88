package httpapi

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/cronjobs/cronjobs/internal/account"
)

// requestInfo is what the middleware knows of a request. It is made once, by
// the outermost middleware, and filled in as more becomes known.
type requestInfo struct {
	id      string
	method  string
	path    string // path and query as they were sent; for the client's eyes alone
	started time.Time
	userID  int64
	client  account.Client
	bearer  string // the token that was sent, be it good or not
	// identity is who the bearer token says it is, looked up at most once.
	identity identity
	// charge counts the request against a user, or an address where the user
	// is 0; the first call alone does. See limits.go.
	charge func(ctx context.Context, userID int64) error
	// hidden keeps errors that must be logged but not shown.
	hidden error
}

// note keeps an error for the log.
func (i *requestInfo) note(err error) { i.hidden = err }

type infoKey struct{}

// infoOf returns what is known of the request; never nil.
func infoOf(ctx context.Context) *requestInfo {
	if info, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		return info
	}
	return &requestInfo{charge: noCharge}
}

// acceptableID is what an incoming X-Request-Id must look like to be kept.
var acceptableID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// identifyRequest gives every request its id and its requestInfo.
func (s *server) identifyRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if len(r.Header.Values("X-Request-Id")) != 1 || !acceptableID.MatchString(id) {
			id = newRequestID()
		}
		w.Header().Set("X-Request-Id", id)
		info := &requestInfo{id: id, method: r.Method, path: shownPath(r.URL), started: s.now(), charge: noCharge}
		info.client = account.Client{Address: sourceAddress(r.RemoteAddr), UserAgent: r.UserAgent()}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), infoKey{}, info)))
	})
}

// shownPath is path and query as they were sent, but for a ticket, which is as
// good as a token.
func shownPath(u *url.URL) string {
	query := u.Query()
	if !query.Has("ticket") {
		return u.RequestURI()
	}
	query.Set("ticket", hiddenTicket)
	return u.EscapedPath() + "?" + query.Encode()
}

const hiddenTicket = "hidden"

// sourceAddress is the address of who is connected, without a port. On AWS the
// adapter puts the address there that API Gateway saw. Headers that a client
// can write are never looked at.
func sourceAddress(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

func newRequestID() string {
	id, err := uuid.NewV7()
	if err != nil { // the system's randomness failed; an id is not worth an error
		return "unknown"
	}
	return id.String()
}
