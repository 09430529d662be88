package app

import (
	"context"
	"time"

	"github.com/cronjobs/cronjobs/internal/mysql"
)

// upkeepMargin is how long before a tick's deadline its upkeep begins nothing
// more.
const upkeepMargin = 10 * time.Second

// upkeep is what a tick does when everything due is on its way: it can always
// wait for the next one.
type upkeep struct {
	rollups *mysql.Rollups
}

// upkept is what it did.
type upkept struct {
	folded int // rows of ended executions that became summaries
}

func (u upkeep) run(ctx context.Context) (did upkept, err error) {
	for inTime(ctx) {
		folded, err := u.rollups.Fold(ctx)
		if err != nil {
			return did, err
		}
		if folded == 0 {
			break
		}
		did.folded += folded
	}
	return did, nil
}

// inTime reports whether there is time for more.
func inTime(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) > upkeepMargin)
}
