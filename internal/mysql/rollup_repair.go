package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// RollupFault is an hour of a job whose summary is not what its history adds
// up to.
type RollupFault struct {
	JobID           int64
	Hour            time.Time
	Stored, Counted execution.Summary
}

// String says what differs.
func (f RollupFault) String() string {
	figures := func(s execution.Summary) string {
		return fmt.Sprintf("%+v, duration %d ms in all and %d at most, lateness %d and %d", s.Outcomes,
			s.Duration.Sum, s.Duration.Max, s.Lateness.Sum, s.Lateness.Max)
	}
	return fmt.Sprintf("job %d, %s: stored %s; counted %s", f.JobID, f.Hour.Format(time.RFC3339), figures(f.Stored), figures(f.Counted))
}

// Repaired is what Repair did.
type Repaired struct {
	Jobs   int           // that were looked at
	Faults []RollupFault // at most maxFaults of them
	Hours  int           // that were at fault
	// Unread is how many outcomes' records a fold could not read and set aside.
	// What they held is in the history, so that a repair makes up for them, and
	// removes them at its end.
	Unread int
}

const (
	// recountJobs is how many jobs are counted at a time.
	recountJobs = 20
	maxFaults   = 100
)

// Repair counts every job's history anew and compares it with the summaries,
// hour by hour, leaving out what retention may have removed. Unless it is only
// to look, it puts right what differs. It may run beside everything else.
func (s *Rollups) Repair(ctx context.Context, onlyLook bool) (Repaired, error) {
	unread, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT id FROM rollup_deltas_unread ORDER BY id")
	if err != nil {
		return Repaired{}, translate(err)
	}
	done := Repaired{Unread: len(unread)}
	last := int64(0)
	for {
		jobs, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT id FROM jobs WHERE id > ? ORDER BY id LIMIT ?", last, recountJobs)
		if err != nil {
			return done, translate(err)
		}
		if len(jobs) == 0 {
			return done, s.forgetUnread(ctx, unread, onlyLook)
		}
		last = jobs[len(jobs)-1]
		var faults []RollupFault
		err = inTx(ctx, s.db, func(tx *sql.Tx) error {
			if !onlyLook {
				if _, err := takeUpkeep(ctx, tx, foldLock); err != nil {
					return err
				}
			}
			count, err := recountOf(ctx, tx, jobs)
			if err != nil {
				return err
			}
			faults = count.faults()
			if onlyLook || len(faults) == 0 {
				return nil
			}
			return count.repair(ctx, tx, faults)
		})
		if err != nil {
			return done, err
		}
		done.Jobs += len(jobs)
		done.Hours += len(faults)
		done.Faults = append(done.Faults, faults[:min(len(faults), maxFaults-len(done.Faults))]...)
	}
}

// forgetUnread removes records that were set aside, once all is counted anew.
func (s *Rollups) forgetUnread(ctx context.Context, unread []int64, onlyLook bool) error {
	if onlyLook {
		return nil
	}
	for batch := range slices.Chunk(ids(unread, func(id int64) int64 { return id }), summaryBatch) {
		if _, err := execSQL(ctx, s.db, "DELETE FROM rollup_deltas_unread WHERE id IN ("+placeholders(len(batch))+")", batch...); err != nil {
			return translate(err)
		}
	}
	return nil
}

// jobHour is an hour of a job.
type jobHour struct {
	jobID int64
	hour  int64 // Unix seconds
}

// recount is the history of some jobs and their summaries, as they were at one
// moment.
type recount struct {
	categories map[int64]int64
	purged     map[int64]time.Time
	counted    map[jobHour]*execution.Summary
	// folded and pending are the summary together; folded by category.
	folded  map[rollupKey]*execution.Summary
	pending map[jobHour]*execution.Summary
	// expired is the time before which summaries are not kept, though history
	// may be.
	expired time.Time
}

// recountOf reads all in one statement, which sees one state of the database.
func recountOf(ctx context.Context, q querier, jobs []int64) (*recount, error) {
	c := &recount{
		categories: map[int64]int64{}, purged: map[int64]time.Time{}, counted: map[jobHour]*execution.Summary{},
		folded: map[rollupKey]*execution.Summary{}, pending: map[jobHour]*execution.Summary{},
	}
	const nothing = "0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, NULL"
	args := ids(jobs, func(id int64) int64 { return id })
	of := " IN (" + placeholders(len(args)) + ")"
	query := strings.Join([]string{
		"SELECT 'job' AS kind, id, NULL AS at, category_id, '' AS status, NULL AS instants, " + nothing + ", NULL AS started, NULL AS ended FROM jobs WHERE id" + of,
		"SELECT 'expired', 0, NULL, position, '', NULL, " + nothing + ", NULL, NULL FROM upkeep WHERE name = '" + summariesExpired + "'",
		"SELECT 'purged', job_id, purged_before, 0, '', NULL, " + nothing + ", NULL, NULL FROM job_stats WHERE job_id" + of,
		"SELECT 'rollup', job_id, hour, category_id, '', NULL, " + summaryColumns + ", NULL, NULL FROM rollups WHERE job_id" + of,
		"SELECT 'pending', 0, NULL, 0, '', NULL, 0, 0, 0, 0, 0, 0, 0, 0, samples, 0, 0, NULL, NULL, NULL FROM rollup_deltas",
		"SELECT 'execution', job_id, scheduled_for, 0, CONCAT(status), missed_count, " + nothing + ", started_at, ended_at FROM executions WHERE job_id" + of +
			" AND status IN ('success', 'failed', 'skipped', 'missed', 'cancelled', 'abandoned')",
	}, " UNION ALL ")
	_, err := queryAllSQL(ctx, q, func(rows *sql.Rows) (struct{}, error) { return struct{}{}, c.read(rows, jobs) }, query, slices.Concat(args, args, args, args)...)
	return c, err
}

