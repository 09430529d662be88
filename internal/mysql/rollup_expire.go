package mysql

import (
	"context"
	"slices"
	"strings"
	"time"
)

const (
	// summariesExpired is the row of upkeep that says, in Unix seconds, before
	// which day summaries have been removed.
	summariesExpired = "summaries"
	// expireBatch is how many summaries one statement removes.
	expireBatch = 1000
)

// expireSummaries removes what is too old of some jobs' hours, and of the
// totals.
func (s *Retention) expireSummaries(ctx context.Context, jobs []int64, now time.Time, keep Keep, more func() bool) error {
	if keep.SummaryDays == 0 {
		return nil
	}
	before := utc(now).AddDate(0, 0, -keep.SummaryDays).Truncate(dayLength)
	// Said first: from now on a repair counts nothing that is older.
	err := inOne(ctx, s.db, "INSERT INTO upkeep (name, position) VALUES (?, ?) ON DUPLICATE KEY UPDATE position = GREATEST(position, VALUES(position))",
		summariesExpired, before.Unix())
	if err != nil {
		return err
	}
	for _, span := range []string{spanHour, spanDay, spanCategoryHour, spanCategoryDay} {
		if err := s.expire(ctx, more, "rollup_totals WHERE span = ? AND start < ?", span, before); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(jobs, purgeJoined) {
		var args []any
		for _, id := range some {
			args = append(args, id, before)
		}
		each := strings.TrimSuffix(strings.Repeat("job_id = ? AND hour < ? OR ", len(some)), " OR ")
		if err := s.expire(ctx, more, "rollups WHERE "+each, args...); err != nil {
			return err
		}
	}
	return nil
}

// expire removes rows a batch at a time.
func (s *Retention) expire(ctx context.Context, more func() bool, which string, args ...any) error {
	for more() {
		var removed int64
		err := standAlone(ctx, func() (err error) {
			removed, err = execSQL(ctx, s.db, "DELETE FROM "+which+" LIMIT ?", append(slices.Clone(args), expireBatch)...)
			return err
		})
		if err != nil || removed < expireBatch {
			return err
		}
	}
	return nil
}
