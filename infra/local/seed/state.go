package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The state of a filling is kept in a table beside the product's: the plan, how
// much of each table is written, the indexes that are to be made again, and
// whether all is done.
const stateTable = "seed_large"

type state struct {
	plan     Plan
	finished bool
}

type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// openState reads the state, or begins one in an empty database.
func openState(ctx context.Context, db *sql.DB, p Plan) (state, error) {
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+stateTable+" (name VARCHAR(64) NOT NULL PRIMARY KEY, value TEXT NOT NULL)"); err != nil {
		return state{}, err
	}
	size := fmt.Sprintf("%d jobs, %d executions", p.Jobs, p.Executions)
	begun, err := getState(ctx, db, "size")
	if err != nil {
		return state{}, err
	}
	if begun == "" {
		var used bool
		if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM executions)").Scan(&used); err != nil {
			return state{}, err
		}
		if used {
			return state{}, ErrNotEmpty
		}
		return state{plan: p}, errors.Join(
			setState(ctx, db, "until", p.Until.Format(time.RFC3339)), setState(ctx, db, "size", size))
	}
	if begun != size {
		return state{}, fmt.Errorf("the database was filled, or began to be, with %s: %w", begun, ErrNotEmpty)
	}
	until, err := getState(ctx, db, "until")
	if err != nil {
		return state{}, err
	}
	if p.Until, err = time.Parse(time.RFC3339, until); err != nil {
		return state{}, err
	}
	finished, err := getState(ctx, db, "finished")
	return state{plan: p, finished: finished != ""}, err
}

// Unfinished reports a database whose filling was interrupted: it lacks indexes.
func Unfinished(ctx context.Context, db *sql.DB) (bool, error) {
	var begun bool
	err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?)", stateTable).Scan(&begun)
	if err != nil || !begun {
		return false, err
	}
	finished, err := getState(ctx, db, "finished")
	return finished == "", err
}

// getState is "" where nothing is kept by the name.
func getState(ctx context.Context, q querier, name string) (value string, err error) {
	err = q.QueryRowContext(ctx, "SELECT value FROM "+stateTable+" WHERE name = ?", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func setState(ctx context.Context, q querier, name, value string) error {
	_, err := q.ExecContext(ctx, "INSERT INTO "+stateTable+" (name, value) VALUES (?, ?) ON DUPLICATE KEY UPDATE value = VALUES(value)", name, value)
	return err
}

func getCount(ctx context.Context, q querier, table string) (int, error) {
	text, err := getState(ctx, q, table)
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.Atoi(text)
}
