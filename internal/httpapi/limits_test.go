package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/httpapi"
)

// fewRequests are limits that a test can reach; the login's is the real one.
var fewRequests = account.Limits{Address: 10, FailedLogins: 5, User: 8, Window: 15 * time.Minute}

// until sends a request that the function makes until it is refused for its
// number, and returns how many were not.
func until(t *testing.T, most int, send func() answer) (served int, refused answer) {
	t.Helper()
	for ; served <= most; served++ {
		if got := send(); got.status == http.StatusTooManyRequests {
			return served, got
		}
	}
	t.Fatalf("%d requests were all served", served)
	return 0, answer{}
}

func TestAddressWithoutToken(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, fewRequests)
	paths := []string{"/jobs", "/nothing", "/auth/me", "/jobs/x"}
	next := 0
	ask := func(headers ...string) answer {
		next++
		return s.send(t, "GET", paths[next%len(paths)], "", "", append(headers, "X-Forwarded-For", fmt.Sprint("192.0.2.", next))...)
	}
	s.advance(2*time.Minute + 500*time.Millisecond)
	first := ask()
	for header, want := range map[string]string{"RateLimit-Limit": "10", "RateLimit-Remaining": "9", "RateLimit-Reset": "780"} {
		if got := first.header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	served, refused := until(t, 10, func() answer { return ask() })
	if served != 9 {
		t.Errorf("%d more were served, want 9", served)
	}
	if h := refused.header; h.Get("Retry-After") != "780" || h.Get("RateLimit-Remaining") != "0" || h.Get("RateLimit-Reset") != "780" {
		t.Errorf("the refusal's headers: %v", h)
	}
	if refused.body["success"] != false || refused.at("errors") != nil {
		t.Errorf("the refusal: %s", refused.raw)
	}
	s.send(t, "GET", "/jobs", "nonsense", "").must(429)
	s.send(t, "POST", "/auth/refresh", "", `{}`).must(429)
	s.send(t, "POST", "/auth/login", "", `{"email":"ada@example.com","password":"correct horse"}`).must(429)
	s.send(t, "GET", "/api/docs-json", "", "").must(200)
	if got := s.send(t, "GET", "/health/live", "", "").must(200); got.header.Get("RateLimit-Limit") != "" {
		t.Error("a health check is counted")
	}
	ask(fromAddress, "198.51.100.7").must(401)
	s.advance(13 * time.Minute)
	s.send(t, "GET", "/jobs", "", "").must(401)
}

func TestIPv6IsCountedByNetwork(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, fewRequests)
	for host := range 10 {
		s.send(t, "GET", "/jobs", "", "", fromAddress, fmt.Sprintf("2001:db8:1:2:%x::1", host+1)).must(401)
	}
	s.send(t, "GET", "/jobs", "", "", fromAddress, "2001:db8:1:2:ffff::9").must(429)
	s.send(t, "GET", "/jobs", "", "", fromAddress, "2001:db8:1:3::1").must(401)
	for range 10 {
		s.send(t, "GET", "/jobs", "", "", fromAddress, "::ffff:192.0.2.9").must(401)
	}
	s.send(t, "GET", "/jobs", "", "", fromAddress, "192.0.2.9").must(429)
	s.send(t, "GET", "/jobs", "", "", fromAddress, "192.0.2.10").must(401)
}

func TestUserIsCountedWhereverFrom(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, fewRequests)
	in := s.login(t, adminEmail, adminPassword)
	access, refresh := in.text("data", "accessToken"), in.text("data", "refreshToken")
	host := 0
	me := func() answer {
		host++
		return s.send(t, "GET", "/auth/me", access, "", fromAddress, fmt.Sprint("192.0.2.", host))
	}
	if got := me().must(200); got.header.Get("RateLimit-Limit") != "8" || got.header.Get("RateLimit-Reset") != "60" {
		t.Errorf("headers: %v", got.header)
	}
	if served, _ := until(t, 8, me); served != 7 {
		t.Errorf("%d more were served, want 7", served)
	}
	pair := fmt.Sprintf(`{"refreshToken":%q}`, refresh)
	s.send(t, "POST", "/auth/refresh", "", pair).must(429)
	s.advance(time.Minute)
	if got := s.send(t, "POST", "/auth/refresh", "", pair).must(200); got.header.Get("RateLimit-Remaining") != "7" {
		t.Errorf("a refresh leaves %q", got.header.Get("RateLimit-Remaining"))
	}
}

