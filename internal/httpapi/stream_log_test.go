package httpapi

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// ticketAccounts knows one ticket.
type ticketAccounts struct{ fakeAccounts }

const sentinelTicket = "sentinel-ticket"

func (ticketAccounts) AuthenticateTicket(_ context.Context, ticket string) (account.Principal, error) {
	if ticket != sentinelTicket {
		return account.Principal{}, errNoToken
	}
	return account.Principal{User: account.User{ID: 1, Role: account.Viewer}, SessionID: 9}, nil
}

// brokenNews fails, so that there is an error to log.
type brokenNews struct{ fakeRuns }

func (*brokenNews) News(context.Context, execution.Query, execution.Change) (execution.News, error) {
	return execution.News{}, errors.New("the table is gone")
}

func TestTicketsAreNeverLogged(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, func(d *Deps) { d.Accounts, d.History = ticketAccounts{}, &brokenNews{} })
	for target, want := range map[string]int{
		"/history/stream?ticket=" + sentinelTicket:                500,
		"/history/stream?status=x&ticket=" + sentinelTicket:       400,
		"/history/stream?%74icket=" + sentinelTicket:              500,
		"/history/stream?ticket=" + sentinelTicket + "2":          401,
		"/history/stream?ticket=x&ticket=" + sentinelTicket:       401,
		"/history?ticket=" + sentinelTicket:                       401,
		"/nowhere?a=1&ticket=" + sentinelTicket:                   404,
		"/history/stream/ticket?ticket=" + sentinelTicket + "&b=": 405,
	} {
		got := send(t, tr.handler(), "GET", target, "")
		if got.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, got.StatusCode, want)
		}
		if strings.Contains(got.raw, sentinelTicket) {
			t.Errorf("%s: the answer repeats it: %s", target, got.raw)
		}
	}
	if logs := tr.logs.String(); strings.Contains(logs, sentinelTicket) || !strings.Contains(logs, "/history/stream") {
		t.Errorf("the log: %s", logs)
	}
}
