package httpapi

import "github.com/cronjobs/cronjobs/internal/account"

// Who may call a route: the role named, and those that include it. A viewer
// reads, an operator also keeps and runs jobs, an admin does everything.
const (
	viewer   = account.Viewer
	operator = account.Operator
	admin    = account.Admin
)

// routes is the route table and, with its fourth column, the matrix of roles.
func (s *server) routes() {
	route(s, "POST", "/auth/login", public, "auth", "Sign in", s.login)
	route(s, "POST", "/auth/refresh", public, "auth", "Exchange a refresh token for a new pair", s.refresh)
	route(s, "POST", "/auth/logout", public, "auth", "End a session", s.logout)
	route(s, "GET", "/auth/me", viewer, "auth", "Read one's own account", s.me)
	route(s, "PATCH", "/auth/me", viewer, "auth", "Change one's own account", s.updateMe)
	route(s, "POST", "/auth/change-password", viewer, "auth", "Change one's own password", s.changePassword)

	route(s, "GET", "/jobs/{id}/history", viewer, "history", "List a job's executions", s.listJobHistory)
	route(s, "GET", "/history", viewer, "history", "List executions", s.listHistory)
	route(s, "GET", "/history/{id}", viewer, "history", "Read an execution with its attempts", s.getExecution)

	route(s, "GET", "/health", public, "health", "Is the service well", s.health)
	route(s, "GET", "/health/live", public, "health", "Is the process alive", s.live)
	route(s, "GET", "/health/ready", public, "health", "Can requests be answered", s.ready)
}
