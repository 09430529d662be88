package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/mysql"
)

// ErrNotEmpty is returned for a database that holds jobs or executions that are
// not the plan's.
var ErrNotEmpty = errors.New("the database holds other jobs or executions already: give an empty one")

// table is one table's part of the plan: units that are written in their order,
// each zero or more rows.
type table struct {
	name, columns string
	units         int
	write         func(t *rows, unit int)
}

func (p Plan) tables() (small []table, large [][]table) {
	small = []table{
		{"categories", categoryColumns, moreCategories, p.appendCategory},
		{"jobs", jobColumns, p.Jobs, p.appendJob},
		{"job_requests", requestColumns, p.Jobs, p.appendRequest},
		{"job_stats", statsColumns, p.Jobs, p.statsAppender()},
	}
	// Side by side: the server has a processor for each.
	large = [][]table{
		{{"executions", runColumns, p.Executions, p.appendRun}},
		{
			{"attempts", attemptColumns, p.Executions, p.appendAttempts},
			{"rollups", rollupColumns, p.Jobs, p.rollupAppender()},
			{"rollup_totals", totalColumns, spanDays, p.appendTotals},
		},
	}
	return small, large
}

// Fill brings a migrated database, which must hold no jobs and no executions,
// to the plan. One that was interrupted goes on where it was; where all is done
// it does nothing. It reports whether any of the tables was written, and of the
// audit log, which a database that was filled earlier may lack alone. say
// receives a line of progress at a time.
func Fill(ctx context.Context, db *sql.DB, p Plan, say func(string)) (filled, logged bool, err error) {
	state, err := openState(ctx, db, p)
	if err != nil {
		return false, false, err
	}
	p = state.plan
	if !state.finished {
		if err := fillTables(ctx, db, p, say); err != nil {
			return false, false, err
		}
	}
	logged, err = fillLog(ctx, db, p, say)
	return !state.finished, logged, err
}

func fillTables(ctx context.Context, db *sql.DB, p Plan, say func(string)) error {
	small, large := p.tables()
	for _, t := range small {
		if err := load(ctx, db, t, say); err != nil {
			return err
		}
	}
	if err := dropIndexes(ctx, db, "executions"); err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make([]error, len(large))
	for i, tables := range large {
		group.Go(func() {
			for _, t := range tables {
				if failed[i] == nil {
					failed[i] = load(ctx, db, t, say)
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := restoreIndexes(ctx, db, "executions", say); err != nil {
		return err
	}
	say("counting the history's days")
	if _, err := mysql.NewHistory(db).CountDays(ctx, p.Until.Add(24*time.Hour), func() bool { return true }); err != nil {
		return err
	}
	say("gathering statistics")
	if _, err := db.ExecContext(ctx, "ANALYZE TABLE categories, jobs, job_requests, job_stats, executions, attempts, rollups, rollup_totals, history_days, history_hours"); err != nil {
		return err
	}
	return setState(ctx, db, "finished", "yes")
}

// fillLog writes the audit log, and reports whether any of it was missing.
func fillLog(ctx context.Context, db *sql.DB, p Plan, say func(string)) (wrote bool, err error) {
	written, err := getCount(ctx, db, "audit_log")
	if err != nil || written >= p.entries() {
		return false, err
	}
	if err := load(ctx, db, table{"audit_log", auditColumns, p.entries(), p.appendEntry}, say); err != nil {
		return false, err
	}
	_, err = db.ExecContext(ctx, "ANALYZE TABLE audit_log")
	return true, err
}

// A statement holds about statementBytes, a transaction some of them.
const (
	statementBytes = 1 << 20
	perTransaction = 8
	sayEvery       = 5 * time.Second
)

// load writes what is missing of a table. How far it is stands in the same
// transactions.
func load(ctx context.Context, db *sql.DB, t table, say func(string)) error {
	written, err := getCount(ctx, db, t.name)
	if err != nil || written >= t.units {
		return err
	}
	var text rows
	began, said, stored, at := time.Now(), time.Now(), 0, written
	for at < t.units {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for range perTransaction {
			text.reset()
			for at < t.units && len(text.buf) < statementBytes {
				at++
				t.write(&text, at)
			}
			if text.count == 0 {
				break
			}
			stored += text.count
			if _, err := tx.ExecContext(ctx, "INSERT INTO "+t.name+" ("+t.columns+") VALUES "+string(text.buf)); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", t.name, err), tx.Rollback())
			}
		}
		if err := setState(ctx, tx, t.name, fmt.Sprint(at)); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		if time.Since(said) > sayEvery || at == t.units {
			said = time.Now()
			spent := time.Since(began).Seconds()
			say(fmt.Sprintf("%s: %.1f %%, %d rows, %.0f rows/s", t.name, 100*float64(at)/float64(t.units), stored, float64(stored)/spent))
		}
	}
	return nil
}
