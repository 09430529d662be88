package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Rollups keeps the summaries of executions.
type Rollups struct {
	db     *sql.DB
	census *census
}

// NewRollups makes a store on a pool that Open made.
func NewRollups(db *sql.DB) *Rollups { return &Rollups{db: db, census: newCensus(db)} }

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
		used, unread, byKey, err := readDeltas(ctx, tx)
		if err != nil || len(used) == 0 {
			return err
		}
		if err := setAside(ctx, tx, unread); err != nil {
			return err
		}
		if err := settleRevived(ctx, tx, byKey); err != nil {
			return err
		}
		if err := addToTotals(ctx, tx, byKey); err != nil {
			return err
		}
		if err := addSummaries(ctx, tx, rollupRows, byKey); err != nil {
			return err
		}
		deleted, err := execSQL(ctx, tx, "DELETE FROM rollup_deltas WHERE id IN ("+placeholders(len(used))+")", ids(used, func(id int64) int64 { return id })...)
		if err != nil {
			return err
		}
		if deleted != int64(len(used)) {
			return errLostRace // an engine whose lock did not hold
		}
		folded = len(used)
		return raiseBy(ctx, tx, runsFolded, folded)
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

// setAside keeps rows that cannot be read, of which there is none unless
// something else has written to the table, from stopping all others. A repair
// makes up for them.
func setAside(ctx context.Context, tx *sql.Tx, unread []int64) error {
	if len(unread) == 0 {
		return nil
	}
	slog.ErrorContext(ctx, "outcomes' records cannot be read; repair-rollups makes up for them", "unread", len(unread))
	_, err := execSQL(ctx, tx, "INSERT INTO rollup_deltas_unread (id, samples) SELECT id, samples FROM rollup_deltas WHERE id IN ("+placeholders(len(unread))+")",
		ids(unread, func(id int64) int64 { return id })...)
	return err
}

// settleRevived takes cancelled executions that live again from the category
// that they were counted in, where their job has come into another one since.
func settleRevived(ctx context.Context, tx *sql.Tx, byKey map[rollupKey]*execution.Summary) error {
	for _, key := range slices.SortedFunc(maps.Keys(byKey), rollupRows.compare) {
		if byKey[key].Cancelled >= 0 {
			continue
		}
		left := map[int64]int64{} // cancelled, by category
		_, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (_ struct{}, err error) {
			var category, n int64
			err = rows.Scan(&category, &n)
			left[category] = n
			return struct{}{}, err
		}, "SELECT category_id, cancelled FROM rollups WHERE job_id = ? AND hour = ?", key.jobID, time.Unix(key.hour, 0).UTC())
		if err != nil {
			return err
		}
		for other, sum := range byKey {
			if other.jobID == key.jobID && other.hour == key.hour {
				left[other.categoryID] += sum.Cancelled
			}
		}
		for _, category := range slices.Sorted(maps.Keys(left)) {
			if taken := min(-left[key.categoryID], left[category]); taken > 0 {
				summaryAt(byKey, rollupKey{key.jobID, key.hour, category}).Cancelled -= taken
				byKey[key].Cancelled += taken
				left[key.categoryID] += taken
			}
		}
	}
	return nil
}

// readDeltas reads the oldest rows, which of them cannot be read, and what the
// others add up to.
func readDeltas(ctx context.Context, tx *sql.Tx) (used, unread []int64, byKey map[rollupKey]*execution.Summary, err error) {
	type delta struct {
		id      int64
		samples []byte
	}
	deltas, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (d delta, err error) {
		err = rows.Scan(&d.id, &d.samples)
		return d, err
	}, "SELECT id, samples FROM rollup_deltas ORDER BY id LIMIT ?", foldRows)
	if err != nil {
		return nil, nil, nil, err
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
			unread = append(unread, d.id)
		}
		used = append(used, d.id)
		if samples >= foldSamples {
			break
		}
	}
	return used, unread, byKey, nil
}
