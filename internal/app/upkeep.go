package app

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/cronjobs/cronjobs/internal/mysql"
)

// upkeepMargin is how long before a tick's deadline its upkeep begins nothing
// more.
const upkeepMargin = 10 * time.Second

// upkeep is what a tick does when everything due is on its way: it can always
// wait for the next one.
type upkeep struct {
	rollups   *mysql.Rollups
	history   *mysql.History
	retention *mysql.Retention
	keep      mysql.Keep // nothing is removed where it is not set
	auditDays int
	now       func() time.Time
}

const (
	// purgeTime is how long one step removes what is old.
	purgeTime = time.Second
	// purgeMuch is how many executions a step removes where there is much to
	// remove: another follows then, while the tick lasts, up to purgeMost in all.
	// A large database that reads from its disk removes no more than twice that in
	// a step.
	purgeMuch = 500
	purgeMost = 20 * time.Second
)

// countTime is how long one tick counts the days of the history.
const countTime = 300 * time.Millisecond

func newUpkeep(db *sql.DB, env Env) upkeep {
	return upkeep{
		rollups: mysql.NewRollups(db), history: mysql.NewHistory(db), retention: mysql.NewRetention(db),
		keep: mysql.Keep{
			Days: env.Config.RetentionDays, Runs: env.Config.RetentionRuns, SummaryDays: env.Config.SummaryRetentionDays,
		},
		auditDays: env.Config.AuditRetentionDays, now: env.Now,
	}
}

// upkept is what it did.
type upkept struct {
	folded int // rows of ended executions that became summaries
	purged int // old executions that were removed
}

func (u upkeep) run(ctx context.Context) (did upkept, err error) {
	folding := u.fold(ctx, &did)
	if !inTime(ctx) {
		return did, folding
	}
	counted := time.Now().Add(countTime)
	_, counting := u.history.CountDays(ctx, u.now(), func() bool { return inTime(ctx) && time.Now().Before(counted) })
	folding = errors.Join(folding, counting)
	if !inTime(ctx) || u.keep == (mysql.Keep{}) {
		return did, folding
	}
	purging := u.purge(ctx, &did)
	_, expiring := u.retention.PurgeExpired(ctx, u.now(), u.now().AddDate(0, 0, -u.auditDays))
	return did, errors.Join(folding, purging, expiring)
}

func (u upkeep) purge(ctx context.Context, did *upkept) error {
	for end := time.Now().Add(purgeMost); inTime(ctx) && time.Now().Before(end); {
		until := time.Now().Add(purgeTime)
		removed, err := u.retention.Purge(ctx, u.now(), u.keep, func() bool { return inTime(ctx) && time.Now().Before(until) })
		did.purged += removed
		if err != nil || removed < purgeMuch {
			return err
		}
	}
	return nil
}

// fold makes summaries while there is time. A repair may hold them longer than
// that: the next tick goes on.
func (u upkeep) fold(whole context.Context, did *upkept) error {
	ctx, cancel := whole, func() {}
	if deadline, ok := whole.Deadline(); ok {
		ctx, cancel = context.WithDeadline(whole, deadline.Add(-upkeepMargin))
	}
	defer cancel()
	for inTime(whole) {
		folded, err := u.rollups.Fold(ctx)
		if ctx.Err() != nil && whole.Err() == nil {
			return nil
		}
		if err != nil || folded == 0 {
			return err
		}
		did.folded += folded
	}
	return nil
}

// inTime reports whether there is time for more.
func inTime(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) > upkeepMargin)
}
