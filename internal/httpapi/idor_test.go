package httpapi

import (
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/account"
)

// own are the kinds of things that belong to one user alone: how one is made,
// and its path.
var own = map[string]func(h *house, token, email string) string{
	"/auth/tokens/{id}": func(h *house, token, _ string) string {
		got := h.call(token, "POST", "/auth/tokens", `{"name":"mine","scopes":["read"],"expiresAt":"2026-02-03T00:00:00Z"}`)
		return "/auth/tokens/" + got.id()
	},
	"/auth/sessions/{id}": func(h *house, _, email string) string {
		return "/auth/sessions/" + h.otherSession(email)
	},
}

// TestNobodyReachesWhatIsAnothers goes through every route of the router's table
// that names a thing of one's own, as every role, with the id of another user's:
// to whoever asks it does not exist, and it is there afterwards as it was.
func TestNobodyReachesWhatIsAnothers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tokens := map[account.Role]string{account.Admin: h.token}
	for _, role := range account.Roles {
		email := string(role) + "@example.com"
		_, err := h.db.ExecContext(t.Context(), `INSERT INTO users (email, name, role, is_active, password_hash, token_version, version, created_at, updated_at)
			SELECT ?, 'V', ?, 1, password_hash, 1, 1, created_at, updated_at FROM users WHERE email = ?`, email, string(role), houseEmail)
		if err != nil {
			t.Fatal(err)
		}
		if role != account.Admin {
			tokens[role] = h.signIn(email, housePassword)
		}
	}
	victimEmail := "admin@example.com" // a second admin
	victim := h.signIn(victimEmail, housePassword)
	tried := 0
	for _, a := range h.accesses {
		if !strings.HasPrefix(a.Path, "/auth/") || !strings.Contains(a.Path, "{") {
			continue
		}
		create, known := own[a.Path]
		if !known {
			t.Errorf("%s names something, and nothing here says whose", a.Path)
			continue
		}
		theirs := create(h, victim, victimEmail)
		for role, token := range tokens {
			tried++
			absent := strings.ReplaceAll(a.Path, "{id}", "9007199254740991")
			got, none := h.call(token, a.Method, theirs, ""), h.call(token, a.Method, absent, "")
			if got.StatusCode != 404 || none.StatusCode != 404 || got.body["message"] != none.body["message"] {
				t.Errorf("%s %s as %s: %d, and %d of what does not exist\n%s", a.Method, a.Path, role, got.StatusCode, none.StatusCode, got.raw)
			}
		}
		if got := h.call(victim, a.Method, theirs, ""); got.StatusCode != 200 {
			t.Errorf("%s %s by its owner: %d", a.Method, a.Path, got.StatusCode)
		}
	}
	if tried < 6 {
		t.Errorf("only %d requests: the table was not read", tried)
	}
	for _, list := range []string{"/auth/tokens", "/auth/sessions"} {
		for role, token := range tokens {
			for _, one := range h.call(token, "GET", list, "").items() {
				var mine int
				table := map[string]string{"/auth/tokens": "api_tokens", "/auth/sessions": "sessions"}[list]
				err := h.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table+" s JOIN users u ON u.id = s.user_id WHERE s.id = ? AND u.email = ?", one["id"], victimEmail).Scan(&mine)
				if err != nil || mine != 0 {
					t.Errorf("%s of %s lists another's: %v %v", list, role, one, err)
				}
			}
		}
	}
}
