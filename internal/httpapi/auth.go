package httpapi

import (
	"context"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

type signedInView struct {
	AccessToken  string       `json:"accessToken" doc:"For the Authorization header: Bearer and this."`
	RefreshToken string       `json:"refreshToken" doc:"Good once, for POST /auth/refresh."`
	ExpiresIn    int          `json:"expiresIn" doc:"The life of the access token, in seconds." example:"900"`
	User         identityView `json:"user"`
}

type identityView struct {
	ID    int64        `json:"id"`
	Email string       `json:"email"`
	Name  string       `json:"name"`
	Role  account.Role `json:"role" enum:"viewer,operator,admin"`
}

func newSignedInView(in account.SignedIn) signedInView {
	return signedInView{
		AccessToken:  in.AccessToken,
		RefreshToken: in.RefreshToken,
		ExpiresIn:    int(in.ExpiresIn.Seconds()),
		User:         identityView{ID: in.User.ID, Email: in.User.Email, Name: in.User.Name, Role: in.User.Role},
	}
}

// userView is a user as the API shows it.
type userView struct {
	ID          int64        `json:"id"`
	Email       string       `json:"email"`
	Name        string       `json:"name"`
	Role        account.Role `json:"role" enum:"viewer,operator,admin"`
	IsActive    bool         `json:"isActive"`
	LastLoginAt *Timestamp   `json:"lastLoginAt" nullable:"true"`
	CreatedAt   Timestamp    `json:"createdAt"`
	UpdatedAt   Timestamp    `json:"updatedAt"`
}

func newUserView(u account.User) userView {
	return userView{
		ID: u.ID, Email: u.Email, Name: u.Name, Role: u.Role, IsActive: u.IsActive,
		LastLoginAt: timestampOf(u.LastLoginAt), CreatedAt: Timestamp(u.CreatedAt), UpdatedAt: Timestamp(u.UpdatedAt),
	}
}

// The bounds of a password that is held against a stored one are wider than
// those of a new one: what cannot match is simply wrong.
type loginInput struct{ Body loginBody }

type loginBody struct {
	Email      string `json:"email" minLength:"1" maxLength:"254" example:"ada@example.com"`
	Password   string `json:"password" minLength:"1" maxLength:"1000"`
	RememberMe bool   `json:"rememberMe,omitempty" absent:"false" doc:"Keeps the session for a week instead of a day."`
}

func (s *server) login(ctx context.Context, in *loginInput) (One[signedInView], error) {
	signedIn, err := s.Accounts.Login(ctx, account.Login{
		Email: in.Body.Email, Password: in.Body.Password, Remember: in.Body.RememberMe, Client: infoOf(ctx).client,
	})
	return One[signedInView]{Data: newSignedInView(signedIn)}, err
}

type refreshInput struct{ Body refreshBody }

type refreshBody struct {
	RefreshToken string `json:"refreshToken" minLength:"1" maxLength:"1000"`
}

func (s *server) refresh(ctx context.Context, in *refreshInput) (One[signedInView], error) {
	signedIn, err := s.Accounts.Refresh(ctx, in.Body.RefreshToken, infoOf(ctx).charge)
	return One[signedInView]{Data: newSignedInView(signedIn)}, err
}

type logoutInput struct{ Body *logoutBody }

type logoutBody struct {
	RefreshToken string `json:"refreshToken,omitempty" maxLength:"1000" doc:"Needed where no bearer token is sent."`
}

// logout takes whichever token the client still has, be it expired.
func (s *server) logout(ctx context.Context, in *logoutInput) (None, error) {
	access := infoOf(ctx).bearer
	refresh := ""
	if in.Body != nil {
		refresh = in.Body.RefreshToken
	}
	if access == "" && refresh == "" {
		return None{}, apperr.InvalidField("refreshToken", "is required where no bearer token is sent")
	}
	return None{Message: "Signed out."}, s.Accounts.Logout(ctx, access, refresh)
}

func (s *server) me(ctx context.Context, _ *struct{}) (One[userView], error) {
	user := principal(ctx).User
	return One[userView]{Data: newUserView(user), Version: user.Version}, nil
}

type updateMeInput struct {
	Conditional
	Body updateMeBody
}

type updateMeBody struct {
	Name            Optional[string] `json:"name,omitzero" minLength:"1" maxLength:"100" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"some text without control characters"`
	Email           Optional[string] `json:"email,omitzero" dependentRequired:"currentPassword" minLength:"1" maxLength:"254" format:"email" doc:"A new one needs currentPassword."`
	CurrentPassword string           `json:"currentPassword,omitempty" maxLength:"1000"`
}

func (in *updateMeInput) change() account.ProfileChange {
	return account.ProfileChange{
		Name: in.Body.Name.Ptr(), Email: in.Body.Email.Ptr(),
		CurrentPassword: in.Body.CurrentPassword, Versions: in.Versions(),
	}
}

func (in *updateMeInput) Check() error { return in.change().Check() }

func (s *server) updateMe(ctx context.Context, in *updateMeInput) (One[userView], error) {
	user, err := s.Accounts.UpdateProfile(ctx, principal(ctx).User.ID, in.change())
	return One[userView]{Data: newUserView(user), Version: user.Version}, err
}

type changePasswordInput struct{ Body changePasswordBody }

type changePasswordBody struct {
	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1000"`
	NewPassword     string `json:"newPassword" minLength:"8" maxLength:"128"`
}

func (s *server) changePassword(ctx context.Context, in *changePasswordInput) (One[signedInView], error) {
	signedIn, err := s.Accounts.ChangePassword(ctx, principal(ctx), in.Body.CurrentPassword, in.Body.NewPassword)
	return One[signedInView]{Data: newSignedInView(signedIn), Message: "All your sessions have ended; this pair begins a new one."}, err
}