// An office behind one address, whose tokens all expire overnight.
func TestOfficeIsNotSignedOutTogether(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, fewRequests)
	in := s.login(t, adminEmail, adminPassword)
	s.advance(16 * time.Minute)
	until(t, 10, func() answer { return s.send(t, "GET", "/jobs", "", "") })
	got := s.send(t, "GET", "/jobs", in.text("data", "accessToken"), "").must(401)
	if got.header.Get("RateLimit-Limit") != "8" {
		t.Errorf("an expired token counts against the limit of %s", got.header.Get("RateLimit-Limit"))
	}
	s.send(t, "POST", "/auth/refresh", "", fmt.Sprintf(`{"refreshToken":%q}`, in.text("data", "refreshToken"))).must(200)
	s.send(t, "POST", "/auth/refresh", "", fmt.Sprintf(`{"refreshToken":%q}`, strings.Repeat("A", 59))).must(429)
}

func TestRefusedRefreshesCountAgainstTheAddress(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"faulty":  `{}`,
		"unknown": `{"refreshToken":"nonsense"}`,
		"forged":  `{"refreshToken":"` + strings.Repeat("A", 59) + `"}`,
		"no JSON": `{`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLimitedSystem(t, fewRequests)
			if served, _ := until(t, 10, func() answer { return s.send(t, "POST", "/auth/refresh", "", body) }); served != 10 {
				t.Errorf("%d were served, want 10", served)
			}
		})
	}
	t.Run("of another type", func(t *testing.T) {
		t.Parallel()
		s := newLimitedSystem(t, fewRequests)
		for range 10 {
			s.send(t, "POST", "/auth/refresh", "", "x", "Content-Type", "text/plain").must(415)
		}
		s.send(t, "GET", "/jobs", "", "").must(429)
	})
}

func (s *system) tryLogin(t *testing.T, email, password, address string) answer {
	t.Helper()
	return s.send(t, "POST", "/auth/login", "", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password), fromAddress, address)
}

var loginLimit = account.Limits{FailedLogins: 5, Window: 15 * time.Minute}

func TestFailedLoginsOfAnAddress(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, loginLimit)
	for i := range 5 {
		s.tryLogin(t, fmt.Sprintf("nobody%d@example.com", i), "wrong", "192.0.2.1").must(401)
	}
	refused := s.tryLogin(t, adminEmail, adminPassword, "192.0.2.1").must(429) // before the password is looked at
	if refused.header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After: %q", refused.header.Get("Retry-After"))
	}
	s.tryLogin(t, adminEmail, adminPassword, "192.0.2.2").must(200)
	s.advance(15 * time.Minute)
	s.tryLogin(t, adminEmail, adminPassword, "192.0.2.1").must(200)
}

func TestSuccessfulLoginsAreNotCounted(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, loginLimit)
	for range 8 {
		s.tryLogin(t, adminEmail, adminPassword, "192.0.2.1").must(200)
	}
	if served, _ := until(t, 5, func() answer { return s.tryLogin(t, adminEmail, "wrong", "192.0.2.1") }); served != 5 {
		t.Errorf("%d failed before the limit, want 5", served)
	}
}

func TestFailedLoginsToAnAccount(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, account.Limits{FailedLogins: 1, Window: 15 * time.Minute})
	for host := range 10 {
		s.tryLogin(t, "Ada@example.com ", "wrong", fmt.Sprint("192.0.2.", host)).must(401)
		// Refused for its address, it does not count against the account.
		s.tryLogin(t, adminEmail, "wrong", fmt.Sprint("192.0.2.", host)).must(429)
	}
	s.tryLogin(t, adminEmail, adminPassword, "198.51.100.1").must(429)
	s.tryLogin(t, "eve@example.com", "wrong", "198.51.100.2").must(401)
}

