package mysql

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

const (
	dayLength = 24 * time.Hour
	// daysWalk is the row of upkeep of who counts days: the last that was
	// counted, as Unix seconds.
	daysWalk = "days"
	// dayRests is how long after its end a day is counted first: by then most
	// of its runs have come to their end.
	dayRests = time.Hour
	// daysAgain is how many days one step counts again, for runs may end late: so
	// few that nobody who reads meanwhile has to wait for it.
	daysAgain = 5
	// maxDay is how many executions a day may hold to be counted. A history
	// with larger ones has no deep pages.
	maxDay = 2_000_000
)

// CountDays counts the days that have ended since it was called last, and some
// earlier ones anew, while there is time for more. It answers how many.
func (s *History) CountDays(ctx context.Context, now time.Time, more func() bool) (counted int, err error) {
	oldest, err := queryAllSQL(ctx, s.db, scanInto[time.Time],
		"SELECT scheduled_for FROM executions FORCE INDEX (ix_executions_scheduled) ORDER BY scheduled_for LIMIT 1")
	if err != nil || len(oldest) == 0 {
		return 0, translate(err)
	}
	first, end := oldest[0].Truncate(dayLength), utc(now).Add(-dayRests).Truncate(dayLength)
	if err := s.forgetDays(ctx, first); err != nil {
		return 0, translate(err)
	}
	newest, err := queryAllSQL(ctx, s.db, scanInto[sql.NullTime], "SELECT MAX(day) FROM history_days")
	if err != nil {
		return 0, translate(err)
	}
	next := first
	if newest[0].Valid {
		next = newest[0].Time.Add(dayLength)
	}
	for ; next.Before(end) && more(); next = next.Add(dayLength) {
		if fits, err := s.countDay(ctx, next); err != nil || !fits {
			return counted, translate(err)
		}
		counted++
	}
	positions, err := queryAllSQL(ctx, s.db, scanInto[int64], "SELECT position FROM upkeep WHERE name = ?", daysWalk)
	if err != nil || len(positions) == 0 || next.Before(end) {
		return counted, translate(err)
	}
	again := time.Unix(positions[0], 0).UTC()
	for range min(daysAgain, int(end.Sub(first)/dayLength)-counted) {
		if again = again.Add(dayLength); again.Before(first) || !again.Before(end) {
			again = first
		}
		if !more() {
			break
		}
		if fits, err := s.countDay(ctx, again); err != nil || !fits {
			return counted, translate(err)
		}
		counted++
	}
	return counted, nil
}

// forgetDays forgets the counts of days before the history begins.
func (s *History) forgetDays(ctx context.Context, first time.Time) error {
	there, err := queryAllSQL(ctx, s.db, scanInto[bool], "SELECT EXISTS (SELECT 1 FROM history_days WHERE day < ?)", first)
	if err != nil || !there[0] {
		return err
	}
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		for _, gone := range []string{"DELETE FROM history_hours WHERE hour < ?", "DELETE FROM history_days WHERE day < ?"} {
			if _, err := execSQL(ctx, tx, gone, first); err != nil {
				return err
			}
		}
		return raise(ctx, tx, daysCounted)
	})
}

// countDay counts one day, unless it holds too much for that.
func (s *History) countDay(ctx context.Context, day time.Time) (fits bool, err error) {
	sums, err := queryAllSQL(ctx, s.db, scanInto[int64],
		"SELECT success + failed + skipped + cancelled + abandoned FROM rollup_totals WHERE span = 'day' AND start = ? AND category_id = 0", day)
	if err != nil || len(sums) > 0 && sums[0] > maxDay {
		return false, err
	}
	type kind struct {
		status, trigger string
		hour            int
		n               int64
	}
	return true, inTx(ctx, s.db, func(tx *sql.Tx) error {
		if _, err := takeUpkeep(ctx, tx, daysWalk); err != nil {
			return err
		}
		kinds, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (k kind, err error) {
			err = rows.Scan(&k.status, &k.trigger, &k.hour, &k.n)
			return k, err
		}, "SELECT e.status, e.trigger_type, HOUR(e.scheduled_for), COUNT(*) FROM executions e FORCE INDEX (ix_executions_kind) WHERE e.status IN ("+
			placeholders(len(execution.Statuses))+") AND e.trigger_type IN ("+placeholders(len(execution.Triggers))+
			") AND e.scheduled_for >= ? AND e.scheduled_for < ? GROUP BY e.status, e.trigger_type, HOUR(e.scheduled_for)",
			slices.Concat(anys(execution.Statuses), anys(execution.Triggers), []any{day, day.Add(dayLength)})...)
		if err != nil {
			return err
		}
		if len(kinds) == 0 {
			kinds = []kind{{string(execution.Success), string(execution.Schedule), 0, 0}}
		}
		type ofDay struct{ status, trigger string }
		sums := map[ofDay]int64{}
		var days, hours []any
		for _, k := range kinds {
			sums[ofDay{k.status, k.trigger}] += k.n
			hours = append(hours, day.Add(time.Duration(k.hour)*time.Hour), k.status, k.trigger, k.n)
		}
		for of, n := range sums {
			days = append(days, day, of.status, of.trigger, n)
		}
		for _, write := range []struct {
			query string
			args  []any
		}{
			{"DELETE FROM history_hours WHERE hour >= ? AND hour < ?", []any{day, day.Add(dayLength)}},
			{"DELETE FROM history_days WHERE day = ?", []any{day}},
			{"INSERT INTO history_hours (hour, status, trigger_type, executions) VALUES " + tuples(len(kinds), 4), hours},
			{"INSERT INTO history_days (day, status, trigger_type, executions) VALUES " + tuples(len(sums), 4), days},
		} {
			if _, err := execSQL(ctx, tx, write.query, write.args...); err != nil {
				return err
			}
		}
		if _, err = execSQL(ctx, tx, "UPDATE upkeep SET position = ? WHERE name = ?", day.Unix(), daysWalk); err != nil {
			return err
		}
		return raise(ctx, tx, daysCounted)
	})
}

