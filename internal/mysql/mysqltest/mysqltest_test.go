package mysqltest

import (
	"database/sql"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// counts is the number of rows of every table of the template, in db's schema.
func counts(t *testing.T, db *sql.DB, schema string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for _, tbl := range shared(t).tables {
		from := quote(tbl.name)
		if schema != "" {
			from = in(schema, tbl.name)
		}
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+from).Scan(&n); err != nil {
			t.Fatal(err)
		}
		got[tbl.name] = n
	}
	return got
}

func name(t *testing.T, db *sql.DB) string {
	t.Helper()
	var schema string
	if err := db.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

func exec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

const insertStats = "INSERT INTO job_stats (job_id) VALUES (1), (2), (3)"

// TestSchemaIsUsedAgain is not parallel, so that the second test gets the
// first one's schema.
func TestSchemaIsUsedAgain(t *testing.T) {
	var first string
	tests := []struct {
		name  string
		dirty []string
	}{
		{"rows left behind", []string{insertStats, "DELETE FROM categories"}},
		{"many rows left behind", []string{
			insertStats,
			"INSERT INTO job_stats (job_id) SELECT a.job_id * 1000 + b.n FROM job_stats a JOIN (SELECT ROW_NUMBER() OVER () AS n FROM information_schema.columns LIMIT 900) b",
		}},
		{"a table dropped", []string{"DROP TABLE job_stats"}},
		{"nothing left behind", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := New(t)
			if first == "" {
				first = name(t, db)
			}
			if got := name(t, db); got != first {
				t.Errorf("schema %s, want %s again", got, first)
			}
			want := counts(t, db, shared(t).template())
			if diff := cmp.Diff(want, counts(t, db, "")); diff != "" {
				t.Errorf("rows differ from the template's (-want +got):\n%s", diff)
			}
			for _, statement := range tt.dirty {
				exec(t, db, statement)
			}
		})
	}
}

func TestTestsAtTheSameTimeDoNotMeet(t *testing.T) {
	one, other := New(t), New(t)
	if name(t, one) == name(t, other) {
		t.Fatalf("both have %s", name(t, one))
	}
	exec(t, one, insertStats)
	exec(t, other, insertStats)
}

func TestEmptyHasNoTable(t *testing.T) {
	t.Parallel()
	db := Empty(t)
	var n int
	err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()").Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("%d tables (%v), want none", n, err)
	}
}
