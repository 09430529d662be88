package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/cors"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// logAccess writes one line a request: never a query's values, a header's or a
// body's.
func (s *server) logAccess(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(seen, r)
		info := infoOf(r.Context())
		status := seen.Status()
		if status == 0 {
			status = http.StatusOK
		}
		attrs := []slog.Attr{
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.Int("status", status),
			slog.Float64("durationMs", float64(s.now().Sub(info.started).Microseconds())/1000),
			slog.Int("bytes", seen.BytesWritten()),
			slog.String("requestId", info.id),
		}
		if info.userID != 0 {
			attrs = append(attrs, slog.Int64("userId", info.userID))
		}
		if token := info.identity.principal.Token; token != nil {
			attrs = append(attrs, slog.Int64("tokenId", token.ID))
		}
		if info.hidden != nil {
			attrs = append(attrs, slog.Any("error", info.hidden))
		}
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
	})
}

// recoverPanics turns a panic into a 500 that says nothing of it.
func (s *server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // a sentinel that is compared as net/http does
				panic(cause)
			}
			s.log.LogAttrs(r.Context(), slog.LevelError, "panic",
				slog.String("requestId", infoOf(r.Context()).id),
				slog.String("cause", fmt.Sprint(cause)),
				slog.String("stack", string(debug.Stack())))
			if seen.Status() != 0 {
				// Half an answer must not pass for a whole one.
				panic(http.ErrAbortHandler)
			}
			s.writeError(seen, r, fmt.Errorf("panic: %v", cause))
		}()
		next.ServeHTTP(seen, r)
	})
}

// secureHeaders are on every answer; pages that need a looser policy set their
// own.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// corsMaxAge is how long a browser may keep a preflight's answer, in seconds.
const corsMaxAge = 7200

// allowOrigins answers browsers. The origins are exact; without any, no origin
// is allowed (the library would take an empty list for all).
func allowOrigins(origins []string) func(http.Handler) http.Handler {
	allowed := map[string]bool{}
	for _, origin := range origins {
		allowed[origin] = true
	}
	handler := cors.Handler(cors.Options{
		AllowOriginFunc:  func(_ *http.Request, origin string) bool { return allowed[origin] },
		AllowCredentials: true,
		AllowedMethods: []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		},
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID", "X-Request-Id",
		},
		MaxAge: corsMaxAge,
	})
	return func(next http.Handler) http.Handler {
		return handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				w.Header().Set("Access-Control-Expose-Headers", exposedHeaders)
			}
			next.ServeHTTP(w, r)
		}))
	}
}

// exposedHeaders are those that scripts of a page may read, spelled as they are
// documented; the library would spell them its own way.
const exposedHeaders = "X-Request-Id, ETag, Location, Retry-After, Allow, " +
	"RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Idempotent-Replayed"

// forgiveSlash ignores one slash at the end of the path.
func forgiveSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; len(path) > 1 && strings.HasSuffix(path, "/") {
			trimmed := *r.URL
			trimmed.Path = strings.TrimSuffix(path, "/")
			trimmed.RawPath = strings.TrimSuffix(trimmed.RawPath, "/")
			shallow := *r
			shallow.URL = &trimmed
			r = &shallow
		}
		next.ServeHTTP(w, r)
	})
}

// answerHead serves HEAD as GET without the body.
func answerHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		shallow := *r
		shallow.Method = http.MethodGet
		next.ServeHTTP(&bodiless{ResponseWriter: w}, &shallow)
	})
}

// bodiless drops the body. The headers, Content-Length among them, stay.
type bodiless struct{ http.ResponseWriter }

func (b *bodiless) Write(p []byte) (int, error) { return len(p), nil }

func (b *bodiless) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// notFound answers a path that leads nowhere.
func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	s.writeError(w, r, apperr.New(apperr.NotFound, "There is nothing at this address."))
}

// methodNotAllowed answers a path that has other methods, and names them.
func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	allowed := s.allowedMethods(r)
	if len(allowed) == 0 { // a method that HTTP does not know, at no route
		s.notFound(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.writeError(w, r, apperr.New(apperr.MethodNotAllowed, "This address does not take that method."))
}

func (s *server) allowedMethods(r *http.Request) []string {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	own := s.ownMethods(path)
	var allowed []string
	for _, method := range methods {
		if own != nil && !own[method] || !s.router.Match(chi.NewRouteContext(), method, path) {
			continue
		}
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	return allowed
}

// methods are those that routes have.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// ownMethods are the methods of the routes whose path is exactly this one, with
// nothing variable in it; nil where there are none.
func (s *server) ownMethods(path string) map[string]bool {
	var own map[string]bool
	for _, a := range s.accesses {
		if a.Path == path {
			if own == nil {
				own = map[string]bool{}
			}
			own[a.Method] = true
		}
	}
	return own
}

// keepApart lets an address such as /jobs/bulk answer 405 to what it does not
// take, where the router would take its last part for the id of a job.
func (s *server) keepApart() {
	for _, a := range s.accesses {
		own := s.ownMethods(a.Path)
		for _, method := range methods {
			if !own[method] && !strings.Contains(a.Path, "{") && s.router.Match(chi.NewRouteContext(), method, a.Path) {
				s.router.MethodFunc(method, a.Path, s.methodNotAllowed)
			}
		}
	}
}