// TestWrongPresentPasswordsAreLimited lets somebody guess who has got hold of a
// session, at each address that asks for the present password.
func TestWrongPresentPasswordsAreLimited(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, loginLimit)
	token := s.tokenOf(t, account.Admin)
	change := func(password string) answer {
		return s.send(t, "POST", "/auth/change-password", token, fmt.Sprintf(`{"currentPassword":%q,"newPassword":"battery staple"}`, password))
	}
	move := func(password string) answer {
		return s.send(t, "PATCH", "/auth/me", token, fmt.Sprintf(`{"currentPassword":%q,"email":"other@example.com"}`, password))
	}
	for range 8 { // right ones are not counted
		s.send(t, "PATCH", "/auth/me", token, fmt.Sprintf(`{"currentPassword":%q,"email":"other@example.com"}`, adminPassword)).must(200)
		s.send(t, "PATCH", "/auth/me", token, fmt.Sprintf(`{"currentPassword":%q,"email":%q}`, adminPassword, adminEmail)).must(200)
	}
	for range 3 {
		change("wrong").must(400)
	}
	for range 2 {
		move("wrong").must(400)
	}
	if got := change(adminPassword).must(429); got.header.Get("Retry-After") != "900" { // before it is looked at
		t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
	}
	move(adminPassword).must(429)
	s.send(t, "PATCH", "/auth/me", token, `{"name":"Ada"}`).must(200)
	s.tryLogin(t, adminEmail, adminPassword, "192.0.2.1").must(200)
	s.advance(15 * time.Minute)
	change(adminPassword).must(200)
}

func TestParallelGuessesDoNotPassTheLimit(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, loginLimit)
	var mu sync.Mutex
	var wg sync.WaitGroup
	statuses := map[int]int{}
	for range 20 {
		wg.Go(func() {
			got := s.tryLogin(t, adminEmail, "wrong", "192.0.2.1")
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
		})
	}
	wg.Wait()
	if statuses[401] != 5 || statuses[429] != 15 {
		t.Errorf("statuses: %v", statuses)
	}
}

func TestNoLimits(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, account.Limits{})
	for range 12 {
		if got := s.tryLogin(t, adminEmail, "wrong", "192.0.2.1").must(401); got.header.Get("RateLimit-Limit") != "" {
			t.Fatal("a limit that is off is told")
		}
	}
}

// uncountable is a store whose database is away for counting.
type uncountable struct{ account.Store }

func (uncountable) Count(context.Context, account.Bucket, time.Time, time.Time) (int, error) {
	return 0, errors.New("refused")
}

func (uncountable) TokenWithUser(context.Context, [32]byte) (account.APIToken, account.User, error) {
	return account.APIToken{}, account.User{}, apperr.New(apperr.Unavailable, "away")
}

// TestTheLimitHoldsWithoutTheDatabase floods an API whose database is too busy to
// count.
func TestTheLimitHoldsWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	accounts, err := account.NewService(t.Context(), uncountable{}, account.Config{
		Secret: []byte(strings.Repeat("k", 32)), AccessLifetime: time.Hour, RememberLifetime: time.Hour, Limits: fewRequests,
	}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	var logs strings.Builder
	s := &system{Handler: httpapi.New(httpapi.Deps{Accounts: accounts, Log: slog.New(slog.NewTextHandler(&logs, nil))})}
	ask := func() answer { return s.send(t, "GET", "/jobs", "", "") }
	if got := ask().must(401); got.header.Get("RateLimit-Remaining") != "9" || !strings.Contains(logs.String(), "counted here alone") {
		t.Errorf("the first: %v\n%s", got.header, logs.String())
	}
	s.send(t, "GET", "/nothing", "", "").must(404)
	// What might be a token, and cannot be looked up, gets nobody past the limit.
	s.send(t, "POST", "/auth/login", "cj_"+strings.Repeat("A", 43), `{}`).must(400)
	served, refused := until(t, 10, ask)
	if served != 7 || refused.header.Get("Retry-After") != "900" {
		t.Errorf("%d more were served, then %v", served, refused.header)
	}
	s.send(t, "POST", "/auth/login", "", `{"email":"ada@example.com","password":"x"}`).must(429)
	s.send(t, "GET", "/jobs", "", "", fromAddress, "198.51.100.7").must(401)
	at = at.Add(15 * time.Minute)
	ask().must(401)
}

// uncounting is an account service that has no room to count either.
type uncounting struct{ httpapi.AccountService }

func (uncounting) Holder(context.Context, string) (int64, bool) { return 0, false }

func (uncounting) CountAddress(context.Context, string) (account.Allowance, error) {
	return account.Allowance{}, apperr.Wrap(apperr.Unavailable, errors.New("refused"), "The request could not be counted; try again.")
}

func TestWhatCannotBeCountedIsRefused(t *testing.T) {
	t.Parallel()
	h := httpapi.New(httpapi.Deps{Accounts: uncounting{}, Log: slog.New(slog.DiscardHandler)})
	s := &system{Handler: h}
	if got := s.send(t, "POST", "/auth/login", "", `{}`).must(503); got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.send(t, "GET", "/health/live", "", "").must(200)
}
