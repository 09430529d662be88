package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
)

// TokenView is an API token as its owner sees it.
type TokenView struct {
	ID         int64           `json:"id"`
	Name       string          `json:"name"`
	Prefix     string          `json:"prefix" doc:"How the token begins." example:"cj_4fQx1Zb0"`
	Scopes     []account.Scope `json:"scopes" enum:"read,write,execute"`
	CreatedAt  Timestamp       `json:"createdAt"`
	ExpiresAt  Timestamp       `json:"expiresAt" doc:"It stays in the list for some weeks after."`
	LastUsedAt *Timestamp      `json:"lastUsedAt" nullable:"true" doc:"To the minute; null where it was never used."`
}

func newTokenView(t account.APIToken) TokenView {
	return TokenView{
		ID: t.ID, Name: t.Name, Prefix: t.Prefix, Scopes: t.Scopes, CreatedAt: Timestamp(t.CreatedAt),
		ExpiresAt: Timestamp(t.ExpiresAt), LastUsedAt: timestampOf(t.LastUsedAt),
	}
}

// createdTokenView also tells the token, which nobody can do again.
type createdTokenView struct {
	TokenView
	Token string `json:"token" doc:"What the script sends as its bearer token. It is shown this once." example:"cj_4fQx1Zb0…"`
}

func (s *server) listTokens(ctx context.Context, in *ownListInput) (List[TokenView], error) {
	found, total, err := s.Accounts.ListTokens(ctx, principal(ctx).User.ID, in.Offset(), in.Limit)
	if err != nil {
		return List[TokenView]{}, err
	}
	views := make([]TokenView, len(found))
	for i, token := range found {
		views[i] = newTokenView(token)
	}
	return List[TokenView]{Data: views, Meta: in.meta(int64(total))}, nil
}

type createTokenInput struct{ Body createTokenBody }

type createTokenBody struct {
	Name      string          `json:"name" minLength:"1" maxLength:"100" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"some text without control characters" doc:"What the token is for." example:"Nightly deployment"`
	Scopes    []account.Scope `json:"scopes" minItems:"1" maxItems:"3" uniqueItems:"true" enum:"read,write,execute" doc:"A scope adds nothing to what your role allows when the token is used."`
	ExpiresAt time.Time       `json:"expiresAt" doc:"In the future, within a year."`
}

func (b createTokenBody) input() account.TokenInput {
	return account.TokenInput{Name: b.Name, Scopes: b.Scopes, ExpiresAt: b.ExpiresAt}
}

// CheckRestAt finds the faults of the domain in a form that is at fault.
func (in *createTokenInput) CheckRestAt(now time.Time) error { return in.Body.input().Check(now) }

func (s *server) createToken(ctx context.Context, in *createTokenInput) (One[createdTokenView], error) {
	created, text, err := s.Accounts.CreateToken(ctx, principal(ctx), in.Body.input())
	if err != nil {
		return One[createdTokenView]{}, err
	}
	return One[createdTokenView]{
		Data: createdTokenView{TokenView: newTokenView(created), Token: text}, Status: http.StatusCreated,
		Location: fmt.Sprintf("/auth/tokens/%d", created.ID), Message: "Keep the token; it is not shown again.",
	}, nil
}

func (s *server) revokeToken(ctx context.Context, in *ByID) (None, error) {
	err := s.Accounts.RevokeToken(ctx, principal(ctx).User.ID, in.ID)
	return None{Message: "The token is no longer good."}, err
}
