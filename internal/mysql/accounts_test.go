package mysql_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

const (
	adminEmail    = "ada@example.com"
	adminPassword = "correct horse"
)

// signIn is an account service over a database of its own, with one admin and
// a clock that the test moves.
type signIn struct {
	*account.Service
	store *mysql.Accounts
	mu    sync.Mutex
	at    time.Time
}

func (s *signIn) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *signIn) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

func newSignIn(t *testing.T) *signIn {
	t.Helper()
	s := &signIn{store: mysql.NewAccounts(mysqltest.New(t)), at: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	s.Service = s.service(t, "k", "")
	created, err := account.EnsureAdmin(context.Background(), s.store, " Ada@Example.com", adminPassword, s.at)
	if err != nil || !created {
		t.Fatalf("EnsureAdmin = %t, %v", created, err)
	}
	return s
}

func (s *signIn) service(t *testing.T, key, previous string) *account.Service {
	t.Helper()
	service, err := account.NewService(context.Background(), s.store, account.Config{
		Secret: []byte(strings.Repeat(key, 32)), PreviousSecret: []byte(strings.Repeat(previous, 32)),
		AccessLifetime: 15 * time.Minute, RememberLifetime: 7 * 24 * time.Hour,
	}, s.now)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func (s *signIn) login(t *testing.T, remember bool) account.SignedIn {
	t.Helper()
	in, err := s.Login(context.Background(), account.Login{Email: adminEmail, Password: adminPassword, Remember: remember})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// uncounted lets every refresh pass.
func uncounted(context.Context, int64) error { return nil }

func (s *signIn) works(t *testing.T, in account.SignedIn) bool {
	t.Helper()
	_, err := s.Authenticate(context.Background(), in.AccessToken)
	if err != nil && !apperr.Is(err, apperr.Unauthenticated) {
		t.Fatal(err)
	}
	return err == nil
}

func (s *signIn) refreshed(t *testing.T, token string) (account.SignedIn, bool) {
	t.Helper()
	in, err := s.Refresh(context.Background(), token, uncounted)
	if err != nil && !apperr.Is(err, apperr.Unauthenticated) {
		t.Fatal(err)
	}
	return in, err == nil
}

func TestEnsureAdminMakesTheFirstUserAlone(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	ctx := context.Background()
	for _, email := range []string{adminEmail, "eve@example.com"} {
		created, err := account.EnsureAdmin(ctx, s.store, email, "another password", s.at)
		if err != nil || created {
			t.Errorf("EnsureAdmin(%s) again = %t, %v", email, created, err)
		}
	}
	if _, err := s.store.UserByEmail(ctx, "eve@example.com"); !apperr.Is(err, apperr.NotFound) {
		t.Errorf("a second admin: %v", err)
	}
	user, err := s.store.UserByEmail(ctx, adminEmail)
	if err != nil {
		t.Fatal(err)
	}
	user.ID, user.PasswordHash = 0, ""
	want := account.User{
		Email: adminEmail, Name: "Administrator", Role: account.Admin, IsActive: true,
		TokenVersion: 1, Version: 1, CreatedAt: s.at, UpdatedAt: s.at,
	}
	if diff := cmp.Diff(want, user); diff != "" {
		t.Errorf("first user (-want +got):\n%s", diff)
	}
	if _, err := account.EnsureAdmin(ctx, s.store, "nobody", "short", s.at); !apperr.Is(err, apperr.Invalid) {
		t.Errorf("a bad address and password: %v", err)
	}
	for email, found := range map[string]bool{"ADA@example.com": false, "adá@example.com": false} {
		if _, err := s.store.UserByEmail(ctx, email); (err == nil) != found {
			t.Errorf("UserByEmail(%q): %v", email, err)
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	for name, tc := range map[string]struct {
		email, password string
		fine            bool
	}{
		"right":           {adminEmail, adminPassword, true},
		"other spelling":  {"  ADA@example.com ", adminPassword, true},
		"wrong password":  {adminEmail, adminPassword + "x", false},
		"no password":     {adminEmail, "", false},
		"unknown address": {"eve@example.com", adminPassword, false},
		"no address":      {"", adminPassword, false},
		"naughty address": {"' OR 1=1 -- ", adminPassword, false},
	} {
		in, err := s.Login(context.Background(), account.Login{Email: tc.email, Password: tc.password})
		if (err == nil) != tc.fine || err != nil && !apperr.Is(err, apperr.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		if tc.fine && (!s.works(t, in) || in.ExpiresIn != 15*time.Minute || in.User.LastLoginAt == nil) {
			t.Errorf("%s: signed in as %+v", name, in)
		}
	}
	user, err := s.store.UserByEmail(context.Background(), adminEmail)
	if err != nil || user.LastLoginAt == nil || !user.LastLoginAt.Equal(s.at) {
		t.Errorf("lastLoginAt = %v, %v", user.LastLoginAt, err)
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	first := s.login(t, false)
	s.advance(time.Minute)
	second, ok := s.refreshed(t, first.RefreshToken)
	if !ok || second.RefreshToken == first.RefreshToken || !s.works(t, second) || !s.works(t, first) {
		t.Fatal("the first refresh failed")
	}
	s.advance(10 * time.Second)
	again, ok := s.refreshed(t, first.RefreshToken)
	if !ok || again.RefreshToken != second.RefreshToken {
		t.Fatal("a lost answer does not get the same successor within the grace")
	}
	third, ok := s.refreshed(t, second.RefreshToken)
	if !ok {
		t.Fatal("the successor does not work")
	}
	s.advance(10*time.Second + time.Millisecond)
	if _, ok := s.refreshed(t, second.RefreshToken); ok {
		t.Fatal("an old token works after the grace")
	}
	if _, ok := s.refreshed(t, third.RefreshToken); ok || s.works(t, third) {
		t.Error("the session outlived the reuse of an old token")
	}
}

func TestAGrandparentIsReuseEvenWithinTheGrace(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	first := s.login(t, false)
	second, _ := s.refreshed(t, first.RefreshToken)
	third, ok := s.refreshed(t, second.RefreshToken)
	if !ok {
		t.Fatal("the second refresh failed")
	}
	if _, ok := s.refreshed(t, first.RefreshToken); ok {
		t.Error("a token of two generations ago works")
	}
	if s.works(t, third) {
		t.Error("the session outlived the reuse")
	}
}

func TestForgedRefreshTokensEndNoSession(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	in := s.login(t, false)
	other := s.login(t, false)
	token := in.RefreshToken
	swap := func(i int) string {
		letter := byte('A')
		if token[i] == letter {
			letter = 'B'
		}
		return token[:i] + string(letter) + token[i+1:]
	}
	for name, forged := range map[string]string{
		"empty":            "",
		"nonsense":         "nonsense",
		"endless":          strings.Repeat("A", 1<<20),
		"other session":    swap(3),
		"other generation": swap(14),
		"other code":       swap(40),
		"cut":              token[:len(token)-1],
		"padded":           token + "=",
		"another's code":   token[:16] + other.RefreshToken[16:],
		"an access token":  in.AccessToken,
	} {
		if _, ok := s.refreshed(t, forged); ok {
			t.Errorf("%s: refreshed", name)
		}
	}
	if !s.works(t, in) || !s.works(t, other) {
		t.Error("a forged token ended a session")
	}
	if _, ok := s.refreshed(t, token); !ok {
		t.Error("the real token no longer works")
	}
	// Nor does one that names an earlier generation, whose reuse would end it.
	if _, ok := s.refreshed(t, swap(40)); ok || !s.works(t, in) {
		t.Error("a forged token of an earlier generation ended a session")
	}
}

func TestParallelRefreshesHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	in := s.login(t, false)
	successors := make([]string, 50)
	var all sync.WaitGroup
	for i := range successors {
		all.Go(func() {
			next, err := s.Refresh(context.Background(), in.RefreshToken, uncounted)
			if err != nil {
				t.Errorf("refresh %d: %v", i, err)
			}
			successors[i] = next.RefreshToken
		})
	}
	all.Wait()
	for _, successor := range successors {
		if successor != successors[0] || successor == "" {
			t.Fatalf("two successors: %q and %q", successor, successors[0])
		}
	}
}

func TestSessionsExpire(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	day := 24 * time.Hour
	short, long := s.login(t, false), s.login(t, true)
	s.advance(day - time.Second)
	if _, ok := s.refreshed(t, short.RefreshToken); !ok {
		t.Error("a session of a day ended early")
	}
	forgotten := s.login(t, false)
	s.advance(day)
	if _, ok := s.refreshed(t, forgotten.RefreshToken); ok {
		t.Error("a session of a day works after it")
	}
	// A remembered session lasts while it is used, but no longer than 30 days.
	for passed := 2 * day; passed < 30*day; passed += 4 * day {
		var ok bool
		if long, ok = s.refreshed(t, long.RefreshToken); !ok {
			t.Fatalf("a remembered session ended after %v", passed)
		}
		s.advance(4 * day)
	}
	s.advance(time.Second)
	if _, ok := s.refreshed(t, long.RefreshToken); ok {
		t.Error("a session works after 30 days")
	}
}

func TestKeyRotationSignsNobodyOut(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	in := s.login(t, false)
	s.Service = s.service(t, "n", "k")
	if !s.works(t, in) {
		t.Error("the access token is lost")
	}
	next, ok := s.refreshed(t, in.RefreshToken)
	if !ok {
		t.Fatal("the refresh token is lost")
	}
	s.Service = s.service(t, "n", "")
	if _, ok := s.refreshed(t, next.RefreshToken); !ok || !s.works(t, next) {
		t.Error("what the new key issued does not work by itself")
	}
	if s.works(t, in) {
		t.Error("the old key still verifies")
	}
}

func TestLogoutEndsItsSessionAlone(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	ctx := context.Background()
	byAccess, byExpired, byRefresh, stays := s.login(t, true), s.login(t, true), s.login(t, true), s.login(t, true)
	for name, tokens := range map[string][2]string{
		"access":   {byAccess.AccessToken, ""},
		"refresh":  {"", byRefresh.RefreshToken},
		"again":    {byAccess.AccessToken, byRefresh.RefreshToken},
		"nonsense": {"nonsense", "nonsense"},
		"nothing":  {"", ""},
	} {
		if err := s.Logout(ctx, tokens[0], tokens[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.works(t, byAccess) || s.works(t, byRefresh) || !s.works(t, stays) || !s.works(t, byExpired) {
		t.Error("the wrong sessions ended")
	}
	s.advance(time.Hour)
	if err := s.Logout(ctx, byExpired.AccessToken, ""); err != nil {
		t.Error(err)
	}
	if _, ok := s.refreshed(t, byExpired.RefreshToken); ok {
		t.Error("an expired access token did not end its session")
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	ctx := context.Background()
	before, err := s.Login(ctx, account.Login{Email: adminEmail, Password: adminPassword, Remember: true, Client: account.Client{UserAgent: "here"}})
	if err != nil {
		t.Fatal(err)
	}
	here, ok := s.refreshed(t, before.RefreshToken)
	if !ok {
		t.Fatal("not refreshed")
	}
	elsewhere := s.login(t, false)
	who, err := s.Authenticate(ctx, here.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := s.IssueTicket(who)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		current, replacement string
		fields               []string
	}{
		"wrong":    {"wrong", "battery staple", []string{"currentPassword"}},
		"short":    {adminPassword, "short", []string{"newPassword"}},
		"common":   {adminPassword, "password1", []string{"newPassword"}},
		"the same": {adminPassword, adminPassword, []string{"newPassword"}},
		"both":     {"wrong", "short", []string{"currentPassword", "newPassword"}},
	} {
		_, err := s.ChangePassword(ctx, who, tc.current, tc.replacement)
		if diff := cmp.Diff(tc.fields, fieldNames(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if !s.works(t, elsewhere) {
		t.Fatal("a refused change ended a session")
	}
	fresh, err := s.ChangePassword(ctx, who, adminPassword, "battery staple")
	if err != nil {
		t.Fatal(err)
	}
	// Who holds the tokens of the very session is shut out too, at once and
	// without harm to the new one, whose tokens are good.
	for name, old := range map[string]account.SignedIn{"elsewhere": elsewhere, "here": here, "here, one before": before} {
		if s.works(t, old) {
			t.Errorf("%s: the access token works", name)
		}
		if _, ok := s.refreshed(t, old.RefreshToken); ok {
			t.Errorf("%s: the refresh token works", name)
		}
	}
	if _, err := s.AuthenticateTicket(ctx, ticket); err == nil {
		t.Error("a ticket works")
	}
	if !s.works(t, fresh) {
		t.Error("the new access token does not work")
	}
	if _, ok := s.refreshed(t, fresh.RefreshToken); !ok {
		t.Error("the new refresh token does not work")
	}
	if alive, total, err := s.ListSessions(ctx, who.User.ID, 0, 10); err != nil || total != 1 || alive[0].Client.UserAgent != "here" || !alive[0].Remember {
		t.Errorf("%d sessions are alive: %+v, %v", total, alive, err)
	}
	// The old session is over: it is no ground to change the password again.
	if _, err := s.ChangePassword(ctx, who, "battery staple", "another staple"); apperr.CodeOf(err) != apperr.Conflict {
		t.Errorf("from the session of before: %v", err)
	}
	if _, err := s.Login(ctx, account.Login{Email: adminEmail, Password: adminPassword}); !apperr.Is(err, apperr.Unauthenticated) {
		t.Errorf("the old password: %v", err)
	}
	if _, err := s.Login(ctx, account.Login{Email: adminEmail, Password: "battery staple"}); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

// TestSessionsOfAUserAreBounded signs somebody in more often than sessions may be
// alive: those that were not used for the longest make room.
func TestSessionsOfAUserAreBounded(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	ctx := context.Background()
	first, second := s.login(t, true), s.login(t, true)
	user := first.User
	stored, err := s.store.User(ctx, user.ID)
	if err != nil {
		t.Fatal(err)
	}
	start := func(id int64) {
		t.Helper()
		s.advance(time.Second)
		if err := s.store.StartSession(ctx, account.Session{
			ID: id, UserID: user.ID, Nonce: make([]byte, 16), Generation: 1, RefreshHash: make([]byte, 32),
			CreatedAt: s.at, RotatedAt: s.at, ExpiresAt: s.at.Add(24 * time.Hour),
		}, stored.PasswordHash); err != nil {
			t.Fatal(err)
		}
	}
	for id := int64(1); id <= account.MaxSessions-2; id++ {
		start(id)
	}
	s.advance(time.Second)
	first, ok := s.refreshed(t, first.RefreshToken) // it is in use, though the oldest
	if !ok || !s.works(t, second) {
		t.Fatal("a session ended before there were too many")
	}
	start(account.MaxSessions)
	if s.works(t, second) || !s.works(t, first) {
		t.Error("the wrong session made room")
	}
	alive, total, err := s.ListSessions(ctx, user.ID, 0, 1)
	if err != nil || total != account.MaxSessions || alive[0].ID != account.MaxSessions {
		t.Errorf("%d sessions, the newest %+v, %v", total, alive, err)
	}
}

// A sign-in that began before the password changed must not end after it.
func TestNoSessionStartsOnAnOldHash(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	ctx := context.Background()
	user, err := s.store.UserByEmail(ctx, adminEmail)
	if err != nil {
		t.Fatal(err)
	}
	session := account.Session{
		ID: 1, UserID: user.ID, Nonce: make([]byte, 16), Generation: 1, RefreshHash: make([]byte, 32),
		CreatedAt: s.at, RotatedAt: s.at, ExpiresAt: s.at.Add(time.Hour),
	}
	if err := s.store.StartSession(ctx, session, user.PasswordHash+"x"); !apperr.Is(err, apperr.NotFound) {
		t.Errorf("on another hash: %v", err)
	}
	if err := s.store.StartSession(ctx, session, user.PasswordHash); err != nil {
		t.Errorf("on the present hash: %v", err)
	}
}

func TestUpdateProfile(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	ctx := context.Background()
	user := s.login(t, false).User
	text := func(v string) *string { return &v }
	for name, tc := range map[string]struct {
		change account.ProfileChange
		fields []string
		code   apperr.Code
	}{
		"name":                 {account.ProfileChange{Name: text("  Ada Lovelace ")}, nil, ""},
		"no name":              {account.ProfileChange{Name: text("  ")}, []string{"name"}, apperr.Invalid},
		"no password":          {account.ProfileChange{Email: text("new@example.com")}, []string{"currentPassword"}, apperr.Invalid},
		"wrong password":       {account.ProfileChange{Email: text("new@example.com"), CurrentPassword: "x"}, []string{"currentPassword"}, apperr.Invalid},
		"bad address and name": {account.ProfileChange{Email: text("new"), Name: text("")}, []string{"name", "email", "currentPassword"}, apperr.Invalid},
		"same address":         {account.ProfileChange{Email: text("ADA@example.com")}, nil, ""},
		"stale version":        {account.ProfileChange{Name: text("Eve"), Versions: []int{99}}, nil, apperr.PreconditionFailed},
		"no version matches":   {account.ProfileChange{Name: text("Eve"), Versions: []int{}}, nil, apperr.PreconditionFailed},
	} {
		_, err := s.UpdateProfile(ctx, user.ID, tc.change)
		if apperr.CodeOf(err) != tc.code {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tc.fields, fieldNames(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	changed, err := s.UpdateProfile(ctx, user.ID, account.ProfileChange{
		Email: text("New@Example.com"), CurrentPassword: adminPassword, Versions: []int{2},
	})
	if err != nil || changed.Email != "new@example.com" || changed.Name != "Ada Lovelace" || changed.Version != 3 {
		t.Errorf("changed to %+v, %v", changed, err)
	}
	stored, err := s.store.User(ctx, user.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(changed, stored); diff != "" {
		t.Errorf("what is stored differs from what was answered:\n%s", diff)
	}
}

// fieldNames are the fields that an error names.
func fieldNames(err error) []string {
	var coded *apperr.Error
	if !errors.As(err, &coded) {
		return nil
	}
	var names []string
	for _, f := range coded.Fields {
		names = append(names, f.Name)
	}
	return names
}

// TestRotationIsDoneOnceAndInOrder lets a request come late whose session has
// moved on, or has ended: its successor must not take the place of a later one.
func TestRotationIsDoneOnceAndInOrder(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	ctx := t.Context()
	in := s.login(t, false)
	who, err := s.Authenticate(ctx, in.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	read := func() account.Session {
		t.Helper()
		session, _, err := s.store.SessionWithUser(ctx, who.SessionID)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	late := read()
	late.Generation++
	late.RefreshHash = make([]byte, 32)
	second, ok := s.refreshed(t, in.RefreshToken)
	if !ok {
		t.Fatal("no refresh")
	}
	if _, ok = s.refreshed(t, second.RefreshToken); !ok {
		t.Fatal("no second refresh")
	}
	before := read()
	if won, err := s.store.RotateSession(ctx, late); won || err != nil {
		t.Errorf("a late rotation: %t, %v", won, err)
	}
	if diff := cmp.Diff(before, read()); diff != "" {
		t.Errorf("the session has changed (-want +got):\n%s", diff)
	}
	if err := s.store.EndSession(ctx, who.User.ID, who.SessionID, account.EndLogout, s.now()); err != nil {
		t.Fatal(err)
	}
	next := read()
	next.Generation++
	if won, err := s.store.RotateSession(ctx, next); won || err != nil {
		t.Errorf("a session that is over is rotated: %t, %v", won, err)
	}
}

// TestInstancesShareTheirCounts guesses at four instances over one database, at
// once, and then at a fifth that has just started.
func TestInstancesShareTheirCounts(t *testing.T) {
	t.Parallel()
	s := newSignIn(t)
	instance := func() *account.Service {
		service, err := account.NewService(t.Context(), s.store, account.Config{
			Secret: []byte(strings.Repeat("k", 32)), AccessLifetime: time.Minute, RememberLifetime: time.Hour,
			Limits: account.Limits{FailedLogins: 5, Window: 15 * time.Minute},
		}, s.now)
		if err != nil {
			t.Fatal(err)
		}
		return service
	}
	guess := account.Login{Email: adminEmail, Password: "wrong", Client: account.Client{Address: "192.0.2.1"}}
	var all sync.WaitGroup
	var mu sync.Mutex
	looked := 0
	for range 4 {
		one := instance()
		for range 4 {
			all.Go(func() {
				_, err := one.Login(t.Context(), guess)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case apperr.Is(err, apperr.Unauthenticated):
					looked++
				case !apperr.Is(err, apperr.TooManyRequests):
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if looked != 5 {
		t.Errorf("%d passwords were looked at, want 5", looked)
	}
	guess.Password = adminPassword
	if _, err := instance().Login(t.Context(), guess); !apperr.Is(err, apperr.TooManyRequests) {
		t.Errorf("an instance that has just started: %v", err)
	}
	s.advance(15 * time.Minute)
	if _, err := instance().Login(t.Context(), guess); err != nil {
		t.Errorf("in the next window: %v", err)
	}
}
