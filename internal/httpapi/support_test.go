package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// noon is the time at which the tests of this package take place.
var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// fakeAccounts knows three tokens, one a role, and API tokens such as
// "admin:read"; the rest of AccountService is
// left out on purpose, so that calling it fails the test.
type fakeAccounts struct{ AccountService }

func (fakeAccounts) Authenticate(_ context.Context, token string) (account.Principal, error) {
	name, scope, limited := strings.Cut(token, ":")
	for i, role := range account.Roles {
		if name != string(role) {
			continue
		}
		who := account.Principal{User: account.User{ID: int64(i + 1), Role: role}, SessionID: 9}
		if limited {
			who.SessionID, who.Token = 0, &account.APIToken{ID: 4, Scopes: []account.Scope{account.Scope(scope)}}
		}
		return who, nil
	}
	return account.Principal{}, apperr.New(apperr.Unauthenticated, "The access token is not valid.")
}

// The tests without a database count nothing.
func (fakeAccounts) Holder(context.Context, string) (int64, bool) { return 0, false }

func (fakeAccounts) CountUser(context.Context, int64) (account.Allowance, error) {
	return account.Allowance{}, nil
}

func (fakeAccounts) CountAddress(context.Context, string) (account.Allowance, error) {
	return account.Allowance{}, nil
}

type fakeHealth struct{ database, queue error }

func (h fakeHealth) Database(context.Context) error { return h.database }
func (h fakeHealth) Queue(context.Context) error    { return h.queue }

// trial is an API with routes made for the tests beside the product's own.
type trial struct {
	*server
	logs bytes.Buffer
}

func newTrial(t *testing.T, change func(*Deps)) *trial {
	t.Helper()
	tr := &trial{}
	deps := Deps{
		Accounts:    fakeAccounts{},
		Health:      fakeHealth{},
		CORSOrigins: []string{"https://app.example"},
		Now:         func() time.Time { return noon },
		Log:         slog.New(slog.NewJSONHandler(&tr.logs, nil)),
	}
	if change != nil {
		change(&deps)
	}
	tr.server = newServer(deps)
	return tr
}

// reply is an answer, decoded.
type reply struct {
	*http.Response
	raw  string
	body map[string]any
}

// fields are the names of the faults, in their order.
func (r reply) fields() []string {
	var names []string
	faults, _ := r.body["errors"].([]any)
	for _, f := range faults {
		names = append(names, f.(map[string]any)["field"].(string))
	}
	return names
}

func send(t *testing.T, h http.Handler, method, target, body string, headers ...string) reply {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, reader)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	out := reply{Response: rec.Result(), raw: rec.Body.String()}
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") && rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &out.body); err != nil {
			t.Fatalf("%s %s: the answer is no JSON: %v\n%s", method, target, err, out.raw)
		}
	}
	return out
}

func as(role account.Role) string { return "Bearer " + string(role) }