// dayCount is how many executions of a kind a day holds.
type dayCount struct {
	day     time.Time
	status  execution.Status
	trigger execution.Trigger
	n       int64
}

// readDays reads what all days hold, in their order.
func readDays(ctx context.Context, db *sql.DB) ([]dayCount, error) {
	return queryAllSQL(ctx, db, func(rows *sql.Rows) (d dayCount, err error) {
		err = rows.Scan(&d.day, &d.status, &d.trigger, &d.n)
		return d, err
	}, "SELECT day, status, trigger_type, executions FROM history_days ORDER BY day")
}

// slice is a part of the history that is counted as a whole: from begin to
// before end. Either may be zero, where the history has no such bound.
type slice struct {
	begin, end time.Time
	known      bool // n is counted
	n          int64
}

// skipFrom is the offset from which whole days are skipped.
const skipFrom = 1000

// skip replaces the listing's offset by a later beginning and a small offset.
// found is false where the offset lies too deep in what is not counted.
func (s *History) skip(ctx context.Context, l listing, parts []slice) (_ listing, found bool, err error) {
	left := int64(l.q.Offset)
	for _, part := range parts {
		if !l.holds(part) {
			continue
		}
		n := part.n
		if !part.known || !l.holdsAll(part) {
			if n, err = s.countSlice(ctx, l, part, min(left, execution.MaxOffset)+1); err != nil {
				return l, false, err
			}
			if n > execution.MaxOffset {
				return l, false, nil
			}
		}
		if left >= n {
			left -= n
			continue
		}
		if part.known {
			if part, left, err = s.hourWithin(ctx, l, part, left); err != nil {
				return l, false, err
			}
		}
		l.q.Offset = int(left)
		l.startAt(part)
		return l, true, nil
	}
	// Behind all that there is; one row may have come or gone since.
	l.q.Offset = execution.MaxOffset
	l.scheduled.add("FALSE")
	return l, true, nil
}

// slicesOf divides the history into days that are counted and what lies on
// either side of them, in the order of the page.
func (s *History) slicesOf(ctx context.Context, l listing) ([]slice, error) {
	counts, _, err := s.days.get(ctx, s.db)
	if err != nil {
		return nil, err
	}
	var all []slice
	edge := time.Time{} // the end of what the slices so far cover
	for i := 0; i < len(counts); {
		d := slice{begin: counts[i].day, end: counts[i].day.Add(dayLength), known: true}
		for ; i < len(counts) && counts[i].day.Equal(d.begin); i++ {
			if l.asksFor(counts[i]) {
				d.n += counts[i].n
			}
		}
		if !d.begin.Equal(edge) {
			all = append(all, slice{begin: edge, end: d.begin})
		}
		all, edge = append(all, d), d.end
	}
	all = append(all, slice{begin: edge})
	if !l.q.Oldest {
		slices.Reverse(all)
	}
	return all, nil
}

// known is how many executions, at least, the days that are counted hold of the
// listing. Those that had not ended when their day was counted may have since.
func (l listing) known(parts []slice) (n int64) {
	if l.q.Status != "" && !l.q.Status.Terminal() {
		return 0
	}
	for _, part := range parts {
		if part.known && l.holds(part) && l.holdsAll(part) {
			n += part.n
		}
	}
	return n
}

