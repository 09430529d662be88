package mysql

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// rollupKey names a row of rollups.
type rollupKey struct {
	jobID      int64
	hour       int64 // Unix seconds
	categoryID int64
}

// totalKey names a row of rollup_totals.
type totalKey struct {
	span       string
	start      int64 // Unix seconds
	categoryID int64
}

// The spans of rollup_totals.
const (
	spanHour         = "hour"
	spanDay          = "day"
	spanCategoryHour = "category_hour"
	spanCategoryDay  = "category_day"
)

// summaryRows is a table of summaries under keys of three columns.
type summaryRows[K comparable] struct {
	table, columns string
	compare        func(a, b K) int
	args           func(K) []any
	scan           func(key *K, start *time.Time) []any
	setStart       func(key *K, unix int64)
}

var rollupRows = summaryRows[rollupKey]{
	table: "rollups", columns: "job_id, hour, category_id",
	compare: func(a, b rollupKey) int {
		return cmp.Or(cmp.Compare(a.jobID, b.jobID), cmp.Compare(a.hour, b.hour), cmp.Compare(a.categoryID, b.categoryID))
	},
	args:     func(k rollupKey) []any { return []any{k.jobID, time.Unix(k.hour, 0).UTC(), k.categoryID} },
	scan:     func(k *rollupKey, start *time.Time) []any { return []any{&k.jobID, start, &k.categoryID} },
	setStart: func(k *rollupKey, unix int64) { k.hour = unix },
}

var totalRows = summaryRows[totalKey]{
	table: "rollup_totals", columns: "span, start, category_id",
	compare: func(a, b totalKey) int {
		return cmp.Or(cmp.Compare(a.span, b.span), cmp.Compare(a.start, b.start), cmp.Compare(a.categoryID, b.categoryID))
	},
	args:     func(k totalKey) []any { return []any{k.span, time.Unix(k.start, 0).UTC(), k.categoryID} },
	scan:     func(k *totalKey, start *time.Time) []any { return []any{&k.span, start, &k.categoryID} },
	setStart: func(k *totalKey, unix int64) { k.start = unix },
}

// summaryColumns are a summary's columns in both tables.
const summaryColumns = `success, failed, skipped, missed, cancelled, abandoned,
	duration_sum, duration_max, durations, lateness_sum, lateness_max, latenesses`

// summaryArgs are the values of summaryColumns.
func summaryArgs(s *execution.Summary) []any {
	return []any{
		s.Success, s.Failed, s.Skipped, s.Missed, s.Cancelled, s.Abandoned,
		s.Duration.Sum, s.Duration.Max, encodeHistogram(s.Duration.Histogram),
		s.Lateness.Sum, s.Lateness.Max, encodeHistogram(s.Lateness.Histogram),
	}
}

// SummaryColumns and SummaryValues are for whoever fills rollups and
// rollup_totals by the million, of a history that nobody else changes; all
// others record samples.
const SummaryColumns = summaryColumns

// SummaryValues are the values of SummaryColumns: numbers, and histograms as
// bytes.
func SummaryValues(s *execution.Summary) []any { return summaryArgs(s) }

// storedSummary is summaryColumns as they are read, valid until the next row. A
// timeline reads thousands of them, so they are parsed by hand.
type storedSummary struct {
	success, failed, skipped, missed, cancelled, abandoned sql.RawBytes
	durationSum, durationMax, latenessSum, latenessMax     sql.RawBytes
	durations, latenesses                                  sql.RawBytes
}

func (s *storedSummary) targets() []any {
	return []any{
		&s.success, &s.failed, &s.skipped, &s.missed, &s.cancelled, &s.abandoned,
		&s.durationSum, &s.durationMax, &s.durations, &s.latenessSum, &s.latenessMax, &s.latenesses,
	}
}

// addTo adds what was read to a summary.
func (s *storedSummary) addTo(sum *execution.Summary) error {
	for _, one := range []struct {
		text sql.RawBytes
		to   *int64
	}{
		{s.success, &sum.Success},
		{s.failed, &sum.Failed},
		{s.skipped, &sum.Skipped},
		{s.missed, &sum.Missed},
		{s.cancelled, &sum.Cancelled},
		{s.abandoned, &sum.Abandoned},
		{s.durationSum, &sum.Duration.Sum},
		{s.latenessSum, &sum.Lateness.Sum},
	} {
		n, err := parseNumber(one.text)
		if err != nil {
			return err
		}
		*one.to += n
	}
	longest, err := parseNumber(s.durationMax)
	if err != nil {
		return err
	}
	latest, err := parseNumber(s.latenessMax)
	if err != nil {
		return err
	}
	sum.Duration.Max, sum.Lateness.Max = max(sum.Duration.Max, longest), max(sum.Lateness.Max, latest)
	if err := addHistogram(&sum.Duration.Histogram, s.durations); err != nil {
		return err
	}
	return addHistogram(&sum.Lateness.Histogram, s.latenesses)
}

