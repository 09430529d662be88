package mysql

import (
	"strings"
	"testing"
	"time"

	"github.com/doug-martin/goqu/v9"
)

// The query builder has traps that once cost others their data. Each is held
// here.

func TestUpsertIsNoInsertIgnore(t *testing.T) {
	t.Parallel()
	query, _, err := dialect.Insert("jobs").Rows(goqu.Record{"id": 1}).OnConflict(goqu.DoUpdate("id", goqu.Record{"name": "x"})).ToSQL()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(query, "IGNORE") || !strings.Contains(query, "ON DUPLICATE KEY UPDATE") {
		t.Errorf("an upsert is written as %s", query)
	}
}

func TestValuesTravelAsArguments(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 30, 0, 123e6, time.UTC)
	query, args, err := dialect.From("jobs").Where(goqu.C("next_run_at").Eq(at), goqu.C("name").Eq("a\x00b'")).ToSQL()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(query, "2026") || strings.Contains(query, "'") || len(args) != 2 {
		t.Errorf("values are in the text: %s with %d arguments", query, len(args))
	}
	if got, ok := args[0].(time.Time); !ok || !got.Equal(at) {
		t.Errorf("the instant became %v", args[0])
	}
}

func TestConnectionPolicy(t *testing.T) {
	t.Parallel()
	cfg, err := driverConfig(Options{Host: "db.internal", Port: 3306, User: "u", Password: "p", Database: "d"})
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.ClientFoundRows || !cfg.ParseTime || !cfg.InterpolateParams || !cfg.RejectReadOnly || cfg.Loc != time.UTC {
		t.Errorf("policy: %+v", cfg)
	}
	if len(cfg.Params) > 0 {
		t.Errorf("the driver sets %v on every connection, needed or not", cfg.Params)
	}
	for _, one := range settings {
		if one.name == sqlMode && (!strings.Contains(one.value, "STRICT_TRANS_TABLES") || strings.Contains(one.value, "NO_BACKSLASH_ESCAPES")) {
			t.Errorf("interpolated parameters are escaped by backslashes, and what does not fit must be an error: %s", one.value)
		}
	}
}

func TestCutKeepsWholeCharacters(t *testing.T) {
	t.Parallel()
	if got := cut("äöü", 3); got != "äöü" {
		t.Errorf("cut at its length: %q", got)
	}
	if got := cut("äöüß", 3); got != "äö…" {
		t.Errorf("cut: %q", got)
	}
}
