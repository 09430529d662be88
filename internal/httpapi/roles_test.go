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
	case first == "auth", path == "/schedules/preview", path == "/history/stream/ticket":
		return true
	case method == "GET" && path != "/jobs/export":
		return true
	default:
		return role != account.Viewer
	}
}

// tokenMayCall is what a token of an admin may do with a scope, in prose's words
// as well: only people keep users and what is under /auth; execute runs,
// replays, pauses and resumes; read reads and previews; write changes
// categories and jobs.
func tokenMayCall(scope account.Scope, method, path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case mayCall("", method, path):
		return true
	case path == "/auth/me" && method == "GET":
		return scope == account.ReadScope
	case first == "auth" || first == "users" || first == "audit":
		return false
	case method == "GET" || path == "/schedules/preview":
		return scope == account.ReadScope
	case last == "execute" || last == "replay" || last == "pause" || last == "resume":
		return scope == account.ExecuteScope
	default:
		return scope == account.WriteScope && (first == "jobs" || first == "categories")
	}
}

func TestEveryRouteForEveryScope(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, nil)
	api := tr.handler()
	for _, a := range tr.accesses {
		target := strings.ReplaceAll(a.Path, "{id}", "1") + "?no-such=1"
		for _, scope := range append([]account.Scope{"unknown"}, account.Scopes...) {
			want := 403
			if tokenMayCall(scope, a.Method, a.Path) {
				want = 400
			}
			got := send(t, api, a.Method, target, "", "Authorization", "Bearer admin:"+string(scope))
			if got.StatusCode != want {
				t.Errorf("%s %s with %q: %d, want %d", a.Method, a.Path, scope, got.StatusCode, want)
			}
			// A scope adds nothing to the role.
			got = send(t, api, a.Method, target, "", "Authorization", "Bearer viewer:"+string(scope))
			if !mayCall(account.Viewer, a.Method, a.Path) && got.StatusCode != 403 {
				t.Errorf("%s %s with %q of a viewer: %d", a.Method, a.Path, scope, got.StatusCode)
			}
		}
	}
}

func TestTheDocumentSaysWhatTokensNeed(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, nil)
	doc, _ := readDocument(t, tr.handler())
	for _, a := range tr.accesses {
		if a.Needs == public {
			continue
		}
		says := account.Scope("")
		for _, way := range doc.Paths[a.Path][strings.ToLower(a.Method)].Security {
			if scopes, ok := way["apiToken"]; ok {
				says = account.Scope(strings.Join(scopes, " "))
			}
		}
		if says != a.Scope {
			t.Errorf("%s %s: %q is documented, %q is asked for", a.Method, a.Path, says, a.Scope)
		}
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
