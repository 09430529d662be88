package system_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/infra/local/system"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// safeLog is a buffer that handlers write to side by side.
type safeLog struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// sentinels are the secrets that the test sends in, by the way that they take.
var sentinels = map[string]string{
	"a job's header":            "SENTINELheader/0a1b2c3d4e",
	"a job's body":              "SENTINELbody/5f6a7b8c9d",
	"a listed header":           "SENTINELlisted/1122334455",
	"a secret of the workspace": "SENTINELvault/66778899aa",
	"a changed header":          "SENTINELchange/2468013579",
	"a replaced secret":         "SENTINELbefore/bbccddeeff",
	"the admin's password":      "SENTINELadmin/0123456789",
	"a user's password":         "SENTINELuser/9876543210",
}

// TestASecretIsFoundNowhere sends secrets through every way into the system and
// out of it, and looks for them in every column of the database, in every answer
// of the API, in the log at its most talkative, and in the queue's messages. The
// target gives back whatever it is sent.
func TestASecretIsFoundNowhere(t *testing.T) {
	t.Parallel()
	options := mysqltest.Options(t)
	db, err := mysql.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var sent, messages safeLog
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		all := fmt.Sprintf("%s %v %s", r.URL, r.Header, body)
		_, _ = sent.Write([]byte(all))
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, all+" "+base64.StdEncoding.EncodeToString([]byte(all))+" "+url.QueryEscape(all))
	}))
	t.Cleanup(echo.Close)

	var log safeLog
	dir := t.TempDir()
	cfg, err := config.Parse(config.Local, []string{"LOCAL_DATA_DIR=" + dir, "ADMIN_EMAIL=" + email, "ADMIN_PASSWORD=" + sentinels["the admin's password"], "LOG_LEVEL=debug"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.DB = config.Database{Host: options.Host, Port: options.Port, Username: options.User, Password: config.Secret(options.Password), Name: options.Database, TLSCA: config.TLSOff}
	cfg.EgressAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s, err := system.Start(t.Context(), system.Options{
		Config: cfg, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Addr: "127.0.0.1:0", TickEvery: 2 * time.Second,
		Queue: func(server *sqsserver.Server) {
			server.SetHooks(sqsserver.Hooks{OnSend: func(_, body string) sqsserver.Fate {
				_, _ = messages.Write([]byte(body))
				return sqsserver.Fate{}
			}})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, s)

	var answers bytes.Buffer
	tokens := map[string]string{}
	ask := func(method, path, token string, body any) map[string]any {
		t.Helper()
		var text bytes.Buffer
		if body != nil {
			_ = json.NewEncoder(&text).Encode(body)
		}
		request, _ := http.NewRequestWithContext(t.Context(), method, s.URL+path, &text)
		request.Header.Set("Content-Type", "application/json")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		got, _ := io.ReadAll(response.Body)
		fmt.Fprintf(&answers, "%s %s\n%v\n%s\n", method, path, response.Header, got)
		if response.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, got)
		}
		var decoded struct{ Data map[string]any }
		_ = json.Unmarshal(got, &decoded)
		return decoded.Data
	}
	signedIn := ask("POST", "/auth/login", "", map[string]any{"email": email, "password": sentinels["the admin's password"]})
	answers.Reset() // signing in answers with tokens; they are looked for below
	admin := signedIn["accessToken"].(string)
	tokens["an access token"], tokens["a refresh token"] = admin, signedIn["refreshToken"].(string)
	made := ask("POST", "/auth/tokens", admin, map[string]any{"name": "T", "scopes": []string{"read"}, "expiresAt": time.Now().Add(time.Hour).UTC()})
	tokens["an API token"] = made["token"].(string)
	answers.Reset()

	ask("POST", "/users", admin, map[string]any{"email": "v@example.com", "name": "V", "password": sentinels["a user's password"], "role": "viewer"})
	host := strings.TrimPrefix(echo.URL, "http://")
	for _, value := range []string{sentinels["a replaced secret"], sentinels["a secret of the workspace"]} {
		ask("PUT", "/secrets/TOKEN", admin, map[string]any{"value": value, "allowedHosts": []string{host}})
	}
	category := ask("POST", "/categories", admin, map[string]any{"name": "Sentinels", "color": "#123456"})["id"]
	job := map[string]any{
		"name": "Sentinel", "description": "A job with every kind of secret", "cronPattern": "0 5 1 1 *", "categoryId": category,
		"url": echo.URL + "/{{secret.TOKEN}}?key={{secret.TOKEN}}", "method": "POST", "retryAttempts": 0,
		"headers":       map[string]string{"Authorization": "Bearer " + sentinels["a job's header"], "X-Mine": sentinels["a listed header"], "X-Vault": "{{secret.TOKEN}}"},
		"secretHeaders": []string{"X-Mine"}, "body": map[string]string{"key": sentinels["a job's body"], "vault": "{{secret.TOKEN}}"}, "bodySecret": true,
	}
	id := ask("POST", "/jobs", admin, job)["id"]
	ran := ask("POST", fmt.Sprintf("/jobs/%v/execute", id), admin, nil)
	if ran["status"] != "success" {
		t.Fatalf("the run: %v", ran)
	}
	// It is all for nothing unless the target was sent every secret.
	for _, way := range []string{"a job's header", "a job's body", "a listed header", "a secret of the workspace"} {
		if !strings.Contains(sent.String(), sentinels[way]) {
			t.Errorf("the target did not get %s:\n%s", way, sent.String())
		}
	}
	ask("PATCH", fmt.Sprintf("/jobs/%v", id), admin, map[string]any{"timeout": 5000, "headers": map[string]string{"Authorization": "Bearer " + sentinels["a changed header"], "X-Mine": "********"}})
	ask("POST", fmt.Sprintf("/jobs/%v/duplicate", id), admin, nil)
	ask("POST", fmt.Sprintf("/history/%v/replay", ran["id"]), admin, nil)
	for _, path := range []string{
		"/jobs", "/jobs/export", fmt.Sprintf("/jobs/%v", id), fmt.Sprintf("/jobs/%v/history", id), "/history", fmt.Sprintf("/history/%v", ran["id"]),
		"/secrets", "/secrets/TOKEN", "/users", "/auth/me", "/auth/sessions", "/auth/tokens", "/dashboard", "/dashboard/failures", "/categories", "/audit", "/api/docs-json",
	} {
		ask("GET", path, admin, nil)
	}

	for way, sentinel := range tokens {
		sentinels := []string{sentinel}
		requireAbsent(t, way, sentinels, map[string]string{"the log": log.String(), "messages": messages.String(), "later answers": answers.String()})
		requireNotStored(t, db, way, sentinel)
	}
	for way, sentinel := range sentinels {
		written := []string{sentinel, base64.StdEncoding.EncodeToString([]byte(sentinel))[:16], url.QueryEscape(sentinel)}
		requireAbsent(t, way, written, map[string]string{"the log": log.String(), "messages": messages.String(), "answers": answers.String()})
		requireNotStored(t, db, way, sentinel)
	}
	if info, err := os.Stat(dir + "/" + system.SecretsKeyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if messages.Len() == 0 || log.Len() == 0 {
		t.Errorf("%d bytes of messages and %d of log: too few to look into", messages.Len(), log.Len())
	}
}

func requireAbsent(t *testing.T, way string, written []string, places map[string]string) {
	t.Helper()
	for place, text := range places {
		for _, one := range written {
			if at := strings.Index(text, one); at >= 0 {
				t.Errorf("%s is in %s: …%s…", way, place, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}

// requireNotStored looks into every column of every table.
func requireNotStored(t *testing.T, db *sql.DB, way, sentinel string) {
	t.Helper()
	tables, err := db.QueryContext(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tables.Close() }()
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := tables.Err(); err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		requireNotIn(t, db, name, way, sentinel)
	}
}

func requireNotIn(t *testing.T, db *sql.DB, table, way, sentinel string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]sql.RawBytes, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		for i, value := range values {
			if bytes.Contains(value, []byte(sentinel)) || bytes.Contains(value, []byte(base64.StdEncoding.EncodeToString([]byte(sentinel))[:16])) {
				t.Errorf("%s is in %s.%s", way, table, columns[i])
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
