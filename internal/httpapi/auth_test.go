package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
)

func TestLoginShape(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	got := s.send(t, "POST", "/auth/login", "", `{"email":"Ada@Example.com","password":"correct horse","rememberMe":true}`).must(200)
	data := got.at("data").(map[string]any)
	for _, token := range []string{"accessToken", "refreshToken"} {
		if text, _ := data[token].(string); len(text) < 40 {
			t.Errorf("%s is %v", token, data[token])
		}
		delete(data, token)
	}
	user := data["user"].(map[string]any)
	if id, _ := user["id"].(float64); id < 1 {
		t.Errorf("user.id is %v", user["id"])
	}
	delete(user, "id")
	want := map[string]any{
		"expiresIn": 900.0,
		"user":      map[string]any{"email": adminEmail, "name": "Administrator", "role": "admin"},
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if len(got.header.Values("Set-Cookie")) > 0 {
		t.Error("a cookie is set")
	}
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.tokenOf(t, account.Viewer)
	if _, err := s.db.Exec("UPDATE users SET is_active = 0 WHERE role = 'viewer'"); err != nil {
		t.Fatal(err)
	}
	messages := map[string]bool{}
	for name, tc := range map[string]struct {
		body   string
		status int
		fields []string
	}{
		"wrong password":      {`{"email":"ada@example.com","password":"wrong"}`, 401, nil},
		"unknown":             {`{"email":"eve@example.com","password":"correct horse"}`, 401, nil},
		"deactivated":         {`{"email":"viewer@example.com","password":"correct horse"}`, 401, nil},
		"no address at all":   {`{"email":"' OR ''='","password":"correct horse"}`, 401, nil},
		"empty":               {`{}`, 400, []string{"email", "password"}},
		"blank":               {`{"email":"","password":""}`, 400, []string{"email", "password"}},
		"types":               {`{"email":{"$ne":""},"password":["a"],"rememberMe":"true"}`, 400, []string{"email", "password", "rememberMe"}},
		"null":                {`{"email":null,"password":null}`, 400, []string{"email", "password"}},
		"more than asked for": {`{"email":"ada@example.com","password":"correct horse","role":"admin"}`, 400, []string{"role"}},
		"casing":              {`{"email":"ada@example.com","Password":"correct horse"}`, 400, []string{"Password", "password"}},
		"twice":               {`{"email":"ada@example.com","email":"eve@example.com","password":"x"}`, 400, []string{"email"}},
		"an endless password": {`{"email":"ada@example.com","password":"` + strings.Repeat("x", 1001) + `"}`, 400, []string{"password"}},
	} {
		got := s.send(t, "POST", "/auth/login", "", tc.body)
		if got.status != tc.status {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
		if diff := cmp.Diff(tc.fields, got.fields()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.status == 401 {
			messages[got.text("message")] = true
			if got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: no WWW-Authenticate", name)
			}
		}
	}
	if len(messages) != 1 {
		t.Errorf("refusals can be told apart: %v", messages)
	}
}

func TestRefreshAndLogout(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	in := s.login(t, adminEmail, adminPassword)
	access, refresh := in.text("data", "accessToken"), in.text("data", "refreshToken")
	pair := fmt.Sprintf(`{"refreshToken":%q}`, refresh)

	next := s.send(t, "POST", "/auth/refresh", "", pair).must(200)
	if next.text("data", "refreshToken") == refresh || next.text("data", "user", "email") != adminEmail {
		t.Errorf("refreshed to %s", next.raw)
	}
	lost := s.send(t, "POST", "/auth/refresh", "", pair).must(200)
	if lost.text("data", "refreshToken") != next.text("data", "refreshToken") {
		t.Error("a lost answer got another successor")
	}
	for name, body := range map[string]string{"nonsense": `{"refreshToken":"nonsense"}`, "an access token": fmt.Sprintf(`{"refreshToken":%q}`, access)} {
		if got := s.send(t, "POST", "/auth/refresh", "", body); got.status != 401 {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	if got := s.send(t, "POST", "/auth/refresh", "", `{}`).must(400); !cmp.Equal(got.fields(), []string{"refreshToken"}) {
		t.Errorf("fields %v", got.fields())
	}

	s.send(t, "GET", "/auth/me", access, "").must(200)
	out := s.send(t, "POST", "/auth/logout", access, "").must(200)
	if out.at("data") != nil || out.body["success"] != true {
		t.Errorf("logout answers %s", out.raw)
	}
	s.send(t, "GET", "/auth/me", access, "").must(401)
	s.send(t, "POST", "/auth/refresh", "", fmt.Sprintf(`{"refreshToken":%q}`, next.text("data", "refreshToken"))).must(401)
	s.send(t, "POST", "/auth/logout", access, "").must(200)
	s.send(t, "POST", "/auth/logout", access, "{}").must(200)

	again := s.login(t, adminEmail, adminPassword)
	s.send(t, "POST", "/auth/logout", "", fmt.Sprintf(`{"refreshToken":%q}`, again.text("data", "refreshToken"))).must(200)
	s.send(t, "GET", "/auth/me", again.text("data", "accessToken"), "").must(401)
	if got := s.send(t, "POST", "/auth/logout", "", "").must(400); !cmp.Equal(got.fields(), []string{"refreshToken"}) {
		t.Errorf("fields %v", got.fields())
	}
}

func TestAccessTokensExpireAndFollowTheUser(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, spoil := range map[string]string{
		"deactivated":   "UPDATE users SET is_active = 0",
		"other version": "UPDATE users SET is_active = 1, token_version = token_version + 1",
		"session over":  "UPDATE sessions SET ended_at = NOW(3)",
	} {
		token := s.tokenOf(t, account.Admin)
		s.send(t, "GET", "/auth/me", token, "").must(200)
		if _, err := s.db.Exec(spoil); err != nil {
			t.Fatal(err)
		}
		if got := s.send(t, "GET", "/auth/me", token, ""); got.status != 401 {
			t.Errorf("%s: %d", name, got.status)
		}
		if _, err := s.db.Exec("UPDATE users SET is_active = 1"); err != nil {
			t.Fatal(err)
		}
	}
	token := s.tokenOf(t, account.Admin)
	s.advance(15*time.Minute + 6*time.Second)
	s.send(t, "GET", "/auth/me", token, "").must(401)
	s.send(t, "POST", "/auth/logout", token, "").must(200)
}

func TestMe(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	token := s.tokenOf(t, account.Viewer)
	me := s.send(t, "GET", "/auth/me", token, "").must(200)
	data := me.at("data").(map[string]any)
	delete(data, "id")
	want := map[string]any{
		"email": "viewer@example.com", "name": "viewer", "role": "viewer", "isActive": true,
		"lastLoginAt": "2026-01-31T12:00:00.000Z", "createdAt": "2026-01-31T12:00:00.000Z", "updatedAt": "2026-01-31T12:00:00.000Z",
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if me.header.Get("ETag") != `"1"` {
		t.Errorf("ETag %q", me.header.Get("ETag"))
	}

	patch := func(body string, headers ...string) answer {
		return s.send(t, "PATCH", "/auth/me", token, body, headers...)
	}
	if got := patch(`{"name":" Vera "}`, "If-Match", `"1"`).must(200); got.text("data", "name") != "Vera" || got.header.Get("ETag") != `"2"` {
		t.Errorf("renamed: %s %v", got.raw, got.header)
	}
	patch(`{"name":"Eve"}`, "If-Match", `"1"`).must(412)
	patch(`{}`).must(200)
	for body, fields := range map[string][]string{
		`{"role":"admin","isActive":true}`:                   {"role", "isActive"},
		`{"name":null,"email":null}`:                         {"name", "email"},
		`{"name":"","email":"nowhere","id":5}`:               {"name", "id", "email"},
		`{"email":"vera@example.com"}`:                       {"currentPassword"},
		`{"email":"vera@example.com","currentPassword":"x"}`: {"currentPassword"},
	} {
		if diff := cmp.Diff(fields, patch(body).must(400).fields()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	patch(`{"email":"ADA@example.com","currentPassword":"correct horse"}`).must(409)
	moved := patch(`{"email":"Vera@Example.com","currentPassword":"correct horse"}`).must(200)
	if moved.text("data", "email") != "vera@example.com" || moved.text("data", "role") != "viewer" {
		t.Errorf("moved to %s", moved.raw)
	}
	s.login(t, "vera@example.com", adminPassword)
}

func TestChangePasswordOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	signedIn := s.login(t, adminEmail, adminPassword)
	here, elsewhere := signedIn.text("data", "accessToken"), s.tokenOf(t, account.Admin)
	change := func(body string) answer { return s.send(t, "POST", "/auth/change-password", here, body) }
	for body, fields := range map[string][]string{
		`{}`: {"currentPassword", "newPassword"},
		`{"currentPassword":"wrong","newPassword":"battery staple"}`:        {"currentPassword"},
		`{"currentPassword":"correct horse","newPassword":"short"}`:         {"newPassword"},
		`{"currentPassword":"correct horse","newPassword":"password123"}`:   {"newPassword"},
		`{"currentPassword":"correct horse","newPassword":"correct horse"}`: {"newPassword"},
	} {
		got := change(body).must(400)
		if diff := cmp.Diff(fields, got.fields()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
		for _, word := range []string{"battery", "password123", "horse"} {
			if strings.Contains(got.raw, word) {
				t.Errorf("%s: a password is echoed: %s", body, got.raw)
			}
		}
	}
	fresh := change(`{"currentPassword":"correct horse","newPassword":"battery staple"}`).must(200)
	s.send(t, "GET", "/auth/me", fresh.text("data", "accessToken"), "").must(200)
	s.send(t, "GET", "/auth/me", elsewhere, "").must(401)
	s.send(t, "GET", "/auth/me", here, "").must(401)
	s.send(t, "POST", "/auth/refresh", "", fmt.Sprintf(`{"refreshToken":%q}`, signedIn.text("data", "refreshToken"))).must(401)
	again := s.send(t, "POST", "/auth/refresh", "", fmt.Sprintf(`{"refreshToken":%q}`, fresh.text("data", "refreshToken"))).must(200)
	s.send(t, "GET", "/auth/me", again.text("data", "accessToken"), "").must(200)
	s.login(t, adminEmail, "battery staple")
}
