package mysql_test

import (
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

func TestEveryConnectionReadsCommitted(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	// Two transactions on two connections: the first sees, in one
	// transaction, what the second commits. Under the server's default it
	// would not.
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	count := func() (n int) {
		if err := tx.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM categories").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO categories (name, name_key, color, created_at, updated_at)
		VALUES ('Seen', 'seen', '#000000', ?, ?)`, noon, noon); err != nil {
		t.Fatal(err)
	}
	if after := count(); after != before+1 {
		t.Errorf("a commit of another connection is not seen: %d rows before, %d after", before, after)
	}
}

func TestInstantsKeepTheirMilliseconds(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	want := time.Date(2026, 3, 29, 1, 30, 0, 987e6, time.UTC)
	if _, err := db.ExecContext(t.Context(), `INSERT INTO categories (name, name_key, color, created_at, updated_at)
		VALUES ('Timed', 'timed', '#000000', ?, ?)`, want, want); err != nil {
		t.Fatal(err)
	}
	var got time.Time
	if err := db.QueryRowContext(t.Context(), "SELECT created_at FROM categories WHERE name_key = 'timed' AND created_at = ?", want).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if !got.Equal(want) {
		t.Errorf("stored %s, read %s", want, got)
	}
}
