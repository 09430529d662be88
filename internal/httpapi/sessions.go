package httpapi

import (
	"context"

	"github.com/cronjobs/cronjobs/internal/account"
)

// sessionView is one place where a user is signed in.
type sessionView struct {
	ID         int64     `json:"id"`
	Current    bool      `json:"current" doc:"Whether it is the one that asks."`
	Address    string    `json:"address" doc:"Where it was started from."`
	UserAgent  string    `json:"userAgent"`
	Remembered bool      `json:"remembered"`
	CreatedAt  Timestamp `json:"createdAt"`
	LastUsedAt Timestamp `json:"lastUsedAt" doc:"When its tokens were last renewed."`
	ExpiresAt  Timestamp `json:"expiresAt" doc:"When it ends unless it is used."`
}

func newSessionView(s account.Session, current int64) sessionView {
	return sessionView{
		ID: s.ID, Current: s.ID == current, Address: s.Client.Address, UserAgent: s.Client.UserAgent, Remembered: s.Remember,
		CreatedAt: Timestamp(s.CreatedAt), LastUsedAt: Timestamp(s.RotatedAt), ExpiresAt: Timestamp(s.ExpiresAt),
	}
}

// ownListInput is what lists of one's own things take.
type ownListInput struct{ Paging }

func (s *server) listSessions(ctx context.Context, in *ownListInput) (List[sessionView], error) {
	who := principal(ctx)
	found, total, err := s.Accounts.ListSessions(ctx, who.User.ID, in.Offset(), in.Limit)
	if err != nil {
		return List[sessionView]{}, err
	}
	views := make([]sessionView, len(found))
	for i, session := range found {
		views[i] = newSessionView(session, who.SessionID)
	}
	return List[sessionView]{Data: views, Meta: in.meta(int64(total))}, nil
}

func (s *server) endSession(ctx context.Context, in *ByID) (None, error) {
	err := s.Accounts.EndSession(ctx, principal(ctx).User.ID, in.ID)
	return None{Message: "The session has ended."}, err
}

type registerInput struct{ Body registerBody }

type registerBody struct {
	Email    string `json:"email" minLength:"1" maxLength:"254" format:"email" example:"grace@example.com"`
	Name     string `json:"name" minLength:"1" maxLength:"100" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"some text without control characters"`
	Password string `json:"password" minLength:"8" maxLength:"128"`
}

// CheckRestIn finds the faults of the domain in a form that is at fault, unless
// no form would be taken.
func (in *registerInput) CheckRestIn(_ context.Context, s *server) error {
	if err := s.Accounts.MayRegister(); err != nil {
		return err
	}
	return account.UserInput{Email: &in.Body.Email, Name: &in.Body.Name, Password: &in.Body.Password}.Check()
}

func (s *server) register(ctx context.Context, in *registerInput) (One[userView], error) {
	created, err := s.Accounts.Register(ctx, in.Body.Email, in.Body.Name, in.Body.Password)
	answer := newUser(created, "Welcome; sign in with your e-mail address and your password.")
	answer.Location = "/auth/me"
	return answer, err
}
