package httpapi

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// house is the API with real services over a database of its own, and an admin
// who is signed in.
type house struct {
	t        *testing.T
	db       *sql.DB
	h        http.Handler
	accesses []access
	token    string
	asked    int
}

const houseEmail, housePassword = "ada@example.com", "correct horse"

// noQueue takes no message, so that runs wait for a tick that never comes.
type noQueue struct{}

func (noQueue) Send(_ context.Context, messages []dispatch.Message) []error {
	return make([]error, len(messages))
}
func (noQueue) Depth(context.Context) (int, error) { return 0, nil }

func newHouse(t *testing.T) *house {
	t.Helper()
	db := mysqltest.New(t)
	clock := func() time.Time { return noon }
	store := mysql.NewAccounts(db)
	accounts, err := account.NewService(context.Background(), store, account.Config{
		Secret: []byte(strings.Repeat("k", 32)), AccessLifetime: time.Hour, RememberLifetime: time.Hour, AllowRegistration: true,
	}, clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := account.EnsureAdmin(t.Context(), store, houseEmail, housePassword, noon); err != nil {
		t.Fatal(err)
	}
	keys := mysqltest.Keys(t)
	jobs := mysql.NewJobs(db).WithKeys(keys)
	dispatcher := dispatch.New(mysql.NewExecutions(db), noQueue{}, noQueue{}, clock, nil)
	tr := newTrial(t, func(deps *Deps) {
		deps.Accounts = accounts
		deps.Categories = job.NewCategories(mysql.NewCategories(db), jobs, dispatcher, clock)
		deps.Jobs = job.NewService(jobs, dispatcher, 4*time.Minute, clock)
		deps.Secrets = job.NewSecrets(mysql.NewSecrets(db, keys), clock)
		deps.Runner, deps.History = dispatcher, mysql.NewHistory(db)
		deps.Summaries, deps.Remover = mysql.NewRollups(db), mysql.NewRetention(db)
		deps.Replies, deps.Audit = mysql.NewReplies(db), mysql.NewAudit(db)
	})
	h := &house{t: t, db: db, h: tr.handler(), accesses: tr.accesses}
	h.token = h.signIn(houseEmail, housePassword)
	return h
}

func (h *house) signIn(email, password string) string {
	h.t.Helper()
	got := h.call("", "POST", "/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	if got.StatusCode != 200 {
		h.t.Fatalf("sign in: %d %s", got.StatusCode, got.raw)
	}
	return got.data()["accessToken"].(string)
}

// call sends a request under an id of its own, which its entries bear.
func (h *house) call(token, method, target, body string, headers ...string) reply {
	h.t.Helper()
	h.asked++
	headers = append(headers, "X-Request-Id", fmt.Sprintf("ask-%d", h.asked))
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	return send(h.t, h.h, method, target, body, headers...)
}

// make makes something as the admin and returns its id.
func (h *house) make(target, body string) string {
	h.t.Helper()
	got := h.call(h.token, "POST", target, body)
	if got.StatusCode != 201 {
		h.t.Fatalf("POST %s: %d %s", target, got.StatusCode, got.raw)
	}
	return got.id()
}

// entries are the actions, entities and ids of what the last request left.
func (h *house) entries() []string {
	h.t.Helper()
	rows, err := h.db.QueryContext(h.t.Context(), "SELECT action, entity FROM audit_log WHERE request_id = ? ORDER BY id", fmt.Sprintf("ask-%d", h.asked))
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var action, entity string
		if err := rows.Scan(&action, &entity); err != nil {
			h.t.Fatal(err)
		}
		all = append(all, action+" "+entity)
		if of := audit.Action(action).Of(); string(of) != entity {
			h.t.Errorf("%s was done to a %s; lists take it for a %s", action, entity, of)
		}
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
	return all
}

// signedEntry is an entry with who stands behind it; 0 where nobody does.
type signedEntry struct {
	Action                       string
	User, Token, Session, Entity int64
}

// signed are the entries of the last request.
func (h *house) signed() []signedEntry {
	h.t.Helper()
	rows, err := h.db.QueryContext(h.t.Context(), `SELECT action, COALESCE(user_id, 0), COALESCE(token_id, 0), COALESCE(session_id, 0), COALESCE(entity_id, 0)
		FROM audit_log WHERE request_id = ? ORDER BY id`, fmt.Sprintf("ask-%d", h.asked))
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	var all []signedEntry
	for rows.Next() {
		var e signedEntry
		if err := rows.Scan(&e.Action, &e.User, &e.Token, &e.Session, &e.Entity); err != nil {
			h.t.Fatal(err)
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
	return all
}

// holder is whose an access token is, by the session that it names.
func (h *house) holder(token string) (userID, sessionID int64) {
	h.t.Helper()
	var claims struct {
		Subject string `json:"sub"`
		Session int64  `json:"sid"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		h.t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		h.t.Fatal(err)
	}
	userID, err = strconv.ParseInt(claims.Subject, 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	return userID, claims.Session
}

func houseJob(name, category string) string {
	return fmt.Sprintf(`{"name":%q,"description":"A job of the house","cronPattern":"0 5 1 1 *","categoryId":%s,"url":"https://example.com/x?key=s3cr3t-query",
		"headers":{"Authorization":"Bearer s3cr3t-header","X-Plain":"plain"},"body":{"a":"s3cr3t-body"},"bodySecret":true}`, name, category)
}

// silent are the routes that change nothing by themselves, or nothing that a
// person would look for.
var silent = map[string]string{
	"POST /schedules/preview":     "computes only",
	"POST /history/stream/ticket": "a ticket is stored nowhere and reads what its holder may read",
	"POST /auth/refresh":          "goes on with a session; what ends one leaves an entry",
}

// TestEveryChangeLeavesOneEntry goes through the router's own table: each route
// that changes something is called once so that it succeeds and once so that it
// fails as late as it can.
func TestEveryChangeLeavesOneEntry(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := 0
	next := func() string { n++; return fmt.Sprintf("thing %d", n) }
	category := func() string { return h.make("/categories", fmt.Sprintf(`{"name":%q,"color":"#123456"}`, next())) }
	home := category()
	taken := h.make("/jobs", houseJob("taken", home))
	h.make("/categories", `{"name":"taken","color":"#123456"}`)
	newJob := func() string { return h.make("/jobs", houseJob(next(), home)) }
	user := func() string {
		return h.make("/users", fmt.Sprintf(`{"email":"u%d@example.com","name":"U","password":"battery staple","role":"viewer"}`, func() int { n++; return n }()))
	}
	old := func() string {
		result, err := h.db.ExecContext(t.Context(), `INSERT INTO executions (job_id, trigger_type, scheduled_for, status, lane, revision, attempt, fence, not_before, created_at, updated_at)
			VALUES (?, 'manual', '2025-01-01', 'success', 'fast', 1, 1, 0, '2025-01-01', '2025-01-01', '2025-01-01')`, taken)
		if err != nil {
			t.Fatal(err)
		}
		id, err := result.LastInsertId()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(id)
	}
	type ask struct{ target, body string }
	cases := map[string]struct {
		token    string // "": the admin's; "-": none
		ok, late func() ask
		want     string
		failed   string // the entry of the failure; "": none
	}{
		"POST /auth/login":    {token: "-", ok: func() ask { return ask{body: `{"email":"ada@example.com","password":"correct horse"}`} }, want: "auth.login session"},
		"POST /auth/logout":   {token: h.signIn(houseEmail, housePassword), ok: func() ask { return ask{} }, want: "auth.logout session"},
		"POST /auth/register": {token: "-", ok: func() ask { return ask{body: `{"email":"new@example.com","name":"N","password":"battery staple"}`} }, late: func() ask { return ask{body: `{"email":"new@example.com","name":"N","password":"battery staple"}`} }, want: "auth.register user"},
		"PATCH /auth/me":      {ok: func() ask { return ask{body: `{"name":"Augusta"}`} }, late: func() ask { return ask{body: `{"email":"new@example.com","currentPassword":"correct horse"}`} }, want: "auth.profile_update user"},
		"POST /auth/tokens":   {ok: func() ask { return ask{body: `{"name":"T","scopes":["read"],"expiresAt":"2026-02-03T00:00:00Z"}`} }, want: "token.create token"},
		"DELETE /auth/tokens/{id}": {ok: func() ask {
			return ask{target: "/auth/tokens/" + h.make("/auth/tokens", `{"name":"T","scopes":["read"],"expiresAt":"2026-02-03T00:00:00Z"}`)}
		}, late: func() ask { return ask{target: "/auth/tokens/9007199254740991"} }, want: "token.revoke token"},
		"POST /users": {ok: func() ask {
			return ask{body: `{"email":"v@example.com","name":"V","password":"battery staple","role":"viewer"}`}
		}, late: func() ask {
			return ask{body: `{"email":"v@example.com","name":"V","password":"battery staple","role":"viewer"}`}
		}, want: "user.create user"},
		"PUT /users/{id}":         {ok: func() ask { return ask{"/users/" + user(), `{"email":"w@example.com","name":"W","role":"operator"}`} }, late: func() ask { return ask{"/users/" + user(), `{"email":"w@example.com","name":"W","role":"operator"}`} }, want: "user.update user"},
		"PATCH /users/{id}":       {ok: func() ask { return ask{"/users/" + user(), `{"password":"stapled battery"}`} }, late: func() ask { return ask{"/users/" + user(), `{"email":"w@example.com"}`} }, want: "user.update user"},
		"DELETE /users/{id}":      {ok: func() ask { return ask{target: "/users/" + user()} }, late: func() ask { return ask{target: "/users/9007199254740991"} }, want: "user.deactivate user"},
		"POST /categories":        {ok: func() ask { return ask{body: `{"name":"fresh","color":"#123456"}`} }, late: func() ask { return ask{body: `{"name":"taken","color":"#123456"}`} }, want: "category.create category"},
		"PUT /categories/{id}":    {ok: func() ask { return ask{"/categories/" + category(), `{"name":"put","color":"#123456"}`} }, late: func() ask { return ask{"/categories/" + category(), `{"name":"taken","color":"#123456"}`} }, want: "category.update category"},
		"PATCH /categories/{id}":  {ok: func() ask { return ask{"/categories/" + category(), `{"color":"#654321"}`} }, late: func() ask { return ask{"/categories/" + category(), `{"name":"taken"}`} }, want: "category.update category"},
		"DELETE /categories/{id}": {ok: func() ask { return ask{target: "/categories/" + category() + "?reassignTo=" + home} }, late: func() ask { return ask{target: "/categories/" + home} }, want: "category.delete category"},
		"POST /jobs":              {ok: func() ask { return ask{body: houseJob(next(), home)} }, late: func() ask { return ask{body: houseJob("taken", home)} }, want: "job.create job"},
		"POST /jobs/import":       {ok: func() ask { return ask{body: `{"jobs":[` + houseJob(next(), home) + `]}`} }, late: func() ask { return ask{body: `{"jobs":[` + houseJob("taken", home) + `]}`} }, want: "job.import job"},
		"PUT /jobs/{id}":          {ok: func() ask { return ask{"/jobs/" + newJob(), houseJob(next(), home)} }, late: func() ask { return ask{"/jobs/" + newJob(), houseJob("taken", home)} }, want: "job.update job"},
		"PATCH /jobs/{id}":        {ok: func() ask { return ask{"/jobs/" + newJob(), `{"cronPattern":"1 5 1 1 *"}`} }, late: func() ask { return ask{"/jobs/" + newJob(), `{"name":"taken"}`} }, want: "job.update job"},
		"DELETE /jobs/{id}":       {ok: func() ask { return ask{target: "/jobs/" + newJob()} }, late: func() ask { return ask{target: "/jobs/9007199254740991"} }, want: "job.delete job"},
		"POST /jobs/{id}/pause":   {ok: func() ask { return ask{target: "/jobs/" + newJob() + "/pause"} }, late: func() ask { return ask{target: "/jobs/9007199254740991/pause"} }, want: "job.pause job"},
		"POST /jobs/{id}/resume": {ok: func() ask {
			id := newJob()
			h.call(h.token, "POST", "/jobs/"+id+"/pause", "")
			return ask{target: "/jobs/" + id + "/resume"}
		}, late: func() ask { return ask{target: "/jobs/9007199254740991/resume"} }, want: "job.resume job"},
		"POST /jobs/{id}/duplicate":   {ok: func() ask { return ask{target: "/jobs/" + newJob() + "/duplicate"} }, late: func() ask { return ask{target: "/jobs/9007199254740991/duplicate"} }, want: "job.duplicate job"},
		"POST /jobs/{id}/signing-key": {ok: func() ask { return ask{target: "/jobs/" + newJob() + "/signing-key"} }, late: func() ask { return ask{target: "/jobs/9007199254740991/signing-key"} }, want: "job.signing_key_create job"},
		"DELETE /jobs/{id}/signing-key": {ok: func() ask {
			id := newJob()
			h.call(h.token, "POST", "/jobs/"+id+"/signing-key", "")
			return ask{target: "/jobs/" + id + "/signing-key"}
		}, late: func() ask { return ask{target: "/jobs/9007199254740991/signing-key"} }, want: "job.signing_key_delete job"},
		"POST /jobs/{id}/execute":   {ok: func() ask { return ask{target: "/jobs/" + newJob() + "/execute?wait=0"} }, late: func() ask { return ask{target: "/jobs/9007199254740991/execute?wait=0"} }, want: "job.execute job"},
		"POST /history/{id}/replay": {ok: func() ask { return ask{target: "/history/" + old() + "/replay?wait=0"} }, late: func() ask { return ask{target: "/history/9007199254740991/replay?wait=0"} }, want: "job.replay job"},
		"POST /jobs/bulk": {ok: func() ask { return ask{body: `{"action":"delete","ids":[` + newJob() + `]}`} }, late: func() ask {
			return ask{body: `{"action":"move","categoryId":9007199254740991,"ids":[` + newJob() + `]}`}
		}, want: "job.delete job"},
		"PUT /secrets/{name}": {ok: func() ask { return ask{"/secrets/FRESH", `{"value":"s3cr3t-value","allowedHosts":["example.com"]}`} }, late: func() ask {
			return ask{"/secrets/FRESH", `{"value":"s3cr3t-value","allowedHosts":["*.com"]}`}
		}, want: "secret.write secret"},
		"DELETE /secrets/{name}": {ok: func() ask {
			h.call(h.token, "PUT", "/secrets/OLD", `{"value":"s3cr3t-value","allowedHosts":["example.com"]}`)
			return ask{target: "/secrets/OLD"}
		}, late: func() ask { return ask{target: "/secrets/NONE"} }, want: "secret.delete secret"},
		"DELETE /history":            {ok: func() ask { old(); return ask{target: "/history?before=2025-06-01T00:00:00Z"} }, late: func() ask { return ask{target: "/history?before=2099-06-01T00:00:00Z"} }, want: "history.delete history"},
		"DELETE /auth/sessions/{id}": {ok: func() ask { return ask{target: "/auth/sessions/" + h.otherSession(houseEmail)} }, late: func() ask { return ask{target: "/auth/sessions/9007199254740991"} }, want: "auth.session_end session"},
		// Last in the table's order below, since it ends other sessions.
		"POST /auth/change-password": {ok: func() ask { return ask{body: `{"currentPassword":"correct horse","newPassword":"another horse"}`} }, late: func() ask { return ask{body: `{"currentPassword":"wrong horse","newPassword":"another horse"}`} }, want: "auth.password_change user", failed: "auth.password_failed user"},
	}
	done := 0
	var last []access
	for _, a := range h.accesses {
		if a.Path == "/auth/change-password" {
			last = append(last, a)
			continue
		}
		last = append([]access{a}, last...)
	}
	for _, a := range last {
		route := a.Method + " " + a.Path
		tc, known := cases[route]
		if a.Method == "GET" || silent[route] != "" {
			if known {
				t.Errorf("%s is both silent and not", route)
			}
			continue
		}
		if !known {
			t.Errorf("%s changes something and is not tried here: name it, or say in silent why it leaves no entry", route)
			continue
		}
		done++
		token := h.token
		switch tc.token {
		case "":
		case "-":
			token = ""
		default:
			token = tc.token
		}
		try := func(prepare func() ask, want []string, succeeds bool) {
			t.Helper()
			asked := prepare()
			if asked.target == "" {
				asked.target = a.Path
			}
			got := h.call(token, a.Method, asked.target, asked.body)
			if (got.StatusCode < 300) != succeeds {
				t.Errorf("%s: %d %s", route, got.StatusCode, got.raw)
			}
			if diff := cmp.Diff(want, h.entries()); diff != "" {
				t.Errorf("%s, entries (-want +got):\n%s", route, diff)
			}
			for _, e := range h.signed() {
				user, session := int64(0), int64(0)
				switch {
				case a.Path == "/auth/login":
					user, _ = h.holder(h.token)
					session = e.Entity
				case token != "":
					user, session = h.holder(token)
				}
				if e.User != user || e.Session != session || e.Token != 0 {
					t.Errorf("%s: %+v names another than user %d in session %d", route, e, user, session)
				}
			}
		}
		if tc.late != nil && a.Path != "/users" && a.Path != "/auth/register" && a.Path != "/users/{id}" {
			var left []string
			if tc.failed != "" {
				left = []string{tc.failed}
			}
			try(tc.late, left, false)
		}
		try(tc.ok, []string{tc.want}, true)
		if tc.late != nil && (a.Path == "/users" || a.Path == "/auth/register") {
			try(tc.late, nil, false) // the same once more
		}
	}
	if done < 25 {
		t.Errorf("only %d routes: the table was not read", done)
	}
	for _, sentinel := range []string{"s3cr3t-", "whsec_", "correct horse", "another horse", "stapled", "argon2"} {
		var leaks int
		if err := h.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM audit_log WHERE CONCAT(entity_name, COALESCE(before_json, ''), COALESCE(after_json, '')) LIKE ?", "%"+sentinel+"%").Scan(&leaks); err != nil || leaks != 0 {
			t.Errorf("%q stands in %d entries (%v)", sentinel, leaks, err)
		}
	}
}

// otherSession starts a session of a user's and returns its id.
func (h *house) otherSession(email string) string {
	h.t.Helper()
	h.signIn(email, housePassword)
	var id string
	if err := h.db.QueryRowContext(h.t.Context(), "SELECT entity_id FROM audit_log WHERE action = 'auth.login' ORDER BY id DESC LIMIT 1").Scan(&id); err != nil {
		h.t.Fatal(err)
	}
	return id
}

func TestFailedSignInsAndReuseAreAudited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for email, name := range map[string]string{houseEmail: houseEmail, "typed a password here": ""} {
		if got := h.call("", "POST", "/auth/login", fmt.Sprintf(`{"email":%q,"password":"wrong"}`, email)); got.StatusCode != 401 {
			t.Fatal(got.raw)
		}
		if diff := cmp.Diff([]string{"auth.login_failed user"}, h.entries()); diff != "" {
			t.Error(diff)
		}
		found := h.call(h.token, "GET", "/audit?action=auth.login_failed&limit=1", "").items()
		if len(found) != 1 || found[0]["entityName"] != name || found[0]["userId"] != nil {
			t.Errorf("%s: %v", email, found)
		}
	}
}

// TestASignInBesideAnothersToken signs somebody in, and out, in requests that
// bear the token of somebody else.
func TestASignInBesideAnothersToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	member := func(name string) (id int64, email string) {
		email = name + "@example.com"
		text := h.make("/users", fmt.Sprintf(`{"email":%q,"name":"M","password":%q,"role":"viewer"}`, email, housePassword))
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return id, email
	}
	eve, eveEmail := member("eve")
	vera, veraEmail := member("vera")
	bearer := h.signIn(eveEmail, housePassword)
	made := h.call(bearer, "POST", "/auth/tokens", `{"name":"T","scopes":["read"],"expiresAt":"2026-02-03T00:00:00Z"}`)
	enter := func(beside string) (access, refresh string) {
		got := h.call(beside, "POST", "/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, veraEmail, housePassword))
		if got.StatusCode != 200 {
			t.Fatal(got.raw)
		}
		return got.data()["accessToken"].(string), got.data()["refreshToken"].(string)
	}
	expect := func(what string, want ...signedEntry) {
		t.Helper()
		if diff := cmp.Diff(want, h.signed()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	for name, beside := range map[string]string{"a session": bearer, "an API token": made.data()["token"].(string)} {
		access, refresh := enter(beside)
		_, session := h.holder(access)
		expect("signing in beside "+name, signedEntry{"auth.login", vera, 0, session, session})

		h.call(beside, "POST", "/auth/login", fmt.Sprintf(`{"email":%q,"password":"wrong"}`, veraEmail))
		expect("failing beside "+name, signedEntry{"auth.login_failed", 0, 0, 0, vera})

		first := refresh
		for range 2 {
			got := h.call(beside, "POST", "/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, refresh))
			refresh = got.data()["refreshToken"].(string)
		}
		h.call(beside, "POST", "/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, first))
		expect("an old token beside "+name, signedEntry{"auth.refresh_reused", vera, 0, session, session})
	}
	h.call(bearer, "POST", "/auth/register", `{"email":"new@example.com","name":"N","password":"battery staple"}`)
	if got := h.signed(); len(got) != 1 || got[0].User != 0 || got[0].Session != 0 {
		t.Errorf("registering: %+v", got)
	}
	access, refresh := enter("")
	_, veras := h.holder(access)
	_, eves := h.holder(bearer)
	h.call(bearer, "POST", "/auth/logout", fmt.Sprintf(`{"refreshToken":%q}`, refresh))
	expect("signing both out", signedEntry{"auth.logout", eve, 0, eves, eves}, signedEntry{"auth.logout", vera, 0, veras, veras})
}

func TestWrongPresentPasswordsAreAudited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	user, session := h.holder(h.token)
	for target, body := range map[string]string{
		"POST /auth/change-password": `{"currentPassword":"s3cr3t-guess","newPassword":"another horse"}`,
		"PATCH /auth/me":             `{"email":"moved@example.com","currentPassword":"s3cr3t-guess"}`,
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := h.call(h.token, method, path, body); got.StatusCode != 400 || !cmp.Equal(got.fields(), []string{"currentPassword"}) {
			t.Errorf("%s: %d %s", target, got.StatusCode, got.raw)
		}
		if diff := cmp.Diff([]signedEntry{{"auth.password_failed", user, 0, session, user}}, h.signed()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
	found := h.call(h.token, "GET", "/audit?action=auth.password_failed", "")
	if len(found.items()) != 2 || found.items()[0]["entityName"] != houseEmail || strings.Contains(found.raw, "s3cr3t-guess") {
		t.Errorf("the log: %s", found.raw)
	}
}

func TestAuditShowsWhatChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	home := h.make("/categories", `{"name":"home","color":"#123456"}`)
	id := h.make("/jobs", houseJob("watched", home))
	h.call(h.token, "PATCH", "/jobs/"+id, `{"cronPattern":"1 5 1 1 *","headers":{"Authorization":"Bearer s3cr3t-other","X-Plain":"plain"},"body":{"a":"s3cr3t-too"}}`)
	if got := h.call(h.token, "PATCH", "/jobs/"+id, `{"cronPattern":"1 5 1 1 *"}`); got.StatusCode != 200 || len(h.entries()) != 0 {
		t.Errorf("a change of nothing: %d, %v", got.StatusCode, h.entries())
	}
	found := h.call(h.token, "GET", "/audit?entity=job&entityId="+id, "")
	if len(found.items()) != 2 || found.body["meta"].(map[string]any)["total"] != 2.0 {
		t.Fatalf("entries: %s", found.raw)
	}
	newest := found.items()[0]
	want := map[string]any{"cronPattern": "0 5 1 1 *", "headers": map[string]any{"Authorization": "********", "X-Plain": "plain"}, "body": "********"}
	if diff := cmp.Diff(want, newest["before"]); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	want["cronPattern"] = "1 5 1 1 *"
	if diff := cmp.Diff(want, newest["after"]); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	if newest["userEmail"] != houseEmail || newest["address"] != "192.0.2.1" || newest["requestId"] == "" || newest["sessionId"] == nil || newest["at"] != "2026-01-31T12:00:00.000Z" {
		t.Errorf("who: %v", newest)
	}
	// Nor is more told where the whole job is: replaced, copied and deleted.
	h.call(h.token, "POST", "/jobs/import?onConflict=update", `{"jobs":[`+strings.Replace(houseJob("watched", home), "s3cr3t-body", "s3cr3t-third", 1)+`]}`)
	h.call(h.token, "POST", "/jobs/"+id+"/duplicate", "")
	h.call(h.token, "DELETE", "/jobs/"+id, "")
	all := h.call(h.token, "GET", "/audit?entity=job&limit=100", "")
	if n := len(all.items()); n != 5 {
		t.Errorf("%d entries: %s", n, all.raw)
	}
	if strings.Contains(all.raw, "s3cr3t") {
		t.Errorf("secrets are told: %s", all.raw)
	}
}

func TestAuditPagesAndFilters(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range 7 {
		h.make("/categories", fmt.Sprintf(`{"name":"c%d","color":"#123456"}`, i))
	}
	seen := map[string]bool{}
	for target := "/audit?limit=3&action=category.create"; target != ""; {
		page := h.call(h.token, "GET", target, "")
		if page.StatusCode != 200 {
			t.Fatal(page.raw)
		}
		for _, one := range page.items() {
			seen[one["entityName"].(string)] = true
		}
		meta := page.body["meta"].(map[string]any)
		if meta["total"] != 7.0 || meta["lastPage"] != 3.0 || meta["perPage"] != 3.0 {
			t.Errorf("meta %v", meta)
		}
		target = ""
		if cursor, ok := meta["nextCursor"].(string); ok {
			target = "/audit?limit=3&action=category.create&cursor=" + cursor
			if got := h.call(h.token, "GET", "/audit?limit=3&cursor="+cursor, ""); got.StatusCode != 400 {
				t.Errorf("a cursor of other filters: %d", got.StatusCode)
			}
		}
	}
	if len(seen) != 7 {
		t.Errorf("seen %v", seen)
	}
	for target, want := range map[string]int{
		"/audit?userId=9007199254740991": 0, "/audit?entity=category&limit=100": 7, "/audit?entity=user": 0,
		"/audit?to=2026-01-31T11:59:59Z": 0, "/audit?from=2026-01-31T12:00:00Z&to=2026-01-31T12:00:00Z&entity=category": 7,
		"/audit?page=2&limit=5&entity=category": 2,
	} {
		if got := h.call(h.token, "GET", target, ""); len(got.items()) != want {
			t.Errorf("%s: %d entries, want %d", target, len(got.items()), want)
		}
	}
	for _, target := range []string{"/audit?entityId=1", "/audit?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "/audit?action=job.fly", "/audit?cursor=x"} {
		if got := h.call(h.token, "GET", target, ""); got.StatusCode != 400 {
			t.Errorf("%s: %d", target, got.StatusCode)
		}
	}
}

func TestAuditSaysWhereItStopsCounting(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if _, err := h.db.ExecContext(t.Context(), `INSERT INTO audit_log (at, request_id, address, action, entity, entity_name)
		WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 100)
		SELECT '2026-01-01', '', '', 'job.execute', 'job', '' FROM n a JOIN n b`); err != nil {
		t.Fatal(err)
	}
	meta := func(target string) map[string]any {
		t.Helper()
		got := h.call(h.token, "GET", target, "")
		if got.StatusCode != 200 {
			t.Fatalf("%s: %d %s", target, got.StatusCode, got.raw)
		}
		return got.body["meta"].(map[string]any)
	}
	if got := meta("/audit?action=job.execute"); got["total"] != 10_000.0 || got["lastPage"] != 1000.0 || got["totalIsLowerBound"] != nil {
		t.Errorf("10,000 entries: %v", got)
	}
	if got := meta("/audit"); got["total"] != 10_000.0 || got["totalIsLowerBound"] != true || got["nextCursor"] == nil {
		t.Errorf("one more, the sign-in: %v", got)
	}
	if got := h.call(h.token, "GET", "/audit?page=1002", ""); got.StatusCode != 400 || fmt.Sprint(got.fields()) != "[page]" {
		t.Errorf("a page beyond: %d %s", got.StatusCode, got.raw)
	}
	if got := meta("/audit?action=user.create&entity=job"); got["total"] != 0.0 || got["lastPage"] != 0.0 {
		t.Errorf("filters that contradict each other: %v", got)
	}
}

// TestAuditTellsNoPassword makes, changes and resets passwords: that it was done
// is told, and neither the password nor its hash.
func TestAuditTellsNoPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	user := "/users/" + h.make("/users", `{"email":"grace@example.com","name":"Grace","password":"first phrase","role":"viewer"}`)
	if got := h.call(h.token, "PATCH", user, `{"password":"second phrase"}`); got.StatusCode != 200 {
		t.Fatal(got.raw)
	}
	if got := h.call(h.signIn("grace@example.com", "second phrase"), "POST", "/auth/change-password", `{"currentPassword":"second phrase","newPassword":"third phrase"}`); got.StatusCode != 200 {
		t.Fatal(got.raw)
	}
	told := h.call(h.token, "GET", "/audit?limit=100", "")
	if n := strings.Count(told.raw, `"password":"********"`); n < 5 { // made once, before and after twice
		t.Errorf("passwords are told of %d times: %s", n, told.raw)
	}
	for _, never := range []string{"argon2", "phrase"} {
		if strings.Contains(told.raw, never) {
			t.Errorf("%q is told: %s", never, told.raw)
		}
	}
}

func TestAuditIsExportedAsATable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, name := range []string{"@SUM(1)", "＝1+1", "-1+1", "+1+1", "=1+1", "plain, and \\\"quoted\\\"", "third"} {
		h.make("/categories", `{"name":"`+name+`","color":"#123456"}`)
	}
	var names []string
	for target, parts := "/audit?action=category.create&limit=2", 0; target != ""; parts++ {
		got := h.call(h.token, "GET", target, "", "Accept", "text/csv")
		if got.StatusCode != 200 || got.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Fatalf("%d %s\n%s", got.StatusCode, got.Header.Get("Content-Type"), got.raw)
		}
		if diff := cmp.Diff([]string{"audit.export audit"}, h.entries()); diff != "" {
			t.Error(diff)
		}
		rows, err := csv.NewReader(strings.NewReader(got.raw)).ReadAll()
		if err != nil || parts > 5 {
			t.Fatal(err, parts)
		}
		for _, row := range rows[1:] {
			names = append(names, row[11])
		}
		link := got.Header.Get("Link")
		target = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	}
	if diff := cmp.Diff([]string{"third", `plain, and "quoted"`, "'=1+1", "'+1+1", "'-1+1", "'＝1+1", "'@SUM(1)"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestLongTextsAreCutInTheAuditLog(t *testing.T) {
	t.Parallel()
	shown := audit.Created([]audit.Field{
		{Name: "text", Value: strings.Repeat("ü", 3000)},
		{Name: "object", Value: map[string]string{"k": strings.Repeat("\x00", 3000)}},
	})
	var fields map[string]string
	if err := json.Unmarshal(shown, &fields); err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	for name, text := range fields {
		if len(text) > 2100 || !strings.HasSuffix(text, "…") {
			t.Errorf("%s: %d bytes", name, len(text))
		}
	}
}

// TestSecretsFromBeforeTheyWereSealedAreMasked shows a job whose row holds its
// secrets in the clear, as earlier releases have stored them.
func TestSecretsFromBeforeTheyWereSealedAreMasked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	home := h.make("/categories", `{"name":"home","color":"#123456"}`)
	id := h.make("/jobs", houseJob("old", home))
	_, err := h.db.ExecContext(t.Context(), `UPDATE job_requests SET sealed = NULL, key_version = NULL, secret_headers = '{"values":{"Authorization":"Bearer s3cr3t"}}',
		body = '{"a":"s3cr3t"}', body_secret = 1 WHERE job_id = ?`, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/jobs/" + id, "/jobs", "/jobs/export", "/categories/" + home} {
		got := h.call(h.token, "GET", target, "")
		if got.StatusCode != 200 || strings.Contains(strings.ReplaceAll(got.raw, "s3cr3t-query", ""), "s3cr3t") {
			t.Errorf("%s: %d %s", target, got.StatusCode, got.raw)
		}
	}
	if got := h.call(h.token, "GET", "/jobs/"+id, ""); got.data()["body"] != "********" {
		t.Errorf("the body reads as %v", got.data()["body"])
	}
}
