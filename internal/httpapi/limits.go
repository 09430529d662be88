package httpapi

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// limitRequests counts a request before it is served: against the user whose
// token it bears, be it expired, so that those who share an address do not use
// up each other's, and against its address otherwise. Who sends a refresh token
// is known only once it has been looked up, so that route calls charge itself.
func (s *server) limitRequests(w http.ResponseWriter, r *http.Request, next http.Handler) {
	info := infoOf(r.Context())
	charged := false
	info.charge = func(ctx context.Context, userID int64) error {
		if charged {
			return nil
		}
		charged = true
		return s.count(ctx, w.Header(), userID)
	}
	if info.bearer == "" && r.Method == http.MethodPost && r.URL.Path == refreshPath {
		next.ServeHTTP(w, r)
		// What was refused before its handler was reached counts too.
		_ = info.charge(r.Context(), 0)
		return
	}
	if err := info.identity.err; err != nil && !apperr.Is(err, apperr.Unauthenticated) && !strings.HasPrefix(r.URL.Path, "/auth/") {
		// The database is away, and the route is none that a stranger may call:
		// it answers no more than that. The address is not blamed for it.
		next.ServeHTTP(w, r)
		return
	}
	user := info.userID
	if user == 0 && info.bearer != "" {
		user, _ = s.Accounts.Holder(r.Context(), info.bearer)
	}
	if err := info.charge(r.Context(), user); err != nil {
		s.writeError(w, r, err)
		return
	}
	next.ServeHTTP(w, r)
}

const refreshPath = "/auth/refresh"

// count counts a request and tells the client what is left. Where the database
// is away, this instance's own count decides, and a request that not even that
// could count is refused.
func (s *server) count(ctx context.Context, header http.Header, userID int64) error {
	var left account.Allowance
	var err error
	if userID != 0 {
		left, err = s.Accounts.CountUser(ctx, userID)
	} else {
		left, err = s.Accounts.CountAddress(ctx, infoOf(ctx).client.Address)
	}
	if left.Away != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "request counted here alone",
			slog.String("requestId", infoOf(ctx).id), slog.Any("error", left.Away))
	}
	if left.Limit > 0 {
		header.Set("RateLimit-Limit", strconv.Itoa(left.Limit))
		header.Set("RateLimit-Remaining", strconv.Itoa(left.Remaining))
		header.Set("RateLimit-Reset", wholeSeconds(left.Resets))
	}
	return err
}

// wholeSeconds is a duration as headers tell it, never too short.
func wholeSeconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// noCharge is for requests that nobody counts.
func noCharge(context.Context, int64) error { return nil }
