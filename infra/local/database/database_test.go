package database

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// testChoice is the server that these tests start; make test names the one that
// the other tests run on.
func testChoice() string {
	if choice := os.Getenv("TEST_DB_CHOICE"); choice != "" {
		return choice
	}
	return Auto
}

// begin starts a server that keeps its data and ends with the test.
func begin(t *testing.T, dir string) *Server {
	t.Helper()
	server, err := Start(t.Context(), Options{DataDir: dir, Choice: testChoice(), Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	return server
}

func query[T any](t *testing.T, s *Server, schema, text string) T {
	t.Helper()
	db, err := open(s.DSN(schema), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var value T
	if err := db.QueryRowContext(t.Context(), text).Scan(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func execute(t *testing.T, s *Server, schema string, statements ...string) {
	t.Helper()
	db, err := open(s.DSN(schema), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a directory with spaces", "and one below")
	first := begin(t, dir)
	for range 2 { // the second finds it there
		if err := first.EnsureDatabase(t.Context(), "cron_jobs"); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, first, "cron_jobs", "CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (7)")

	if _, err := Start(t.Context(), Options{DataDir: dir, Choice: testChoice()}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second start answers %v, want ErrInUse", err)
	}
	for range 2 { // the second has nothing to do
		if err := first.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-first.Exited():
	default:
		t.Error("stopped, and not said to have exited")
	}

	second := begin(t, dir)
	if got := query[int](t, second, "cron_jobs", "SELECT n FROM t"); got != 7 {
		t.Errorf("after a restart %d, want 7", got)
	}
	if second.Password != first.Password {
		t.Error("the password changed")
	}
}

// TestServerTakesTheProductsSQL holds what the product's statements need beyond
// the common core.
func TestServerTakesTheProductsSQL(t *testing.T) {
	t.Parallel()
	server := begin(t, t.TempDir())
	if err := server.EnsureDatabase(t.Context(), "cron_jobs"); err != nil {
		t.Fatal(err)
	}
	execute(t, server, "cron_jobs",
		`CREATE TABLE t (
			id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
			name VARCHAR(100) NOT NULL,
			name_key VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
			status ENUM('on', 'off') NOT NULL DEFAULT 'on',
			at DATETIME(3) NOT NULL,
			size INT NOT NULL DEFAULT 1,
			CONSTRAINT small CHECK (size < 1000),
			UNIQUE KEY uq (name_key)
		) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci`,
		"INSERT INTO t (name, name_key, at) VALUES ('Ä', 'a', '2026-01-02 03:04:05.678'), ('b', 'b', '2026-01-02 03:04:05.678')",
		"INSERT INTO t (name, name_key, at) VALUES ('c', 'a', '2026-01-02 03:04:05.679'), ('d', 'd', '2026-01-02 03:04:05.679') "+
			"ON DUPLICATE KEY UPDATE name = VALUES(name), at = VALUES(at)",
		"BEGIN", "SELECT id FROM t WHERE id = 1 LOCK IN SHARE MODE", "COMMIT",
		"BEGIN", "SELECT id FROM t ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED", "COMMIT",
	)
	tests := []struct{ name, query, want string }{
		{"a multi-row upsert updates and inserts", "SELECT GROUP_CONCAT(name ORDER BY name_key) FROM t", "c,b,d"},
		{"milliseconds are kept", "SELECT CAST(at AS CHAR) FROM t WHERE name_key = 'a'", "2026-01-02 03:04:05.679"},
		{"rows compare as a whole", "SELECT COUNT(*) FROM t WHERE (name_key, status) IN (('a', 'on'), ('b', 'off'))", "1"},
		{"the collation folds case and accents", "SELECT 'Ä' COLLATE utf8mb4_unicode_ci = 'a'", "1"},
		{"the binary collation does not", "SELECT COUNT(*) FROM t WHERE name_key = 'A'", "0"},
		{"time is UTC", "SELECT ABS(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())) < 2", "1"},
		{"a recursive query", "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT SUM(i) FROM n", "15"},
	}
	for _, tt := range tests {
		if got := query[string](t, server, "cron_jobs", tt.query); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	db, err := open(server.DSN("cron_jobs"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "INSERT INTO t (size, name, name_key, at) VALUES (1000, 'x', 'x', NOW())"); err == nil {
		t.Error("a CHECK constraint is not enforced")
	}
}

// ownerDir makes the test binary a program that starts a server in the
// directory that it names, writes rows, tells each that was acknowledged, and
// never stops.
const ownerDir = "DATABASE_TEST_OWNER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDir); dir != "" {
		if err := own(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func own(dir string) error {
	ctx := context.Background()
	server, err := Start(ctx, Options{DataDir: dir, Choice: testChoice()})
	if err != nil {
		return err
	}
	if err := server.EnsureDatabase(ctx, "cron_jobs"); err != nil {
		return err
	}
	db, err := open(server.DSN("cron_jobs"), nil)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (n INT PRIMARY KEY)"); err != nil {
		return err
	}
	for n := 1; ; n++ {
		if _, err := db.ExecContext(ctx, "INSERT INTO t VALUES (?)", n); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestDataSurvivesAKill(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		kill func(owner, server int)
	}{
		{"of the program, which leaves the server behind", func(owner, _ int) { kill(owner) }},
		{"of the server", func(_, server int) { kill(server) }},
		{"of both", func(owner, server int) { kill(server); kill(owner) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			owner := exec.CommandContext(t.Context(), os.Args[0])
			owner.Env = append(os.Environ(), ownerDir+"="+dir)
			owner.Stderr = os.Stderr
			stdout, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Fatal(err)
			}
			acknowledged := 0
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				acknowledged++
				if acknowledged == 200 {
					at, err := loadState(dir)
					if err != nil {
						t.Fatal(err)
					}
					tt.kill(at.Owner, at.Server)
				}
			}
			if err := owner.Wait(); err == nil {
				t.Fatal("the program ended well")
			}
			if acknowledged < 200 {
				t.Fatalf("only %d rows were acknowledged", acknowledged)
			}
			server := begin(t, dir)
			if got := query[int](t, server, "cron_jobs", "SELECT COUNT(*) FROM t"); got < acknowledged {
				t.Errorf("%d rows, although %d were acknowledged", got, acknowledged)
			}
		})
	}
}
