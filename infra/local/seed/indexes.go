package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// dropIndexes removes a table's indexes beside its key, for as long as rows
// come in by the million: built at the end, sorted, they take a fraction of the
// time. What makes them again is kept first.
func dropIndexes(ctx context.Context, db *sql.DB, table string) error {
	kept, err := getState(ctx, db, "indexes")
	if err != nil || kept != "" {
		return err
	}
	found, err := indexes(ctx, db, table)
	if err != nil || len(found) == 0 {
		return err
	}
	var add, drop []string
	for _, index := range found {
		add = append(add, "ADD "+index.definition)
		drop = append(drop, "DROP KEY `"+index.name+"`")
	}
	if err := setState(ctx, db, "indexes", strings.Join(add, ", ")); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "ALTER TABLE "+table+" "+strings.Join(drop, ", "))
	return err
}

func restoreIndexes(ctx context.Context, db *sql.DB, table string, say func(string)) error {
	kept, err := getState(ctx, db, "indexes")
	if err != nil || kept == "" {
		return err
	}
	// An earlier run may have been interrupted before either statement.
	if found, err := indexes(ctx, db, table); err != nil || len(found) > 0 {
		return err
	}
	say(table + ": building the indexes")
	began := time.Now()
	if _, err := db.ExecContext(ctx, "ALTER TABLE "+table+" "+kept); err != nil {
		return err
	}
	say(fmt.Sprintf("%s: indexes built in %s", table, time.Since(began).Round(time.Second)))
	return nil
}

type index struct{ name, definition string }

// indexes lists a table's indexes, but for its primary key.
func indexes(ctx context.Context, db *sql.DB, table string) (all []index, err error) {
	found, err := db.QueryContext(ctx, `SELECT index_name, MAX(non_unique), GROUP_CONCAT(CONCAT('`+"`', column_name, '`"+`') ORDER BY seq_in_index)
		FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? AND index_name <> 'PRIMARY'
		GROUP BY index_name ORDER BY index_name`, table)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var name, columns string
		var repeats bool
		if err := found.Scan(&name, &repeats, &columns); err != nil {
			return nil, err
		}
		kind := "UNIQUE KEY"
		if repeats {
			kind = "KEY"
		}
		all = append(all, index{name, fmt.Sprintf("%s `%s` (%s)", kind, name, columns)})
	}
	return all, found.Err()
}
