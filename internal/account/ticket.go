package account

import (
	"context"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// TicketLifetime is how long a ticket is good. It stands in an address, where
// a token must not, and is good for one route alone.
const TicketLifetime = 15 * time.Minute

// ErrTicketExpired is returned for a ticket that was good once.
var ErrTicketExpired = apperr.New(apperr.Unauthenticated, "The ticket has expired; ask for another.")

var (
	errTicket       = apperr.New(apperr.Unauthenticated, "The ticket is not valid, or no longer; ask for another.")
	errTicketHolder = apperr.New(apperr.Forbidden, "A ticket belongs to somebody who has signed in.")
)

// IssueTicket makes a ticket for whoever has signed in. It ends with the
// session, and with whatever ends the user's tokens.
func (s *Service) IssueTicket(who Principal) (string, error) {
	if who.SessionID == 0 {
		return "", errTicketHolder
	}
	now := s.now()
	return s.keys.at(now).tickets.issue(who.User, who.SessionID, now)
}

// AuthenticateTicket tells who a ticket belongs to, as Authenticate does. With
// ErrTicketExpired the principal names the user's id alone, to count the
// request against.
func (s *Service) AuthenticateTicket(ctx context.Context, ticket string) (Principal, error) {
	now := s.now()
	token, err := s.readAccess(ctx, ticket, now, ticketOf)
	switch {
	case apperr.Is(err, apperr.Unavailable):
		return Principal{}, err
	case err != nil:
		return Principal{}, errTicket
	case token.expired:
		return Principal{User: User{ID: token.userID}}, ErrTicketExpired
	}
	who, err := s.holderOf(ctx, token, now)
	if apperr.Is(err, apperr.Unauthenticated) {
		err = errTicket
	}
	return who, err
}
