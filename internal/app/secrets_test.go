package app

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// onServer is an environment on a test's own schema, by the server's master.
func onServer(t *testing.T) (Env, mysql.Options) {
	t.Helper()
	at := mysqltest.Options(t)
	return Env{
		Log: slog.New(slog.DiscardHandler),
		Config: config.Config{DB: config.Database{
			Host: at.Host, Port: at.Port, Name: at.Database, TLSCA: config.TLSOff,
		}},
	}.withDefaults(), at
}

// user is a database user of the test's own, dropped when it ends.
func user(t *testing.T, at mysql.Options) (name string, exec func(string)) {
	t.Helper()
	name = "t_" + strings.ToLower(at.Database[len(at.Database)-20:])
	admin, err := mysql.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	exec = func(statement string) {
		t.Helper()
		if _, err := admin.ExecContext(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", strings.Fields(statement)[0], err)
		}
	}
	exec("DROP USER IF EXISTS '" + name + "'@'%'")
	t.Cleanup(func() {
		exec("DROP USER IF EXISTS '" + name + "'@'%'")
		_ = admin.Close()
	})
	return name, exec
}

func TestMigrateMakesTheFunctionsUser(t *testing.T) {
	t.Parallel()
	env, at := onServer(t)
	if err := mysqltest.Empty(t).QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&at.Database); err != nil {
		t.Fatal(err)
	}
	env.Config.DB.Name = at.Database
	name, _ := user(t, at)
	cfg := &env.Config
	cfg.DB.AdminSecretARN, cfg.DB.SecretARN, cfg.AdminSecretARN = t.Name()+"/master", t.Name()+"/user", t.Name()+"/admin"
	secrets.Put(cfg.DB.AdminSecretARN, time.Time{}, map[string]string{"username": at.User, "password": at.Password})
	secrets.Put(cfg.DB.SecretARN, time.Time{}, map[string]string{"username": name, "password": `first'"\%_?`})
	secrets.Put(cfg.AdminSecretARN, time.Time{}, map[string]string{"email": "root@example.com", "password": "first-admin's"})
	// Two instances at once, of which each may find the other's work done.
	var all sync.WaitGroup
	results, handlers := make([]MigrateResult, 2), make([]MigrateHandler, 2)
	for i := range results {
		var closeAll func() error
		var err error
		if handlers[i], closeAll, err = NewMigrate(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = closeAll() }()
		all.Go(func() {
			var err error
			if results[i], err = handlers[i](t.Context(), MigrateEvent{Command: "up"}); err != nil {
				t.Errorf("migrate: %v", err)
			}
		})
	}
	all.Wait()
	handler := handlers[0]
	if results[0].AdminCreated == results[1].AdminCreated || results[0].Version == 0 || results[0].Version != results[1].Version {
		t.Errorf("results: %+v", results)
	}
	if done, err := handler(t.Context(), MigrateEvent{}); err != nil || done.DatabaseUser != "unchanged" || done.AdminCreated {
		t.Errorf("again: %+v, %v", done, err)
	}

	// The functions' user works on the tables, and changes no schema.
	own := env
	own.Config.DB.AdminSecretARN = ""
	db, err := own.openDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for statement, allowed := range map[string]bool{
		"SELECT COUNT(*) FROM users":            true,
		"DELETE FROM rate_limits":               true,
		"UPDATE categories SET name = name":     true,
		"DROP TABLE rate_limits":                false,
		"CREATE TABLE sneaky (id INT)":          false,
		"ALTER TABLE jobs ADD COLUMN x INT":     false,
		"DELETE FROM goose_db_version":          false,
		"CREATE USER 'sneaky'@'%'":              false,
		"SELECT COUNT(*) FROM mysql.user":       false,
		"GRANT SELECT ON *.* TO CURRENT_USER()": false,
	} {
		if _, err := db.ExecContext(t.Context(), statement); (err == nil) != allowed {
			t.Errorf("%s: %v", statement, err)
		}
	}

	// A new password is set by the next migration, and an instance that holds the
	// old one finds the new.
	secrets.Put(cfg.DB.SecretARN, time.Time{}, map[string]string{"username": name, "password": "second"})
	if done, err := handler(t.Context(), MigrateEvent{Command: "up"}); err != nil || done.DatabaseUser != "created or changed" {
		t.Errorf("with another password: %+v, %v", done, err)
	}
}

func TestARefusedLoginIsReadAgainOnceAMinute(t *testing.T) {
	t.Parallel()
	env, at := onServer(t)
	name, exec := user(t, at)
	now := time.Now()
	arn := t.Name() + now.Format("/150405.000000000") // its reads are counted from none, in a second run as well
	env.Now = func() time.Time { return now }
	env.Config.DB.SecretARN = arn
	secrets.Put(arn, now, map[string]string{"username": name, "password": "old"})
	exec("CREATE USER '" + name + "'@'%' IDENTIFIED BY 'old'")
	exec("GRANT SELECT ON `" + at.Database + "`.* TO '" + name + "'@'%'")
	db, err := env.openDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	connect := func() error {
		db.SetMaxIdleConns(0) // so that each ping connects
		return db.PingContext(t.Context())
	}
	for step, tc := range []struct {
		server, secret string // passwords; "" leaves one as it is
		pass           time.Duration
		good           bool
		reads          int // of the secret, so far
	}{
		{good: true, reads: 1},
		{server: "new", secret: "new", good: false, reads: 1}, // read a moment ago
		{pass: 61 * time.Second, good: true, reads: 2},
		{good: true, reads: 2},
		{server: "newer", pass: 61 * time.Second, good: false, reads: 3}, // the secret comes later
		{secret: "newer", pass: 30 * time.Second, good: false, reads: 3},
		{pass: 31 * time.Second, good: true, reads: 4},
	} {
		now = now.Add(tc.pass)
		if tc.server != "" {
			exec("ALTER USER '" + name + "'@'%' IDENTIFIED BY '" + tc.server + "'")
		}
		if tc.secret != "" {
			secrets.Put(arn, now, map[string]string{"username": name, "password": tc.secret})
		}
		err := connect()
		if (err == nil) != tc.good || err != nil && !mysql.IsLoginRefused(err) {
			t.Errorf("step %d: %v", step, err)
		}
		if got := secrets.Reads(arn); got != tc.reads {
			t.Errorf("step %d: the secret was read %d times, not %d", step, got, tc.reads)
		}
	}
}