// read takes one row of the statement.
func (c *recount) read(rows *sql.Rows, jobs []int64) error {
	var (
		kind           string
		jobID          int64
		at             sql.NullTime
		category       int64
		status         execution.Status
		missed         sql.NullInt64
		stored         storedSummary
		started, ended sql.NullTime
	)
	targets := append([]any{&kind, &jobID, &at, &category, &status, &missed}, stored.targets()...)
	if err := rows.Scan(append(targets, &started, &ended)...); err != nil {
		return err
	}
	hour := jobHour{jobID, execution.HourOf(at.Time).Unix()}
	switch kind {
	case "job":
		c.categories[jobID] = category
	case "expired":
		c.expired = time.Unix(category, 0).UTC()
	case "purged":
		c.purged[jobID] = at.Time
	case "rollup":
		sum := &execution.Summary{}
		c.folded[rollupKey{jobID, hour.hour, category}] = sum
		return stored.addTo(sum)
	case "pending":
		return decodePending(stored.durations, func(s execution.Sample) {
			if slices.Contains(jobs, s.JobID) {
				summaryAt(c.pending, jobHour{s.JobID, s.ScheduledFor.Unix()}).Add(s)
			}
		})
	case "execution":
		sample := execution.Sample{Status: status, Count: 1}
		if status == execution.Missed {
			sample.Count = instants(missed)
		}
		if sample.Ran = status.Ran() && started.Valid && ended.Valid; sample.Ran {
			sample.Duration, sample.Lateness = ended.Time.Sub(started.Time), started.Time.Sub(at.Time)
		}
		summaryAt(c.counted, hour).Add(sample)
	}
	return nil
}

// faults are the hours whose summary differs from the history.
func (c *recount) faults() []RollupFault {
	stored := map[jobHour]*execution.Summary{}
	for key, sum := range c.folded {
		summaryAt(stored, jobHour{key.jobID, key.hour}).Merge(sum)
	}
	for key, sum := range c.pending {
		summaryAt(stored, key).Merge(sum)
	}
	for key := range c.counted {
		summaryAt(stored, key)
	}
	var faults []RollupFault
	for key, sum := range stored {
		hour := time.Unix(key.hour, 0).UTC()
		if counted := summaryAt(c.counted, key); !counted.Equal(sum) && !hour.Before(c.purged[key.jobID]) && !hour.Before(c.expired) {
			faults = append(faults, RollupFault{JobID: key.jobID, Hour: hour, Stored: *sum, Counted: *counted})
		}
	}
	slices.SortFunc(faults, func(a, b RollupFault) int {
		return rollupRows.compare(rollupKey{jobID: a.JobID, hour: a.Hour.Unix()}, rollupKey{jobID: b.JobID, hour: b.Hour.Unix()})
	})
	return faults
}

// repair adds what is missing to the category that the job has, or had in that
// hour, and to the totals.
func (c *recount) repair(ctx context.Context, tx *sql.Tx, faults []RollupFault) error {
	missing := map[rollupKey]*execution.Summary{}
	for _, f := range faults {
		key := rollupKey{f.JobID, f.Hour.Unix(), c.categories[f.JobID]}
		had := slices.SortedFunc(maps.Keys(c.folded), rollupRows.compare)
		if i := slices.IndexFunc(had, func(k rollupKey) bool { return k.jobID == key.jobID && k.hour == key.hour }); i >= 0 {
			key = had[i]
		}
		sum := &execution.Summary{}
		sum.Merge(&f.Counted)
		sum.Subtract(&f.Stored)
		missing[key] = sum
	}
	if err := addToTotals(ctx, tx, missing); err != nil {
		return err
	}
	if err := addSummaries(ctx, tx, rollupRows, missing); err != nil {
		return err
	}
	for _, f := range faults {
		// A maximum that was too large stays in the totals, where others may
		// have had it.
		if _, err := execSQL(ctx, tx, `UPDATE rollups SET duration_max = LEAST(duration_max, ?), lateness_max = LEAST(lateness_max, ?)
			WHERE job_id = ? AND hour = ?`, f.Counted.Duration.Max, f.Counted.Lateness.Max, f.JobID, f.Hour); err != nil {
			return err
		}
	}
	return nil
}

// summaryAt is the summary under a key, a new one where there is none.
func summaryAt[K comparable](in map[K]*execution.Summary, key K) *execution.Summary {
	if in[key] == nil {
		in[key] = &execution.Summary{}
	}
	return in[key]
}
