package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// subject is what generations are counted of: its rows of the table are named
// by it and a number.
type subject string

const (
	// jobsChanged counts transactions that make or remove jobs, or change what
	// they are counted by or where they stand in a list.
	jobsChanged subject = "jobs"
	// schedulesMoved counts transactions that change nothing of the jobs but their
	// next run.
	schedulesMoved subject = "schedules"
	// runsFolded counts the rows of rollup_deltas that are gone. With those that are
	// still there it counts transactions that end executions, which costs those
	// nothing; see ordered.
	runsFolded subject = "runs"
	// daysCounted counts transactions that change the counts of the history's days.
	daysCounted subject = "days"
)

// generationRows is how many rows a generation is spread over, so that those who
// write at once do not wait for each other; it is their sum.
const generationRows = 16

// raise raises a generation, at the end of a transaction that changes what is
// kept of it.
func raise(ctx context.Context, tx *sql.Tx, of subject) error { return raiseBy(ctx, tx, of, 1) }

// raiseBy is raise where one transaction stands for several.
func raiseBy(ctx context.Context, tx *sql.Tx, of subject, n int) error {
	_, err := execSQL(ctx, tx, "INSERT INTO generations (name, generation) VALUES (?, ?) ON DUPLICATE KEY UPDATE generation = generation + VALUES(generation)",
		fmt.Sprintf("%s %02d", of, rand.N(generationRows)), n)
	return err
}

// stored is the generation that is stored; it is never 0.
func stored(ctx context.Context, db *sql.DB, of subject) (int64, error) {
	found, err := queryAllSQL(ctx, db, scanInto[int64], "SELECT 1 + COALESCE(SUM(generation), 0) FROM generations WHERE name BETWEEN ? AND ?", string(of)+" 00", string(of)+" 99")
	if err != nil {
		return 0, err
	}
	return found[0], nil
}

// generations are those that a list of jobs changes with.
type generations struct {
	jobs int64 // 0 where it is not known
	// order is of what else its order changes with; 0 where there is nothing, or
	// where it is not known.
	order int64
}

// maxUnfolded is how many rows of rollup_deltas are counted to tell a generation.
// A tick leaves fewer, unless runs end so fast that nothing is kept for long.
const maxUnfolded = 1000

// ordered is stored for lists of jobs whose order changes with another subject,
// too; "" is none. Both are told by one statement, as they were at one instant.
func ordered(ctx context.Context, db *sql.DB, by subject) (all generations, err error) {
	if by == "" {
		all.jobs, err = stored(ctx, db, jobsChanged)
		return all, err
	}
	unfolded, args := "0", []any{}
	if by == runsFolded {
		unfolded, args = "(SELECT COUNT(*) FROM (SELECT 1 FROM rollup_deltas LIMIT ?) AS d)", []any{maxUnfolded + 1}
	}
	names := []any{string(jobsChanged) + " 00", string(jobsChanged) + " 99", string(by) + " 00", string(by) + " 99"}
	type row struct{ jobs, order, unfolded int64 }
	found, err := queryAllSQL(ctx, db, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.jobs, &r.order, &r.unfolded)
		return r, err
	},
		"SELECT 1 + COALESCE(SUM(IF(name BETWEEN ? AND ?, generation, 0)), 0), 1 + COALESCE(SUM(IF(name BETWEEN ? AND ?, generation, 0)), 0), "+unfolded+
			" FROM generations WHERE name BETWEEN ? AND ? OR name BETWEEN ? AND ?", slices.Concat(names, args, names)...)
	if err != nil {
		return all, err
	}
	all = generations{found[0].jobs, found[0].order + found[0].unfolded}
	if found[0].unfolded > maxUnfolded {
		all.order = 0
	}
	return all, nil
}

// keptAge is how long anything is kept at most: the release before, which may
// still write beside this one while it is deployed, does not raise all of it.
const keptAge = 5 * time.Minute

// kept is what has been read of a subject and is kept for as long as it is true,
// because reading it passes over many rows and is asked for all the time.
//
// It bears the generation that was read before it, and is used only where the
// stored generation is still the same. Whoever changes what it is made from
// raises that in the same transaction, so no instance answers with what another
// has changed.
type kept[T any] struct {
	of   subject
	read func(ctx context.Context, db *sql.DB) (T, error)

	mu         sync.Mutex
	generation int64 // 0: nothing is kept
	since      time.Time
	value      T // never changed once it is here
}

// get answers what is kept, or reads it, and the generation that it is of.
func (k *kept[T]) get(ctx context.Context, db *sql.DB) (value T, generation int64, err error) {
	return k.at(ctx, db, 0)
}

// at is get for who has read the generation; 0 is for who has not. What it answers
// may be of a later one.
func (k *kept[T]) at(ctx context.Context, db *sql.DB, generation int64) (value T, of int64, err error) {
	if generation == 0 {
		if generation, err = stored(ctx, db, k.of); err != nil {
			return value, 0, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// A generation only grows: what another has read since is true as well.
	if k.generation >= generation && time.Since(k.since) < keptAge {
		return k.value, k.generation, nil
	}
	began := time.Now()
	if value, err = k.read(ctx, db); err != nil {
		return value, 0, err
	}
	k.value, k.generation, k.since = value, generation, began
	return value, generation, nil
}