// parseNumber reads a whole number as the server writes it; nothing is 0.
func parseNumber(text []byte) (n int64, err error) {
	digits, negative := bytes.CutPrefix(text, []byte("-"))
	for _, d := range digits {
		if d < '0' || d > '9' || n > (math.MaxInt64-9)/10 {
			return 0, errors.New("mysql: a stored summary cannot be read")
		}
		n = 10*n + int64(d-'0')
	}
	if negative {
		n = -n
	}
	return n, nil
}

// anyOf is the condition that a row has one of n keys. It is not said by
// tuples: MariaDB reads the whole table for those that hold an ENUM.
func (r summaryRows[K]) anyOf(n int) string {
	columns := strings.Split(r.columns, ", ")
	one := "(" + strings.Join(columns, " = ? AND ") + " = ?)"
	return strings.TrimSuffix(strings.Repeat(one+" OR ", n), " OR ")
}

// summaryBatch is how many summaries one statement reads or writes.
const summaryBatch = 500

// addSummaries adds to what is stored, by reading it first: the row of upkeep
// that the caller holds keeps others away.
func addSummaries[K comparable](ctx context.Context, tx *sql.Tx, in summaryRows[K], byKey map[K]*execution.Summary) error {
	for keys := range slices.Chunk(slices.SortedFunc(maps.Keys(byKey), in.compare), summaryBatch) {
		var args []any
		for _, key := range keys {
			args = append(args, in.args(key)...)
		}
		_, err := queryAllSQL(ctx, tx, func(rows *sql.Rows) (_ struct{}, err error) {
			var (
				key    K
				start  time.Time
				stored storedSummary
			)
			if err := rows.Scan(append(in.scan(&key, &start), stored.targets()...)...); err != nil {
				return struct{}{}, err
			}
			in.setStart(&key, start.Unix())
			return struct{}{}, stored.addTo(byKey[key])
		}, "SELECT "+in.columns+", "+summaryColumns+" FROM "+in.table+" WHERE "+in.anyOf(len(keys)), args...)
		if err != nil {
			return err
		}
		if err := storeSummaries(ctx, tx, in, keys, byKey); err != nil {
			return err
		}
	}
	return nil
}

// storeSummaries puts summaries in the place of what is stored.
func storeSummaries[K comparable](ctx context.Context, tx *sql.Tx, in summaryRows[K], keys []K, byKey map[K]*execution.Summary) error {
	var args []any
	for _, key := range keys {
		args = append(append(args, in.args(key)...), summaryArgs(byKey[key])...)
	}
	_, err := execSQL(ctx, tx, "INSERT INTO "+in.table+" ("+in.columns+", "+summaryColumns+") VALUES "+tuples(len(keys), 15)+replaceSummary, args...)
	return err
}

// replaceSummary ends an insert of summaries that may be there already.
var replaceSummary = func() string {
	var set []string
	for column := range strings.SplitSeq(summaryColumns, ",") {
		column = strings.TrimSpace(column)
		set = append(set, column+" = VALUES("+column+")")
	}
	return " ON DUPLICATE KEY UPDATE " + strings.Join(set, ", ")
}()

const (
	hourSeconds = 60 * 60
	daySeconds  = 24 * hourSeconds
)

// addToTotals adds to the totals what is about to be added to the jobs' hours.
func addToTotals(ctx context.Context, tx *sql.Tx, byKey map[rollupKey]*execution.Summary) error {
	totals := map[totalKey]*execution.Summary{}
	for key, sum := range byKey {
		day := key.hour - key.hour%daySeconds
		for _, total := range []totalKey{
			{spanHour, key.hour, 0},
			{spanDay, day, 0},
			{spanCategoryHour, key.hour, key.categoryID},
			{spanCategoryDay, day, key.categoryID},
		} {
			summaryAt(totals, total).Merge(sum)
		}
	}
	return addSummaries(ctx, tx, totalRows, totals)
}
