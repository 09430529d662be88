package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

// Deps is what the handlers call.
type Deps struct {
	Accounts   AccountService
	Categories *job.Categories
	Jobs       *job.Service
	Secrets    *job.Secrets
	Runner     Runner
	History    HistoryReader
	Summaries  Summaries
	Remover    Remover
	Replies    Replies
	Audit      AuditLog
	Health     Health
	// CORSOrigins are the exact origins that browsers may call from.
	CORSOrigins []string
	// StreamWait is how long a request for news waits for some.
	StreamWait time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time
	// Log receives the access log and the text of internal errors; nil means
	// slog's default.
	Log *slog.Logger
}

// AccountService signs people in and keeps their accounts. Its errors bear
// apperr codes: Unauthenticated for bad credentials and tokens, Invalid with
// fields, Conflict for an e-mail that is taken.
type AccountService interface {
	Authenticate(ctx context.Context, accessToken string) (account.Principal, error)
	Login(ctx context.Context, in account.Login) (account.SignedIn, error)
	// Refresh tells charge whom the request counts against, before it changes
	// anything: the user whom a genuine token names, or 0.
	Refresh(ctx context.Context, refreshToken string, charge func(ctx context.Context, userID int64) error) (account.SignedIn, error)
	// Logout ends the sessions that the tokens name, either of which may be
	// ""; a token that is unknown or over is no error.
	Logout(ctx context.Context, accessToken, refreshToken string) error
	UpdateProfile(ctx context.Context, userID int64, change account.ProfileChange) (account.User, error)
	ChangePassword(ctx context.Context, who account.Principal, current, replacement string) (account.SignedIn, error)

	ListUsers(ctx context.Context, filter account.UserFilter) ([]account.User, int, error)
	User(ctx context.Context, id int64) (account.User, error)
	CreateUser(ctx context.Context, in account.UserInput) (account.User, error)
	ChangeUser(ctx context.Context, actor account.Principal, id int64, in account.UserInput, versions []int) (account.User, error)
	DeactivateUser(ctx context.Context, actor account.Principal, id int64, versions []int) error
	Register(ctx context.Context, email, name, password string) (account.User, error)
	// MayRegister answers Forbidden where nobody may register.
	MayRegister() error
	ListSessions(ctx context.Context, userID int64, offset, limit int) ([]account.Session, int, error)
	EndSession(ctx context.Context, userID, sessionID int64) error

	CreateToken(ctx context.Context, who account.Principal, in account.TokenInput) (token account.APIToken, text string, err error)
	ListTokens(ctx context.Context, userID int64, offset, limit int) ([]account.APIToken, int, error)
	RevokeToken(ctx context.Context, userID, tokenID int64) error

	// IssueTicket makes a ticket for the stream; AuthenticateTicket tells who
	// holds one, and account.ErrTicketExpired of one that was good.
	IssueTicket(who account.Principal) (string, error)
	AuthenticateTicket(ctx context.Context, ticket string) (account.Principal, error)

	// Holder is the user that a token was issued to, be it expired or over.
	Holder(ctx context.Context, token string) (userID int64, ours bool)
	// CountUser and CountAddress count a request against a rate limit:
	// TooManyRequests where there were too many, Unavailable where the request
	// could be counted neither in the database nor by this instance.
	CountUser(ctx context.Context, userID int64) (account.Allowance, error)
	CountAddress(ctx context.Context, address string) (account.Allowance, error)
}

// Runner runs a job now, or makes an earlier execution's call once more, and
// returns the run as it was recorded. It answers Conflict where the job must not
// overlap and a run is in progress, or is deleted while its execution is not,
// and NotFound where there is no such job or execution.
type Runner interface {
	RunNow(ctx context.Context, jobID, userID int64) (execution.Execution, error)
	Replay(ctx context.Context, executionID, userID int64) (execution.Execution, error)
}

// HistoryReader reads executions. Get answers NotFound where there is none.
type HistoryReader interface {
	List(ctx context.Context, q execution.Query) (execution.Page, error)
	Get(ctx context.Context, id int64) (execution.Execution, error)
	// News lists what has changed since a change, in bounded parts.
	News(ctx context.Context, q execution.Query, after execution.Change) (execution.News, error)
}

// Summaries reads what executions add up to. Spans of time are whole hours in
// UTC, without their end.
type Summaries interface {
	// Totals leaves out categories of which nothing ended.
	Totals(ctx context.Context, from, to time.Time) (job.Totals, error)
	// Timeline is between each of the bounds and the next.
	Timeline(ctx context.Context, bounds []time.Time) ([]execution.Summary, error)
	OfJob(ctx context.Context, jobID int64, from, to time.Time) (execution.Summary, error)
	// UnderWay counts what is due by now and has not ended: of a job, or of all
	// at 0.
	UnderWay(ctx context.Context, jobID int64, from, to, now time.Time) (execution.UnderWay, error)
	Counts(ctx context.Context) (job.Counts, error)
	// Recent are the newest executions that are due by now, without attempts.
	Recent(ctx context.Context, now time.Time, limit int) ([]execution.Execution, error)
	Upcoming(ctx context.Context, now time.Time, limit int) ([]job.Upcoming, error)
	Failing(ctx context.Context, limit int) ([]job.Failing, error)
}

// Remover removes executions that have ended and whose instant lies before a
// time, a batch at a time while more says so. It answers how many, and whether
// these were all.
type Remover interface {
	RemoveBefore(ctx context.Context, before time.Time, more func() bool) (removed int, all bool, err error)
}

// Health checks what the API cannot do without; each answers nil where it is
// up. The error's text is logged, never shown.
type Health interface {
	Database(ctx context.Context) error
	Queue(ctx context.Context) error
}

// server holds the handlers, one file for each resource.
type server struct {
	Deps
	log      *slog.Logger
	router   *chi.Mux
	api      huma.API
	accesses []access
	// checkedLater are the texts whose bounds the domain checks.
	checkedLater map[*huma.Schema]bool
}

// access is who may call a route: a row of the matrix that routes.go spells
// out.
type access struct {
	Method, Path string
	Needs        account.Role
	Scope        account.Scope // of an API token; "": it takes none
}

func (s *server) now() time.Time { return s.Now() }

// New assembles the API.
func New(deps Deps) http.Handler { return newServer(deps).handler() }

func newServer(deps Deps) *server {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &server{Deps: deps, log: deps.Log, router: chi.NewRouter(), checkedLater: map[*huma.Schema]bool{}}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.api = humachi.New(s.router, apiConfig())
	s.router.NotFound(s.notFound)
	s.router.MethodNotAllowed(s.methodNotAllowed)
	s.routes()
	s.keepApart()
	s.serveDocs()
	return s
}

// handler is the way of a request, from the outside in.
func (s *server) handler() http.Handler {
	var h http.Handler = s.router
	for _, around := range []func(http.Handler) http.Handler{
		compress,
		s.identify,
		answerHead,
		forgiveSlash,
		allowOrigins(s.CORSOrigins),
		secureHeaders,
		s.recoverPanics,
		s.logAccess,
		s.identifyRequest,
	} {
		h = around(h)
	}
	return h
}
