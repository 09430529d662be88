package httpapi

import (
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/account"
)

// mayCall is the matrix of roles in prose's words rather than the table's, so
// that the two hold each other: viewers read and preview and keep their own
// account; operators do all but users, secrets and audit; admins everything.
func mayCall(role account.Role, method, path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case first == "health", path == "/auth/login", path == "/auth/refresh", path == "/auth/logout", path == "/auth/register":
		return true
	case role == "":
		return false
	case first == "users", first == "secrets", first == "audit", method == "DELETE" && path == "/history":
		return role == account.Admin
	case first == "auth", path == "/schedules/preview":
		return true
	case method == "GET" && path != "/jobs/export":
		return true
	default:
		return role != account.Viewer
	}
}

func TestEveryRouteForEveryRole(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, nil)
	api := tr.handler()
	if len(tr.accesses) < 20 {
		t.Fatalf("only %d routes: the table was not read", len(tr.accesses))
	}
	for _, a := range tr.accesses {
		for _, role := range append([]account.Role{""}, account.Roles...) {
			var headers []string
			if role != "" {
				headers = []string{"Authorization", as(role)}
			}
			// A parameter of no route ends every request that is let in.
			got := send(t, api, a.Method, strings.ReplaceAll(a.Path, "{id}", "1")+"?no-such=1", "", headers...)
			want := 400
			switch {
			case mayCall(role, a.Method, a.Path):
			case role == "":
				want = 401
			default:
				want = 403
			}
			if got.StatusCode != want {
				t.Errorf("%s %s as %q: %d, want %d", a.Method, a.Path, role, got.StatusCode, want)
			}
		}
	}
}
