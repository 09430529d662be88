package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
)

// apiToken makes a token that is good for a day, and returns it and its path.
func (s *system) apiToken(t *testing.T, session string, scopes ...string) (token, path string) {
	t.Helper()
	made := s.send(t, "POST", "/auth/tokens", session, fmt.Sprintf(`{"name":"Script","scopes":["%s"],"expiresAt":%q}`,
		strings.Join(scopes, `","`), s.now().Add(24*time.Hour).Format(time.RFC3339))).must(201)
	return made.text("data", "token"), made.header.Get("Location")
}

func TestTokenShape(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	made := s.send(t, "POST", "/auth/tokens", admin,
		`{"name":" Deploy ","scopes":["execute","read"],"expiresAt":"2026-03-01T12:00:00+02:00"}`).must(201)
	token := made.text("data", "token")
	data := made.at("data").(map[string]any)
	want := map[string]any{
		"id": data["id"], "name": "Deploy", "prefix": token[:11], "scopes": []any{"read", "execute"}, "token": token,
		"createdAt": "2026-01-31T12:00:00.000Z", "expiresAt": "2026-03-01T10:00:00.000Z", "lastUsedAt": nil,
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(token, "cj_") || len(token) != 46 || made.header.Get("Location") != fmt.Sprintf("/auth/tokens/%.0f", data["id"]) {
		t.Errorf("%s at %s", token, made.header.Get("Location"))
	}
	delete(want, "token")
	listed := s.send(t, "GET", "/auth/tokens", admin, "").must(200)
	if diff := cmp.Diff([]any{want}, listed.at("data")); diff != "" || listed.text("meta", "total") != "1" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if strings.Contains(listed.raw, token) {
		t.Error("the token is shown again")
	}
	var stored int
	if err := s.db.QueryRow("SELECT COUNT(*) FROM api_tokens WHERE hash = UNHEX(SHA2(?, 256)) AND CONCAT_WS(' ', name, prefix, scopes) NOT LIKE CONCAT('%', ?, '%')",
		token, token[12:]).Scan(&stored); err != nil || stored != 1 {
		t.Errorf("stored %d, %v", stored, err)
	}
	for body, fields := range map[string][]string{
		`{}`: {"name", "scopes", "expiresAt"},
		`{"name":"","scopes":[],"expiresAt":"2026-01-31T12:00:00Z"}`:                                 {"name", "scopes", "expiresAt"},
		`{"name":" ","scopes":["read","admin","read"],"expiresAt":"2027-01-31T12:00:00.001Z"}`:       {"name", "scopes[1]", "scopes[2]", "expiresAt"},
		`{"name":"x","scopes":["read"],"expiresAt":"tomorrow"}`:                                      {"expiresAt"},
		`{"name":"x","scopes":"read","expiresAt":null}`:                                              {"scopes", "expiresAt"},
		`{"name":"x","scopes":["read"],"expiresAt":"2026-02-01T00:00:00Z","token":"cj_mine"}`:        {"token"},
		`{"name":"` + strings.Repeat("x", 101) + `","scopes":[],"expiresAt":"2025-02-01T00:00:00Z"}`: {"name", "scopes", "expiresAt"},
	} {
		if got := s.send(t, "POST", "/auth/tokens", admin, body).must(400); !cmp.Equal(got.fields(), fields) {
			t.Errorf("%s: fields %v, want %v", body, got.fields(), fields)
		}
	}
	s.send(t, "POST", "/auth/tokens", admin, `{"name":"x","scopes":["read"],"expiresAt":"2027-01-31T12:00:00Z"}`).must(201)
}

func TestTokensDoWhatTheirScopesSay(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	read, _ := s.apiToken(t, admin, "read")
	write, _ := s.apiToken(t, admin, "write")
	s.send(t, "GET", "/jobs", read, "").must(200)
	if got := s.send(t, "GET", "/auth/me", read, "").must(200).text("data", "email"); got != adminEmail {
		t.Errorf("it is %s's", got)
	}
	s.send(t, "GET", "/jobs", write, "").must(403)
	s.send(t, "DELETE", "/jobs/1", write, "").must(404)
	if got := s.send(t, "DELETE", "/jobs/1", read, "").must(403).text("message"); !strings.Contains(got, "write") {
		t.Errorf("what is missing is not said: %s", got)
	}
	for _, path := range []string{"/users", "/auth/sessions", "/auth/tokens"} {
		if got := s.send(t, "GET", path, read, "").must(403).text("message"); !strings.Contains(got, "sign in") {
			t.Errorf("%s: what to do is not said: %s", path, got)
		}
	}
	s.send(t, "POST", "/auth/tokens", write, `{}`).must(403)
	s.send(t, "POST", "/auth/change-password", write, `{}`).must(403)
	s.send(t, "POST", "/auth/logout", read, "").must(200) // has no session to end
	s.send(t, "GET", "/jobs", read, "").must(200)
	s.send(t, "GET", "/jobs?token="+read, "", "").must(401)
	s.send(t, "GET", "/jobs?access_token="+read, read, "").must(400)
}

func TestTokensThatAreNoGood(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	good, path := s.apiToken(t, admin, "read")
	s.send(t, "GET", "/jobs", good, "").must(200)
	other := "A"
	if strings.HasSuffix(good, "A") {
		other = "E"
	}
	for name, token := range map[string]string{
		"another": good[:len(good)-1] + other, "cut": good[:45], "longer": good + "A", "mark alone": "cj_", "in capitals": strings.ToUpper(good),
		"without its mark": good[3:], "another mark": "cX_" + good[3:], "padded": good + "=", "no base64": good[:45] + "!",
	} {
		if got := s.send(t, "GET", "/jobs", token, "").must(401); got.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %v", name, got.header)
		}
	}
	s.send(t, "DELETE", path, s.tokenOf(t, account.Viewer), "").must(404)
	s.send(t, "GET", "/jobs", good, "").must(200)
	s.send(t, "DELETE", path, admin, "").must(200)
	s.send(t, "DELETE", path, admin, "").must(404)
	s.send(t, "GET", "/jobs", good, "").must(401)
	if got := s.send(t, "GET", "/auth/tokens", admin, "").text("meta", "total"); got != "0" {
		t.Errorf("%s tokens are listed", got)
	}
	brief, _ := s.apiToken(t, admin, "read")
	s.advance(24*time.Hour - time.Millisecond)
	s.send(t, "GET", "/jobs", brief, "").must(200)
	s.advance(time.Millisecond)
	s.send(t, "GET", "/jobs", brief, "").must(401)
}

