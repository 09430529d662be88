package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/cronjobs/cronjobs/internal/account"
)

type listUsersInput struct {
	Paging
	Search
	Order
	SortBy   account.UserSort `query:"sortBy" enum:"id,name,email,role,createdAt" doc:"By id unless said."`
	Role     account.Role     `query:"role" enum:"viewer,operator,admin"`
	IsActive string           `query:"isActive" enum:"true,false"`
}

func (s *server) listUsers(ctx context.Context, in *listUsersInput) (List[userView], error) {
	filter := account.UserFilter{
		Search: in.Text(), Role: in.Role, Sort: in.SortBy, Descending: in.Descending(false),
		Offset: in.Offset(), Limit: in.Limit,
	}
	if in.IsActive != "" {
		active := in.IsActive == "true"
		filter.IsActive = &active
	}
	found, total, err := s.Accounts.ListUsers(ctx, filter)
	if err != nil {
		return List[userView]{}, err
	}
	views := make([]userView, len(found))
	for i, u := range found {
		views[i] = newUserView(u)
	}
	return List[userView]{Data: views, Meta: in.meta(int64(total))}, nil
}

type createUserInput struct{ Body createUserBody }

type createUserBody struct {
	Email    string       `json:"email" minLength:"1" maxLength:"254" format:"email" example:"grace@example.com" doc:"Unique; stored in lower case."`
	Name     string       `json:"name" minLength:"1" maxLength:"100" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"some text without control characters"`
	Password string       `json:"password" minLength:"8" maxLength:"128"`
	Role     account.Role `json:"role" enum:"viewer,operator,admin"`
}

func (b createUserBody) input() account.UserInput {
	return account.UserInput{Email: &b.Email, Name: &b.Name, Password: &b.Password, Role: &b.Role}
}

// CheckRest finds the faults of the domain in a form that is at fault.
func (in *createUserInput) CheckRest() error { return in.Body.input().Check() }

func (s *server) createUser(ctx context.Context, in *createUserInput) (One[userView], error) {
	created, err := s.Accounts.CreateUser(ctx, in.Body.input())
	return newUser(created, "The user has been created."), err
}

func newUser(u account.User, message string) One[userView] {
	answer := oneUser(u, message)
	answer.Status = http.StatusCreated
	answer.Location = fmt.Sprintf("/users/%d", u.ID)
	return answer
}

func oneUser(u account.User, message string) One[userView] {
	return One[userView]{Data: newUserView(u), Version: u.Version, Message: message}
}

func (s *server) getUser(ctx context.Context, in *ByID) (One[userView], error) {
	found, err := s.Accounts.User(ctx, in.ID)
	return oneUser(found, ""), err
}

type replaceUserInput struct {
	ByID
	Conditional
	Body replaceUserBody
}

type replaceUserBody struct {
	Email    string           `json:"email" minLength:"1" maxLength:"254" format:"email"`
	Name     string           `json:"name" minLength:"1" maxLength:"100" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"some text without control characters"`
	Role     account.Role     `json:"role" enum:"viewer,operator,admin"`
	IsActive Optional[bool]   `json:"isActive,omitzero" absent:"true" doc:"As with all that is replaced, leaving it out means the default: it makes an inactive user active. PATCH changes only what it names."`
	Password Optional[string] `json:"password,omitzero" minLength:"8" maxLength:"128" doc:"Kept unless given. A new one signs the user out everywhere. One's own is changed by POST /auth/change-password alone: 409 here."`
}

func (b replaceUserBody) input() account.UserInput {
	active := b.IsActive.Or(true)
	return account.UserInput{Email: &b.Email, Name: &b.Name, Role: &b.Role, IsActive: &active, Password: b.Password.Ptr()}
}

// CheckRest finds the faults of the domain in a form that is at fault.
func (in *replaceUserInput) CheckRest() error { return in.Body.input().Check() }

func (s *server) replaceUser(ctx context.Context, in *replaceUserInput) (One[userView], error) {
	replaced, err := s.Accounts.ChangeUser(ctx, principal(ctx), in.ID, in.Body.input(), in.Versions())
	return oneUser(replaced, "The user has been replaced."), err
}

type patchUserInput struct {
	ByID
	Conditional
	Body patchUserBody
}

type patchUserBody struct {
	Email    Optional[string]       `json:"email,omitzero" minLength:"1" maxLength:"254" format:"email"`
	Name     Optional[string]       `json:"name,omitzero" minLength:"1" maxLength:"100" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"some text without control characters"`
	Role     Optional[account.Role] `json:"role,omitzero" enum:"viewer,operator,admin" doc:"Another one signs the user out everywhere."`
	IsActive Optional[bool]         `json:"isActive,omitzero" doc:"False signs the user out everywhere."`
	Password Optional[string]       `json:"password,omitzero" minLength:"8" maxLength:"128" doc:"Signs the user out everywhere. One's own is changed by POST /auth/change-password alone: 409 here."`
}

func (b patchUserBody) input() account.UserInput {
	return account.UserInput{
		Email: b.Email.Ptr(), Name: b.Name.Ptr(), Role: b.Role.Ptr(), IsActive: b.IsActive.Ptr(), Password: b.Password.Ptr(),
	}
}

// CheckRest finds the faults of the domain in a form that is at fault.
func (in *patchUserInput) CheckRest() error { return in.Body.input().Check() }

func (s *server) patchUser(ctx context.Context, in *patchUserInput) (One[userView], error) {
	patched, err := s.Accounts.ChangeUser(ctx, principal(ctx), in.ID, in.Body.input(), in.Versions())
	return oneUser(patched, "The user has been changed."), err
}

type deleteUserInput struct {
	ByID
	Conditional
}

func (s *server) deleteUser(ctx context.Context, in *deleteUserInput) (None, error) {
	err := s.Accounts.DeactivateUser(ctx, principal(ctx), in.ID, in.Versions())
	return None{Message: "The user has been deactivated."}, err
}