const (
	firstKey  = "first-key-first-key-first-key-first-key"
	secondKey = "second-key-second-key-second-key-second"
)

// Two instances of the API, of which one learns of a new key before the other:
// whoever is signed in stays so on both, all the time.
func TestAKeyIsRotatedWithoutSigningAnyoneOut(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	arn := t.Name()
	now := time.Now().UTC().Truncate(time.Millisecond)
	clock := func() time.Time { return now }
	store := mysql.NewAccounts(db)
	if _, err := account.EnsureAdmin(t.Context(), store, "root@example.com", "first-admin's", now); err != nil {
		t.Fatal(err)
	}
	secrets.Put(arn, now.Add(-time.Hour), map[string]string{"current": firstKey, "previous": ""})
	instance := func() *account.Service {
		env := Env{Config: config.Config{JWT: config.JWT{SecretARN: arn}}, Now: clock}.withDefaults()
		keys, err := env.tokenKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		service, err := account.NewService(t.Context(), store, account.Config{
			Keys: keys, AccessLifetime: 15 * time.Minute, RememberLifetime: 7 * 24 * time.Hour,
		}, clock)
		if err != nil {
			t.Fatal(err)
		}
		return service
	}
	old := instance()
	signedIn, err := old.Login(t.Context(), account.Login{Email: "root@example.com", Password: "first-admin's"})
	if err != nil {
		t.Fatal(err)
	}
	free := func(context.Context, int64) error { return nil }
	good := func(what string, on *account.Service, tokens account.SignedIn) {
		t.Helper()
		if _, err := on.Authenticate(t.Context(), tokens.AccessToken); err != nil {
			t.Errorf("%s: access token: %v", what, err)
		}
	}

	// The key is rotated; forged tokens make the old instance ask just before.
	forged := strings.Replace(signedIn.AccessToken, ".", "x.", 1)
	if _, err := old.Authenticate(t.Context(), forged); err == nil {
		t.Error("a forged token is taken")
	}
	rotated := now.Add(time.Second)
	now = rotated
	secrets.Put(arn, rotated, map[string]string{"current": secondKey, "previous": firstKey})
	fresh := instance()
	good("old token, new instance", fresh, signedIn)
	refreshed, err := fresh.Refresh(t.Context(), signedIn.RefreshToken, free)
	if err != nil {
		t.Fatalf("refresh on the new instance: %v", err)
	}
	good("token of the new instance, old instance", old, refreshed)

	// Later the new key signs, and the old instance learns of it.
	now = rotated.Add(100 * time.Second)
	again, err := fresh.Refresh(t.Context(), refreshed.RefreshToken, free)
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	good("token of the new key, new instance", fresh, again)
	good("token of the new key, old instance", old, again)
	now = now.Add(time.Minute)
	if _, err := old.Refresh(t.Context(), again.RefreshToken, free); err != nil {
		t.Errorf("refresh on the old instance: %v", err)
	}
	good("token of the first key", old, signedIn)
}

func TestSecretsThatCannotBeUsedSayWhatToDo(t *testing.T) {
	t.Parallel()
	const hidden = "s3ntinel"
	login := func(env Env, arn string) error { _, err := env.logins(t.Context(), arn); return err }
	keys := func(env Env, arn string) error {
		env.Config.JWT.SecretARN = arn
		source, err := env.tokenKeys(t.Context())
		if err == nil {
			_, err = source.Keys(t.Context())
		}
		return err
	}
	admin := func(env Env, arn string) error {
		env.Config.AdminSecretARN = arn
		_, _, err := env.firstAdmin(t.Context())
		return err
	}
	for name, tc := range map[string]struct {
		text string
		read func(Env, string) error
		want string
	}{
		"missing":         {"", login, "deploy the data stack, or mend the ARN"},
		"not JSON":        {hidden, login, "must hold a JSON object of texts"},
		"not texts":       {`{"username":"u","password":["` + hidden + `"]}`, login, "must hold a JSON object of texts"},
		"no password":     {`{"username":"` + hidden + `"}`, login, "must hold username and password"},
		"short key":       {`{"current":"` + hidden + `"}`, keys, "at least 32 bytes"},
		"short previous":  {`{"current":"` + firstKey + `","previous":"` + hidden + `"}`, keys, "at least 32 bytes"},
		"half an admin":   {`{"password":"` + hidden + `"}`, admin, "must hold email and password"},
		"no admin's text": {"", admin, "deploy the data stack"},
	} {
		arn := t.Name() + "/" + name
		if tc.text != "" {
			secrets.PutText(arn, time.Time{}, tc.text)
		}
		err := tc.read(Env{}.withDefaults(), arn)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), arn) {
			t.Errorf("%s: err = %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}
