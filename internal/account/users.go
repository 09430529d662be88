package account

import (
	"context"
	"slices"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// UserSort is what a list of users is ordered by; "" means the id.
type UserSort string

// The orders.
const (
	SortByName    UserSort = "name"
	SortByEmail   UserSort = "email"
	SortByRole    UserSort = "role"
	SortByCreated UserSort = "createdAt"
)

// UserFilter says which users to list. Zero fields do not filter.
type UserFilter struct {
	Search     string // a part of name or e-mail, whatever its case
	Role       Role
	IsActive   *bool
	Sort       UserSort
	Descending bool
	Offset     int
	Limit      int
}

// UserInput is what an admin says of a user; nil leaves a thing as it is.
type UserInput struct {
	Email    *string
	Name     *string
	Role     *Role
	IsActive *bool
	Password *string
}

// Check returns the faults that can be told without knowing the user; nil where
// there are none.
func (in UserInput) Check() error {
	var nobody User
	faults := in.apply(&nobody)
	return faults.Err()
}

// apply makes the change to a user, normalised, and returns its faults. The
// password is only checked.
func (in UserInput) apply(user *User) apperr.Faults {
	faults := ProfileChange{Name: in.Name, Email: in.Email}.apply(user)
	if in.Role != nil {
		if user.Role = *in.Role; !slices.Contains(Roles, user.Role) {
			faults.Add("role", "must be viewer, operator or admin")
		}
	}
	if in.IsActive != nil {
		user.IsActive = *in.IsActive
	}
	if in.Password != nil {
		if fault := PasswordFault(*in.Password, user.Email); fault != "" {
			faults.Add("password", fault)
		}
	}
	return faults
}

// ListUsers reads a page of users and the number of all that match.
func (s *Service) ListUsers(ctx context.Context, filter UserFilter) ([]User, int, error) {
	return s.store.ListUsers(ctx, filter)
}

// User reads a user.
func (s *Service) User(ctx context.Context, id int64) (User, error) {
	return s.store.User(ctx, id)
}

// CreateUser stores a new user, who is active. All but IsActive must be given.
func (s *Service) CreateUser(ctx context.Context, in UserInput) (User, error) {
	ctx = audit.Doing(ctx, audit.UserCreate)
	var faults apperr.Faults
	user := User{IsActive: true, TokenVersion: 1, Version: 1}
	for field, given := range map[string]bool{
		"email": in.Email != nil, "name": in.Name != nil, "role": in.Role != nil, "password": in.Password != nil,
	} {
		if !given {
			faults.Add(field, "is required")
		}
	}
	if err := faults.Err(); err != nil {
		return User{}, err
	}
	faults = in.apply(&user)
	if err := faults.Err(); err != nil {
		return User{}, err
	}
	hash, err := s.hasher.hash(ctx, *in.Password)
	if err != nil {
		return User{}, err
	}
	user.PasswordHash = hash
	user.CreatedAt = s.now()
	user.UpdatedAt = user.CreatedAt
	return s.store.AddUser(ctx, user)
}

// Register makes a viewer of whoever asks, where the system allows it;
// Forbidden otherwise.
func (s *Service) Register(ctx context.Context, email, name, password string) (User, error) {
	ctx = audit.Unsigned(audit.Doing(ctx, audit.Register))
	if err := s.MayRegister(); err != nil {
		return User{}, err
	}
	role := Viewer
	return s.CreateUser(ctx, UserInput{Email: &email, Name: &name, Role: &role, Password: &password})
}

// MayRegister answers Forbidden where nobody may.
func (s *Service) MayRegister() error {
	if !s.allowRegistration {
		return apperr.New(apperr.Forbidden, "Registration is closed; ask an admin for an account.")
	}
	return nil
}

// ChangeUser changes a user, provided that its version is one of those named
// (nil: any). There is always an active admin, and nobody demotes or removes
// themselves, nor gives themselves another password or address here, where the
// present password is not asked for. Who is deactivated, gets another role or
// another password is signed out everywhere.
func (s *Service) ChangeUser(ctx context.Context, actor Principal, id int64, in UserInput, versions []int) (User, error) {
	ctx = audit.Doing(ctx, audit.UserUpdate)
	trial, err := s.store.User(ctx, id)
	if err != nil {
		return User{}, err
	}
	address := trial.Email
	faults := in.apply(&trial)
	if err := faults.Err(); err != nil {
		return User{}, err
	}
	if id == actor.User.ID {
		switch {
		case in.Password != nil:
			return User{}, errOwnPassword
		case trial.Email != address:
			return User{}, errOwnAddress
		}
	}
	hash := ""
	if in.Password != nil {
		if hash, err = s.hasher.hash(ctx, *in.Password); err != nil {
			return User{}, err
		}
	}
	return s.store.ChangeUser(ctx, id, func(current User, otherAdmins int) (User, EndReason, error) {
		if !anyVersion(versions, current.Version) {
			return User{}, "", apperr.New(apperr.PreconditionFailed, "The user has changed since you read it, or If-Match is no ETag of it; read it again.")
		}
		wanted := current
		in.apply(&wanted)
		if hash != "" {
			wanted.PasswordHash = hash
		}
		if wanted == current {
			return current, "", nil
		}
		if err := mayLose(actor, current, wanted, otherAdmins); err != nil {
			return User{}, "", err
		}
		wanted.Version++
		wanted.UpdatedAt = s.now()
		return wanted, endOf(current, wanted), nil
	})
}

var (
	errOwnPassword = apperr.New(apperr.Conflict, "Change your own password with POST /auth/change-password, which asks for the present one.")
	errOwnAddress  = apperr.New(apperr.Conflict, "Change your own e-mail address with PATCH /auth/me, which asks for your password.")
)

// DeactivateUser is how a user is removed: what the user made keeps its maker.
func (s *Service) DeactivateUser(ctx context.Context, actor Principal, id int64, versions []int) error {
	ctx = audit.Doing(ctx, audit.UserDeactivate)
	inactive := false
	_, err := s.ChangeUser(ctx, actor, id, UserInput{IsActive: &inactive}, versions)
	return err
}

// mayLose refuses a change that takes their powers from oneself or from the
// last active admin.
func mayLose(actor Principal, current, wanted User, otherAdmins int) error {
	loses := current.IsActive && !wanted.IsActive || wanted.Role.rank() < current.Role.rank()
	switch {
	case !loses:
		return nil
	case current.ID == actor.User.ID:
		return apperr.New(apperr.Conflict, "You cannot demote or deactivate yourself; ask another admin.")
	case current.IsActive && current.Role == Admin && otherAdmins == 0:
		return apperr.New(apperr.Conflict, "This is the last active admin; make another one first.")
	}
	return nil
}

// endOf is why a change ends the user's sessions; "" where it does not.
func endOf(current, wanted User) EndReason {
	switch {
	case !wanted.IsActive:
		return EndDeactivated
	case wanted.PasswordHash != current.PasswordHash:
		return EndPassword
	case wanted.Role != current.Role:
		return EndRole
	}
	return ""
}

// ListSessions reads a page of a user's sessions that are alive, the latest
// first, and how many there are.
func (s *Service) ListSessions(ctx context.Context, userID int64, offset, limit int) ([]Session, int, error) {
	return s.store.ListSessions(ctx, userID, s.now(), offset, limit)
}

// EndSession ends a session of a user's own; NotFound where the user has no
// such session that is alive.
func (s *Service) EndSession(ctx context.Context, userID, sessionID int64) error {
	ctx = audit.Doing(ctx, audit.SessionEnd)
	now := s.now()
	session, user, err := s.store.SessionWithUser(ctx, sessionID)
	if err != nil && !apperr.Is(err, apperr.NotFound) {
		return err
	}
	if err != nil || user.ID != userID || !session.alive(now) {
		return apperr.New(apperr.NotFound, "You have no such session.")
	}
	return s.store.EndSession(ctx, userID, sessionID, EndLogout, now)
}