// holds reports whether any of the slice can be asked for, holdsAll whether
// nothing of it is left out by its time.
func (l listing) holds(part slice) bool {
	from, to := l.bounds()
	return (part.end.IsZero() || from.Before(part.end)) && (to.IsZero() || !to.Before(part.begin))
}

func (l listing) holdsAll(part slice) bool {
	from, to := l.bounds()
	return !part.begin.Before(from) && (to.IsZero() || !part.end.IsZero() && !to.Before(part.end))
}

// bounds are the times that are asked for, both inclusive; zero where there is
// no bound.
func (l listing) bounds() (from, to time.Time) {
	if l.q.From != nil {
		from = utc(*l.q.From)
	}
	for _, end := range []*time.Time{l.q.To, l.q.DueBy} {
		if end != nil && (to.IsZero() || end.Before(to)) {
			to = utc(*end)
		}
	}
	return from, to
}

// within restricts the listing to a slice.
func (l listing) within(part slice) listing {
	l.scheduled.text, l.scheduled.args = slices.Clone(l.scheduled.text), slices.Clone(l.scheduled.args)
	if !part.begin.IsZero() {
		l.scheduled.add("e.scheduled_for >= ?", part.begin)
	}
	if !part.end.IsZero() {
		l.scheduled.add("e.scheduled_for < ?", part.end)
	}
	return l
}

// startAt lets the listing begin with a slice, and go on behind it.
func (l *listing) startAt(part slice) {
	if l.q.Oldest {
		part.end = time.Time{}
	} else {
		part.begin = time.Time{}
	}
	*l = l.within(part)
}

func (s *History) countSlice(ctx context.Context, l listing, part slice, most int64) (int64, error) {
	candidates, where, args := l.within(part).candidates()
	all, err := queryAllSQL(ctx, s.db, scanInto[int64],
		"SELECT COUNT(*) FROM (SELECT 1 FROM "+candidates+" WHERE "+where+" LIMIT ?) AS t", append(args, most)...)
	if err != nil {
		return 0, err
	}
	return all[0], nil
}

// asksFor reports whether the listing asks for a kind of executions.
func (l listing) asksFor(kind dayCount) bool {
	return (l.q.Status == "" || kind.status == l.q.Status) && (l.q.Trigger == "" || kind.trigger == l.q.Trigger)
}

// countedBy is what the listing asks of what days and hours are counted by.
func (l listing) countedBy() (of string, args []any) {
	of = "TRUE"
	if l.q.Status != "" {
		of, args = of+" AND status = ?", append(args, string(l.q.Status))
	}
	if l.q.Trigger != "" {
		of, args = of+" AND trigger_type = ?", append(args, string(l.q.Trigger))
	}
	return of, args
}

// hourCount is how many executions an hour of a day holds.
type hourCount struct {
	hour int
	n    int64
}

func scanHour(rows *sql.Rows) (h hourCount, err error) {
	err = rows.Scan(&h.hour, &h.n)
	return h, err
}

// hourWithin narrows a day that is counted down to the hour that the offset
// lies in.
func (s *History) hourWithin(ctx context.Context, l listing, day slice, left int64) (slice, int64, error) {
	hours, err := s.hoursOf(ctx, l, day)
	if err != nil || len(hours) == 0 {
		return day, left, err
	}
	slices.SortFunc(hours, func(a, b hourCount) int {
		if l.q.Oldest {
			return a.hour - b.hour
		}
		return b.hour - a.hour
	})
	for _, h := range hours {
		if left < h.n {
			begin := day.begin.Add(time.Duration(h.hour) * time.Hour)
			return slice{begin: begin, end: begin.Add(time.Hour)}, left, nil
		}
		left -= h.n
	}
	return day, 0, nil // rows have gone since they were counted
}

// hoursOf counts the hours of a day: as they were counted with it, where all of
// the day is asked for. A list of several kinds is merged from as many rows of
// each as it skips: there it pays to count them now. Nothing comes back where
// that does not pay.
func (s *History) hoursOf(ctx context.Context, l listing, day slice) ([]hourCount, error) {
	if l.holdsAll(day) {
		of, args := l.countedBy()
		hours, err := queryAllSQL(ctx, s.db, scanHour, "SELECT HOUR(hour), SUM(executions) FROM history_hours WHERE hour >= ? AND hour < ? AND "+of+" GROUP BY HOUR(hour)",
			slices.Concat([]any{day.begin, day.end}, args)...)
		if err != nil || len(hours) > 0 {
			return hours, err
		}
	}
	if !l.byKind() {
		return nil, nil
	}
	candidates, where, args := l.within(day).candidates()
	return queryAllSQL(ctx, s.db, scanHour,
		"SELECT HOUR(e.scheduled_for), COUNT(*) FROM "+candidates+" WHERE "+where+" GROUP BY HOUR(e.scheduled_for)", args...)
}
