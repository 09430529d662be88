package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// removing is how long one request removes executions; the client's other
// requests, and the gateway, wait no longer.
const removing = 15 * time.Second

type deleteHistoryInput struct {
	Before time.Time `query:"before" required:"true" doc:"Executions of instants before this go, if they have ended; not later than now."`
}

// removedView is what was removed.
type removedView struct {
	Deleted  int  `json:"deleted" example:"412" doc:"How many executions were removed, with their attempts. Dashboards and stats still count them."`
	Complete bool `json:"complete" doc:"False where time was up and more are left: ask again."`
}

// Check finds that nothing was said.
func (in *deleteHistoryInput) Check() error {
	if in.Before.IsZero() {
		return apperr.InvalidField("before", "is required")
	}
	return nil
}

func (s *server) deleteHistory(ctx context.Context, in *deleteHistoryInput) (One[removedView], error) {
	if in.Before.After(s.now()) {
		return One[removedView]{}, apperr.InvalidField("before", "must not be in the future")
	}
	ctx = audit.Doing(ctx, audit.HistoryDelete)
	until := time.Now().Add(removing)
	removed, all, err := s.Remover.RemoveBefore(ctx, in.Before, func() bool { return ctx.Err() == nil && time.Now().Before(until) })
	if err != nil {
		return One[removedView]{}, err
	}
	message := fmt.Sprintf("%d executions have been removed.", removed)
	if !all {
		message += " More are left: ask again."
	}
	return One[removedView]{Data: removedView{Deleted: removed, Complete: all}, Message: message}, nil
}