func TestTokensFollowTheirOwner(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	path := s.grace(t, admin, "operator")
	signIn := func(password string) string {
		return s.login(t, "grace@example.com", password).text("data", "accessToken")
	}
	token, _ := s.apiToken(t, signIn(gracePassword), "read", "write")
	s.send(t, "DELETE", "/jobs/1", token, "").must(404)

	s.send(t, "PATCH", path, admin, `{"role":"viewer"}`).must(200)
	s.send(t, "DELETE", "/jobs/1", token, "").must(403)
	s.send(t, "GET", "/jobs", token, "").must(200)
	s.send(t, "PATCH", path, admin, `{"role":"operator"}`).must(200)
	s.send(t, "DELETE", "/jobs/1", token, "").must(404)

	const another = "another battery staple"
	s.send(t, "POST", "/auth/change-password", signIn(gracePassword), fmt.Sprintf(`{"currentPassword":%q,"newPassword":%q}`, gracePassword, another)).must(200)
	s.send(t, "GET", "/jobs", token, "").must(200)
	s.send(t, "PATCH", path, admin, fmt.Sprintf(`{"password":%q}`, gracePassword)).must(200)
	s.send(t, "GET", "/jobs", token, "").must(401)

	token, _ = s.apiToken(t, signIn(gracePassword), "read")
	s.send(t, "DELETE", path, admin, "").must(200)
	s.send(t, "GET", "/jobs", token, "").must(401)
	s.send(t, "PATCH", path, admin, `{"isActive":true}`).must(200)
	s.send(t, "GET", "/jobs", token, "").must(401) // what was dead stays dead
}

func TestTokenUseIsNotedToTheMinute(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	token, _ := s.apiToken(t, admin, "read")
	used := func(want string) {
		t.Helper()
		if got := s.send(t, "GET", "/auth/tokens", admin, "").must(200).text("data", 0, "lastUsedAt"); got != want {
			t.Errorf("last used at %s, want %s", got, want)
		}
	}
	used("<nil>")
	s.send(t, "GET", "/jobs", token, "").must(200)
	used("2026-01-31T12:00:00.000Z")
	s.advance(59 * time.Second)
	s.send(t, "GET", "/jobs", token, "").must(200)
	used("2026-01-31T12:00:00.000Z")
	s.advance(time.Second)
	s.send(t, "DELETE", "/jobs/1", token, "").must(403) // refused, and used all the same
	used("2026-01-31T12:01:00.000Z")
}

func TestFiftyTokensAreEnough(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	last := ""
	for range 50 {
		_, last = s.apiToken(t, admin, "read")
	}
	body := `{"name":"x","scopes":["read"],"expiresAt":"2026-06-01T00:00:00Z"}`
	s.send(t, "POST", "/auth/tokens", admin, body).must(409)
	s.send(t, "DELETE", last, admin, "").must(200)
	s.send(t, "POST", "/auth/tokens", admin, body).must(201)
	// Another user's do not count, and those that are long over are forgotten.
	s.send(t, "POST", "/auth/tokens", s.tokenOf(t, account.Viewer), body).must(201)
	s.advance(32 * 24 * time.Hour)
	admin = s.tokenOf(t, account.Admin)
	s.send(t, "POST", "/auth/tokens", admin, body).must(201)
	if got := s.send(t, "GET", "/auth/tokens", admin, "").text("meta", "total"); got != "2" {
		t.Errorf("%s tokens are left", got)
	}
	var rows int
	if err := s.db.QueryRow("SELECT COUNT(*) FROM api_tokens").Scan(&rows); err != nil || rows != 3 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestTokensCountAgainstTheirOwner(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, account.Limits{Address: 3, User: 5, Window: 15 * time.Minute})
	admin := s.tokenOf(t, account.Admin) // one of the address's
	token, path := s.apiToken(t, admin, "read")
	s.send(t, "DELETE", path, admin, "").must(200)
	for range 3 {
		s.send(t, "GET", "/jobs", token, "").must(401) // revoked, and yet its owner's
	}
	s.send(t, "GET", "/jobs", token, "").must(429)
	s.send(t, "GET", "/jobs", admin, "").must(429)
	for range 2 { // the address has two left
		s.send(t, "GET", "/jobs", "cj_"+strings.Repeat("A", 43), "").must(401)
	}
	s.send(t, "GET", "/jobs", "cj_"+strings.Repeat("A", 43), "").must(429)
}
