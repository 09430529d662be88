package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
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
	// daysCounted counts transactions that change the counts of the history's days.
	daysCounted subject = "days"
)

// generationRows is how many rows a generation is spread over, so that those who
// write at once do not wait for each other; it is their sum.
const generationRows = 16

// raise raises a generation, at the end of a transaction that changes what is
// kept of it.
func raise(ctx context.Context, tx *sql.Tx, of subject) error {
	_, err := execSQL(ctx, tx, "INSERT INTO generations (name, generation) VALUES (?, 1) ON DUPLICATE KEY UPDATE generation = generation + 1",
		fmt.Sprintf("%s %02d", of, rand.N(generationRows)))
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
	if generation, err = stored(ctx, db, k.of); err != nil {
		return value, 0, err
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
