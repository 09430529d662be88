package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// identity is the outcome of looking at a request's bearer token.
type identity struct {
	principal account.Principal
	known     bool
	err       error // why it is not known; nil where no token was sent
}

// exempt reports a path that is answered without looking at who asks: health
// checks, which must not depend on the database, and the documentation.
func exempt(path string) bool {
	return path == "/health" || strings.HasPrefix(path, "/health/") ||
		path == "/api/docs" || strings.HasPrefix(path, "/api/docs/") || path == "/api/docs-json"
}

// identify looks up who sends the request, once, before it is known what is
// asked for, and counts the request. It refuses those who ask too often; who
// may do what is authorise's part.
func (s *server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if exempt(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		info := infoOf(r.Context())
		if token, sent := bearerToken(r.Header); sent {
			info.bearer = token
			principal, err := s.Accounts.Authenticate(r.Context(), token)
			info.identity = identity{principal: principal, known: err == nil, err: err}
			if err == nil {
				info.userID = principal.User.ID
			}
		} else if ticket, sent := streamTicket(r); sent {
			principal, err := s.Accounts.AuthenticateTicket(r.Context(), ticket)
			info.identity = identity{principal: principal, known: err == nil, err: err}
			info.userID = principal.User.ID
		}
		s.limitRequests(w, r, next)
	})
}

// bearerToken reads the Authorization header. A header of another scheme, or
// several of them, is a token that nobody issued.
func bearerToken(header http.Header) (token string, sent bool) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

// authorise lets through who may call the route.
func (s *server) authorise(needs account.Role, scope account.Scope) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		if err := permit(infoOf(hc.Context()).identity, needs, scope); err != nil {
			r, w := humachi.Unwrap(hc)
			if errors.Is(err, account.ErrTicketExpired) {
				// What ends an EventSource, which otherwise asks for ever.
				w.WriteHeader(http.StatusNoContent)
				return
			}
			s.writeError(w, r, err)
			return
		}
		next(hc)
	}
}

// permit is the whole rule: public routes take everybody, the others those
// whose role includes the route's; where they sent an API token, that must be
// good for the route as well.
func permit(who identity, needs account.Role, scope account.Scope) error {
	switch {
	case needs == public:
		return nil
	case who.err != nil:
		return who.err
	case !who.known:
		return errNoToken
	case !who.principal.User.Role.Includes(needs):
		return errRole
	case who.principal.Token == nil:
		return nil
	case scope == signedIn:
		return errSignedIn
	case !who.principal.Token.Allows(scope):
		return apperr.Newf(apperr.Forbidden, "The API token has not the scope %s.", scope)
	default:
		return nil
	}
}

var (
	errNoToken  = apperr.New(apperr.Unauthenticated, "Sign in first: this request needs a bearer token.")
	errSignedIn = apperr.New(apperr.Forbidden, "API tokens are not taken here: sign in with your password.")
	errRole     = apperr.New(apperr.Forbidden, "Your role does not allow this.")
)

// principal is who sends the request; only on routes that are not public.
func principal(ctx context.Context) account.Principal {
	return infoOf(ctx).identity.principal
}
