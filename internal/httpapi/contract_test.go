package httpapi_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/httpapi"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// The first user of every system in these tests.
const (
	adminEmail    = "ada@example.com"
	adminPassword = "correct horse"
)

// system is the assembled API over a database of its own.
type system struct {
	http.Handler
	db *sql.DB
	mu sync.Mutex
	at time.Time
}

func (s *system) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *system) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

func newSystem(t *testing.T) *system {
	t.Helper()
	return newSystemOf(t, account.Config{})
}

// newLimitedSystem is newSystem with rate limits.
func newLimitedSystem(t *testing.T, limits account.Limits) *system {
	t.Helper()
	return newSystemOf(t, account.Config{Limits: limits})
}

// newOpenSystem is newSystem where people may register.
func newOpenSystem(t *testing.T) *system {
	t.Helper()
	return newSystemOf(t, account.Config{AllowRegistration: true})
}

func newSystemOf(t *testing.T, config account.Config) *system {
	t.Helper()
	return newStreamingSystem(t, config, 0)
}

// newStreamingSystem is newSystemOf whose stream waits for news.
func newStreamingSystem(t *testing.T, config account.Config, streamWait time.Duration) *system {
	t.Helper()
	s := &system{db: mysqltest.New(t), at: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	store := mysql.NewAccounts(s.db)
	config.Secret = []byte(strings.Repeat("k", 32))
	config.AccessLifetime, config.RememberLifetime = 15*time.Minute, 7*24*time.Hour
	accounts, err := account.NewService(context.Background(), store, config, s.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := account.EnsureAdmin(context.Background(), store, adminEmail, adminPassword, s.now()); err != nil {
		t.Fatal(err)
	}
	s.Handler = httpapi.New(httpapi.Deps{
		Accounts: accounts, History: mysql.NewHistory(s.db), Summaries: mysql.NewRollups(s.db), Remover: mysql.NewRetention(s.db), Audit: mysql.NewAudit(s.db), Now: s.now, Log: slog.New(slog.DiscardHandler),
		Jobs:       job.NewService(mysql.NewJobs(s.db).WithKeys(mysqltest.Keys(t)), nil, 0, s.now),
		StreamWait: streamWait,
	})
	return s
}

// fromAddress, in place of a header, says where a request comes from.
const fromAddress = "from address"

// answer is a response with its body decoded.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (s *system) send(t *testing.T, method, target, token, body string, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, reader)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == fromAddress {
			req.RemoteAddr = net.JoinHostPort(headers[i+1], "40000")
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	requireDocumented(t, s, method, target, rec.Code)
	a := answer{t: t, status: rec.Code, header: rec.Header(), raw: rec.Body.String()}
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "text/") || method == "HEAD" {
		return a
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &a.body); err != nil {
		t.Fatalf("%s %s: %d is no JSON: %v\n%s", method, target, rec.Code, err, a.raw)
	}
	return a
}

// must ends the test unless the status is the one expected.
func (a answer) must(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d\n%s", a.status, status, a.raw)
	}
	return a
}

// at reads a value by its path: at("data", "user", "id"), at("meta", "total").
func (a answer) at(path ...any) any {
	a.t.Helper()
	var value any = a.body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := value.(map[string]any)
			if !ok {
				a.t.Fatalf("%v: no object before %q\n%s", path, step, a.raw)
			}
			value = object[step]
		case int:
			list, ok := value.([]any)
			if !ok || step >= len(list) {
				a.t.Fatalf("%v: no item %d\n%s", path, step, a.raw)
			}
			value = list[step]
		}
	}
	return value
}

func (a answer) text(path ...any) string {
	a.t.Helper()
	return fmt.Sprint(a.at(path...))
}

// fields are the names of the faults.
func (a answer) fields() []string {
	var names []string
	faults, _ := a.body["errors"].([]any)
	for _, f := range faults {
		names = append(names, f.(map[string]any)["field"].(string))
	}
	return names
}

func (s *system) login(t *testing.T, email, password string) answer {
	t.Helper()
	return s.send(t, "POST", "/auth/login", "", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)).must(200)
}

// tokenOf signs in a user of a role, who is made for the purpose.
func (s *system) tokenOf(t *testing.T, role account.Role) string {
	t.Helper()
	if role == account.Admin {
		return s.login(t, adminEmail, adminPassword).text("data", "accessToken")
	}
	email := string(role) + "@example.com"
	_, err := s.db.Exec(`INSERT INTO users (email, name, role, is_active, password_hash, token_version, version, created_at, updated_at)
		SELECT ?, ?, ?, 1, password_hash, 1, 1, created_at, updated_at FROM users WHERE email = ?`, email, role, role, adminEmail)
	if err != nil {
		t.Fatal(err)
	}
	return s.login(t, email, adminPassword).text("data", "accessToken")
}
