package mysql_test

import (
	"database/sql"
	"io/fs"
	"log/slog"
	"sync"
	"testing"

	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
	"github.com/cronjobs/cronjobs/migrations"
)

var quiet = slog.New(slog.DiscardHandler)

// tables counts the product's tables, leaving out goose's own.
func tables(t *testing.T, db *sql.DB) int {
	t.Helper()
	var n int
	err := db.QueryRowContext(t.Context(),
		"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// files is how many migrations there are; their numbers may have gaps.
func files(t *testing.T) int {
	t.Helper()
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	db := mysqltest.Empty(t)
	up, err := mysql.MigrateUp(t.Context(), db, quiet)
	if err != nil {
		t.Fatal(err)
	}
	made := tables(t, db)
	if up.Applied != files(t) || made == 0 || up.Version < int64(up.Applied) {
		t.Fatalf("up: %+v, %d tables", up, made)
	}
	if again, err := mysql.MigrateUp(t.Context(), db, quiet); err != nil || again.Applied != 0 || again.Version != up.Version {
		t.Errorf("up again: %+v, %v", again, err)
	}
	if down, err := mysql.MigrateDownTo(t.Context(), db, quiet, 0); err != nil || down.Version != 0 || down.Applied != up.Applied {
		t.Errorf("down: %+v, %v", down, err)
	}
	if left := tables(t, db); left != 0 {
		t.Errorf("%d tables are left after going down", left)
	}
	if back, err := mysql.MigrateUp(t.Context(), db, quiet); err != nil || back.Version != up.Version || tables(t, db) != made {
		t.Errorf("up after down: %+v, %v", back, err)
	}
}

// The release before is deployed on the schema of the one that it replaces.
func TestMigrateUpOnALaterRelease(t *testing.T) {
	t.Parallel()
	db := mysqltest.Empty(t)
	up, err := mysql.MigrateUp(t.Context(), db, quiet)
	if err != nil {
		t.Fatal(err)
	}
	later := up.Version + 1
	if _, err := db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, TRUE)", later); err != nil {
		t.Fatal(err)
	}
	if again, err := mysql.MigrateUp(t.Context(), db, quiet); err != nil || again.Applied != 0 || again.Version != later {
		t.Errorf("up: %+v, %v", again, err)
	}
}

func TestMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	db := mysqltest.Empty(t)
	var all sync.WaitGroup
	applied := make([]int, 3)
	seeded := make([]bool, 3)
	for i := range applied {
		all.Go(func() {
			done, err := mysql.MigrateUp(t.Context(), db, quiet)
			if err != nil {
				t.Errorf("up: %v", err)
				return
			}
			applied[i] = done.Applied
			if seeded[i], err = mysql.Seed(t.Context(), db, noon); err != nil {
				t.Errorf("seed: %v", err)
			}
		})
	}
	all.Wait()
	applications, seeds := 0, 0
	for i := range applied {
		applications += applied[i]
		if seeded[i] {
			seeds++
		}
	}
	state, err := mysql.MigrationState(t.Context(), db, quiet)
	if err != nil || applications != files(t) {
		t.Errorf("%d migrations were applied by three, the version is %d, %v", applications, state.Version, err)
	}
	if seeds != 1 {
		t.Errorf("seeded %d times", seeds)
	}
}

func TestSeedsHaveTheirIDsAndStayRemoved(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	if done, err := mysql.Seed(t.Context(), k.db, noon); err != nil || !done {
		t.Fatalf("seed: %t, %v", done, err)
	}
	if got := k.text("SELECT GROUP_CONCAT(CONCAT(id, '=', name) ORDER BY id SEPARATOR ', ') FROM categories"); got != "1=Data Sync, 2=Reports, 3=Maintenance, 4=Notifications" {
		t.Errorf("seeded %s", got)
	}
	k.exec("DELETE FROM categories WHERE id = 2")
	if done, err := mysql.Seed(t.Context(), k.db, noon); err != nil || done {
		t.Errorf("seeded again: %t, %v", done, err)
	}
	if c := k.category("Fifth"); c.ID <= 4 {
		t.Errorf("a new category has the id %d", c.ID)
	}
}
