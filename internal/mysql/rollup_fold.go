package mysql

import (
	"cmp"
	"context"
	"database/sql"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Rollups keeps the summaries of executions.
type Rollups struct {
	db     *sql.DB
	census *census
}

// NewRollups makes a store on a pool that Open made.
func NewRollups(db *sql.DB) *Rollups { return &Rollups{db: db, census: &census{db: db}} }

// Bounds of one transaction of Fold. A row holds what one transaction ended,
// which mostly is 50 executions.
const (
	foldRows    = 200
	foldSamples = 4000
)

// foldLock is the row of upkeep that whoever writes summaries holds.
const foldLock = "fold"

// Fold makes summaries of some ended executions, oldest first, and answers how
// many rows of rollup_deltas it used up: fewer than all where there are many.
// Folding twice at once is harmless. What is not folded yet is counted by every
// reader nevertheless, so that nothing but speed hangs on this.
func (s *Rollups) Fold(ctx context.Context) (int, error) {
	folded := 0
	waiting, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT id FROM rollup_deltas LIMIT 1")
	if err != nil || len(waiting) == 0 {
		return 0, translate(err)
	}
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		folded = 0
		if _, err := takeUpkeep(ctx, tx, foldLock); err != nil {
			return err
		}
		used, byKey, err := readDeltas(ctx, tx)
		if err != nil || len(used) == 0 {
			return err
		}
		if err := addToTotals(ctx, tx, byKey); err != nil {
			return err
		}
		if err := addSummaries(ctx, tx, rollupRows, byKey); err != nil {
			return err
		}
		deleted, err := execSQL(ctx, tx, "DELETE FROM rollup_deltas WHERE id IN ("+placeholders(len(used))+")", ids(used, func(id int64) int64 { return id })...)
		if err == nil && deleted != int64(len(used)) {
			return errLostRace // an engine whose lock did not hold
		}
		folded = len(used)
		return err
	})
	return folded, err
}

// takeUpkeep takes a row of upkeep for the rest of the transaction, and answers
// its position.
func takeUpkeep(ctx context.Context, tx *sql.Tx, name string) (int64, error) {
	if _, err := execSQL(ctx, tx, "INSERT INTO upkeep (name) VALUES (?) ON DUPLICATE KEY UPDATE name = VALUES(name)", name); err != nil {
		return 0, err
	}
	positions, err := queryAllSQL(ctx, tx, scanInto[int64], "SELECT position FROM upkeep WHERE name = ? FOR UPDATE", name)
	if err != nil || len(positions) == 0 {
		return 0, cmp.Or(err, sql.ErrNoRows)
	}
	return positions[0], nil
}

// readDeltas reads the oldest rows and what they add up to.
func readDeltas(ctx context.Context, tx *sql.Tx) (used []int64, byKey map[rollupKey]*execution.Summary, err error) {
	type delta struct {
		id      int64
		samples []byte
	}
	deltas, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (d delta, err error) {
		err = rows.Scan(&d.id, &d.samples)
		return d, err
	}, "SELECT id, samples FROM rollup_deltas ORDER BY id LIMIT ?", foldRows)
	if err != nil {
		return nil, nil, err
	}
	byKey = map[rollupKey]*execution.Summary{}
	samples := 0
	for _, d := range deltas {
		err := decodeSamples(d.samples, func(sample execution.Sample) {
			samples++
			key := rollupKey{sample.JobID, sample.ScheduledFor.Unix(), sample.CategoryID}
			summaryAt(byKey, key).Add(sample)
		})
		if err != nil {
			return nil, nil, err
		}
		used = append(used, d.id)
		if samples >= foldSamples {
			break
		}
	}
	return used, byKey, nil
}
