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
	route(s, "GET", "/health", public, "health", "Is the service well", s.health)
	route(s, "GET", "/health/live", public, "health", "Is the process alive", s.live)
	route(s, "GET", "/health/ready", public, "health", "Can requests be answered", s.ready)
}
