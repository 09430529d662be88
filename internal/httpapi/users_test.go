package httpapi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
)

const gracePassword = "battery staple"

// grace makes a user of the role and returns her path.
func (s *system) grace(t *testing.T, admin, role string) string {
	t.Helper()
	body := fmt.Sprintf(`{"email":" Grace@Example.com","name":" Grace ","password":%q,"role":%q}`, gracePassword, role)
	return s.send(t, "POST", "/users", admin, body).must(201).header.Get("Location")
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	created := s.send(t, "POST", "/users", admin,
		`{"email":" Grace@Example.com","name":" Grace ","password":"battery staple","role":"operator"}`).must(201)
	data := created.at("data").(map[string]any)
	if created.header.Get("Location") != "/users/"+fmt.Sprintf("%.0f", data["id"]) || created.header.Get("ETag") != `"1"` {
		t.Errorf("headers: %v", created.header)
	}
	delete(data, "id")
	want := map[string]any{
		"email": "grace@example.com", "name": "Grace", "role": "operator", "isActive": true, "lastLoginAt": nil,
		"createdAt": "2026-01-31T12:00:00.000Z", "updatedAt": "2026-01-31T12:00:00.000Z",
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	s.login(t, "grace@example.com", gracePassword)
	s.send(t, "POST", "/users", admin,
		`{"email":"GRACE@example.com","name":"Other","password":"battery staple","role":"viewer"}`).must(409)
	if got := s.send(t, "PATCH", created.header.Get("Location"), admin, `{"email":"`+adminEmail+`"}`).must(409).fields(); !cmp.Equal(got, []string{"email"}) {
		t.Errorf("what is taken: %v", got)
	}
	for name, tc := range map[string]struct {
		body   string
		fields []string
	}{
		"empty":    {`{}`, []string{"email", "name", "password", "role"}},
		"all bad":  {`{"email":"grace","name":" ","password":"password","role":"root"}`, []string{"name", "role", "email", "password"}},
		"in form":  {`{"email":"eve","name":" ","password":"password1","role":"viewer"}`, []string{"name", "email", "password"}},
		"too much": {`{"email":"eve@example.com","name":"Eve","password":"battery staple","role":"viewer","tokenVersion":9}`, []string{"tokenVersion"}},
	} {
		if got := s.send(t, "POST", "/users", admin, tc.body).must(400); !cmp.Equal(got.fields(), tc.fields) {
			t.Errorf("%s: fields %v, want %v", name, got.fields(), tc.fields)
		}
	}
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	for _, name := range []string{"Zoe", "bob", "Émile_%"} {
		s.advance(time.Second)
		s.send(t, "POST", "/users", admin, fmt.Sprintf(`{"email":"%c@example.org","name":%q,"password":"battery staple","role":"viewer"}`, name[0]&0x7f, name)).must(201)
	}
	s.send(t, "DELETE", "/users/"+strings.TrimPrefix(s.send(t, "GET", "/users?search=bob", admin, "").must(200).text("data", 0, "id"), " "), admin, "").must(200)
	for query, want := range map[string][]string{
		"":                          {"Administrator", "Zoe", "bob", "Émile_%"},
		"?sortOrder=desc":           {"Émile_%", "bob", "Zoe", "Administrator"},
		"?sortBy=name":              {"Administrator", "bob", "Émile_%", "Zoe"},
		"?sortBy=role":              {"Administrator", "Zoe", "bob", "Émile_%"},
		"?sortBy=createdAt&limit=2": {"Administrator", "Zoe"},
		"?limit=2&page=2":           {"bob", "Émile_%"},
		"?search=ZOE":               {"Zoe"},
		"?search=ADA%40":            {"Administrator"},
		"?search=%25":               {"Émile_%"},
		"?role=admin":               {"Administrator"},
		"?isActive=false":           {"bob"},
		"?isActive=true&limit=1":    {"Administrator"},
		"?search=nobody":            nil,
	} {
		got := s.send(t, "GET", "/users"+query, admin, "").must(200)
		var names []string
		for _, one := range got.at("data").([]any) {
			names = append(names, one.(map[string]any)["name"].(string))
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	if got := s.send(t, "GET", "/users?limit=3", admin, ""); got.text("meta", "total") != "4" || got.text("meta", "lastPage") != "2" {
		t.Errorf("meta: %s", got.text("meta"))
	}
	s.send(t, "GET", "/users?isActive=1&role=root&sortBy=passwordHash", admin, "").must(400)
}

func TestChangeUser(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	path := s.grace(t, admin, "viewer")
	s.advance(time.Second)

	patched := s.send(t, "PATCH", path, admin, `{"name":"Grace H."}`, "If-Match", `"1"`).must(200)
	if patched.text("data", "name") != "Grace H." || patched.header.Get("ETag") != `"2"` ||
		patched.text("data", "updatedAt") != "2026-01-31T12:00:01.000Z" {
		t.Errorf("patched: %s", patched.raw)
	}
	s.send(t, "PATCH", path, admin, `{"name":"Late"}`, "If-Match", `"1"`).must(412)
	s.send(t, "DELETE", path, admin, "", "If-Match", `"1"`).must(412)
	if same := s.send(t, "PATCH", path, admin, `{"name":"Grace H."}`).must(200); same.header.Get("ETag") != `"2"` {
		t.Errorf("a change of nothing moves the version to %s", same.header.Get("ETag"))
	}
	s.send(t, "PATCH", path, admin, `{"email":"ada@example.com"}`).must(409)
	s.send(t, "PATCH", path, admin, `{"role":null,"isActive":null}`).must(400)

	s.send(t, "PATCH", path, admin, `{"isActive":false}`).must(200)
	replaced := s.send(t, "PUT", path, admin, `{"email":"hopper@example.com","name":"Hopper","role":"operator"}`).must(200)
	if replaced.at("data", "isActive") != true || replaced.text("data", "role") != "operator" {
		t.Errorf("replaced: %s", replaced.raw)
	}
	s.login(t, "hopper@example.com", gracePassword) // PUT without a password keeps it
	if got := s.send(t, "PUT", path, admin, `{"name":"x"}`).must(400); !cmp.Equal(got.fields(), []string{"email", "role"}) {
		t.Errorf("fields %v", got.fields())
	}
	for _, method := range []string{"GET", "DELETE"} {
		s.send(t, method, "/users/9007199254740991", admin, "").must(404)
	}
	s.send(t, "PATCH", "/users/9007199254740991", admin, `{"name":"x"}`).must(404)
}

func TestSessionsEndOnChange(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method, body string
		ends         bool
	}{
		"name":         {"PATCH", `{"name":"Other","email":"other@example.com"}`, false},
		"same role":    {"PATCH", `{"role":"operator","isActive":true}`, false},
		"lesser role":  {"PATCH", `{"role":"viewer"}`, true},
		"greater role": {"PATCH", `{"role":"admin"}`, true},
		"password":     {"PATCH", `{"password":"another phrase"}`, true},
		"inactive":     {"PATCH", `{"isActive":false}`, true},
		"removed":      {"DELETE", ``, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			admin := s.tokenOf(t, account.Admin)
			path := s.grace(t, admin, "operator")
			in := s.login(t, "grace@example.com", gracePassword)
			s.send(t, tc.method, path, admin, tc.body).must(200)
			want := 200
			if tc.ends {
				want = 401
			}
			s.send(t, "GET", "/auth/me", in.text("data", "accessToken"), "").must(want)
			s.send(t, "POST", "/auth/refresh", "", fmt.Sprintf(`{"refreshToken":%q}`, in.text("data", "refreshToken"))).must(want)
			s.send(t, "GET", "/auth/me", admin, "").must(200)
		})
	}
}

// TestTheInactiveAreLockedOut finds a user inactive whose sessions and tokens were
// not ended with it, as where somebody has changed the row by hand.
func TestTheInactiveAreLockedOut(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.grace(t, s.tokenOf(t, account.Admin), "operator")
	in := s.login(t, "grace@example.com", gracePassword)
	access, refresh := in.text("data", "accessToken"), fmt.Sprintf(`{"refreshToken":%q}`, in.text("data", "refreshToken"))
	token := s.send(t, "POST", "/auth/tokens", access, `{"name":"t","scopes":["read"],"expiresAt":"2026-02-28T00:00:00Z"}`).must(201).text("data", "token")
	ticket := s.send(t, "POST", "/history/stream/ticket", access, "").must(200).text("data", "url")
	s.send(t, "GET", ticket, "", "").must(200)
	insert(t, s.db, "UPDATE users SET is_active = 0 WHERE email = 'grace@example.com'")
	s.send(t, "GET", "/jobs", access, "").must(401)
	s.send(t, "GET", "/jobs", token, "").must(401)
	s.send(t, "GET", ticket, "", "").must(401)
	s.send(t, "POST", "/auth/refresh", "", refresh).must(401)
	s.send(t, "POST", "/auth/login", "", fmt.Sprintf(`{"email":"grace@example.com","password":%q}`, gracePassword)).must(401)
	insert(t, s.db, "UPDATE users SET is_active = 1 WHERE email = 'grace@example.com'")
	s.send(t, "GET", "/jobs", access, "").must(200)
	s.send(t, "GET", "/jobs", token, "").must(200)
}

func TestNobodyRemovesThemselves(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	admin := s.tokenOf(t, account.Admin)
	s.grace(t, admin, "admin")
	self := "/users/" + fmt.Sprintf("%.0f", s.send(t, "GET", "/auth/me", admin, "").at("data", "id"))
	s.send(t, "DELETE", self, admin, "").must(409)
	s.send(t, "PATCH", self, admin, `{"role":"operator"}`).must(409)
	s.send(t, "PATCH", self, admin, `{"isActive":false}`).must(409)
	s.send(t, "PUT", self, admin, `{"email":"ada@example.com","name":"Ada","role":"viewer"}`).must(409)
	s.send(t, "PATCH", self, admin, `{"name":"Ada","role":"admin"}`).must(200)
	// Nor, with no more than a session, one's own password or address.
	for target, body := range map[string]string{
		"PATCH, a password": `{"password":"battery staple"}`,
		"PATCH, an address": `{"email":"moved@example.com"}`,
		"PUT, a password":   `{"email":"ada@example.com","name":"Ada","role":"admin","password":"battery staple"}`,
		"PUT, an address":   `{"email":"moved@example.com","name":"Ada","role":"admin"}`,
	} {
		method, _, _ := strings.Cut(target, ",")
		got := s.send(t, method, self, admin, body).must(409)
		if !strings.Contains(got.text("message"), "/auth/") {
			t.Errorf("%s: %s does not say where", target, got.raw)
		}
	}
	s.send(t, "PUT", self, admin, `{"email":" ADA@example.com","name":"Ada","role":"admin"}`).must(200)
	s.login(t, adminEmail, adminPassword)
}

// Two admins remove each other at the same moment: one of them must stay.
func TestOneAdminStays(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	ada := s.tokenOf(t, account.Admin)
	gracePath := s.grace(t, ada, "admin")
	grace := s.login(t, "grace@example.com", gracePassword).text("data", "accessToken")
	adaPath := "/users/" + fmt.Sprintf("%.0f", s.send(t, "GET", "/auth/me", ada, "").at("data", "id"))
	for round := range 5 {
		var wg sync.WaitGroup
		wg.Go(func() { s.send(t, "PATCH", adaPath, grace, `{"role":"viewer"}`) })
		wg.Go(func() { s.send(t, "DELETE", gracePath, ada, "") })
		wg.Wait()
		var admins int
		if err := s.db.QueryRow("SELECT COUNT(*) FROM users WHERE role = 'admin' AND is_active").Scan(&admins); err != nil {
			t.Fatal(err)
		}
		if admins != 1 {
			t.Fatalf("round %d: %d admins are left", round, admins)
		}
		if _, err := s.db.Exec("UPDATE users SET role = 'admin', is_active = 1"); err != nil {
			t.Fatal(err)
		}
		ada = s.tokenOf(t, account.Admin)
		grace = s.login(t, "grace@example.com", gracePassword).text("data", "accessToken")
	}
}

func TestOwnSessions(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	first := s.tokenOf(t, account.Admin)
	viewer := s.tokenOf(t, account.Viewer)
	s.advance(time.Minute)
	second := s.tryLogin(t, adminEmail, adminPassword, "2001:db8::7").must(200).text("data", "accessToken")

	list := s.send(t, "GET", "/auth/sessions", second, "").must(200)
	if list.text("meta", "total") != "2" {
		t.Fatalf("sessions: %s", list.raw)
	}
	newest := list.at("data", 0).(map[string]any)
	id := fmt.Sprintf("%.0f", newest["id"])
	delete(newest, "id")
	want := map[string]any{
		"current": true, "address": "2001:db8::7", "userAgent": "", "remembered": false,
		"createdAt": "2026-01-31T12:01:00.000Z", "lastUsedAt": "2026-01-31T12:01:00.000Z", "expiresAt": "2026-02-01T12:01:00.000Z",
	}
	if diff := cmp.Diff(want, newest); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	s.send(t, "DELETE", "/auth/sessions/"+id, viewer, "").must(404)
	s.send(t, "DELETE", "/auth/sessions/"+id, first, "").must(200)
	s.send(t, "GET", "/auth/me", second, "").must(401)
	s.send(t, "DELETE", "/auth/sessions/"+id, first, "").must(404)
	if left := s.send(t, "GET", "/auth/sessions", first, "").must(200); left.text("meta", "total") != "1" || left.at("data", 0, "current") != true {
		t.Errorf("left: %s", left.raw)
	}
	s.advance(24 * time.Hour)
	if expired := s.login(t, adminEmail, adminPassword).text("data", "accessToken"); s.send(t, "GET", "/auth/sessions", expired, "").text("meta", "total") != "1" {
		t.Error("sessions that have expired are listed")
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	const eve = `{"email":"Eve@example.com","name":"Eve","password":"battery staple"}`
	closed := newSystem(t)
	closed.send(t, "POST", "/auth/register", "", eve).must(403)
	closed.send(t, "POST", "/auth/register", "", `{"email":"eve"}`).must(403) // whatever is sent

	s := newOpenSystem(t)
	if got := s.send(t, "POST", "/auth/register", "", eve).must(201); got.text("data", "role") != "viewer" {
		t.Errorf("registered: %s", got.raw)
	}
	s.login(t, "eve@example.com", "battery staple")
	s.send(t, "POST", "/auth/register", "", eve).must(409)
	got := s.send(t, "POST", "/auth/register", "", `{"email":"eve","name":"","password":"password1","role":"admin"}`).must(400)
	if diff := cmp.Diff([]string{"name", "role", "email", "password"}, got.fields()); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
