package account

import (
	"context"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// UpdateProfile changes a user's own name or e-mail address. A new address
// needs the present password.
func (s *Service) UpdateProfile(ctx context.Context, userID int64, change ProfileChange) (User, error) {
	ctx = audit.Doing(ctx, audit.ProfileUpdate)
	user, err := s.store.User(ctx, userID)
	if err != nil {
		return User{}, err
	}
	if !anyVersion(change.Versions, user.Version) {
		return User{}, apperr.New(apperr.PreconditionFailed, "Your account has changed since you read it, or If-Match is no ETag of it; read it again.")
	}
	before := user
	faults := change.apply(&user)
	if user.Email != before.Email {
		if err := s.checkCurrent(ctx, &faults, before, change.CurrentPassword); err != nil {
			return User{}, err
		}
	}
	if err := faults.Err(); err != nil {
		return User{}, err
	}
	if user.Name == before.Name && user.Email == before.Email {
		return before, nil
	}
	user.UpdatedAt = s.now()
	if err := s.store.UpdateUser(ctx, before, user); err != nil {
		return User{}, err
	}
	user.Version++
	return user, nil
}

// checkCurrent holds a password against the user's. It is TooManyRequests where
// too many have been wrong, whatever this one is: who has got hold of a session
// must not find out the password with it. A wrong one is noted.
func (s *Service) checkCurrent(ctx context.Context, faults *apperr.Faults, user User, password string) error {
	if password == "" {
		faults.Add("currentPassword", "is required")
		return nil
	}
	right, err := s.admitPassword(ctx, user.ID)
	if err != nil {
		return err
	}
	match, err := s.hasher.verify(ctx, user.PasswordHash, password)
	if err == nil && !match {
		faults.Add("currentPassword", "is not your present password")
		return s.store.Record(ctx, audit.Entry{
			Action: audit.PasswordFailed, Entity: audit.User, EntityID: user.ID, EntityName: user.Email,
		})
	}
	// A count that stays is a nuisance at worst, and no reason to refuse.
	_ = right(context.WithoutCancel(ctx))
	return err
}

// ChangePassword replaces a user's password, ends all the user's sessions and
// signs the user in anew. The present session does not go on: whoever else holds
// its tokens must be shut out with the old password.
func (s *Service) ChangePassword(ctx context.Context, who Principal, current, replacement string) (SignedIn, error) {
	ctx = audit.Doing(ctx, audit.PasswordChange)
	session, user, err := s.store.SessionWithUser(ctx, who.SessionID)
	if err != nil {
		return SignedIn{}, err
	}
	var faults apperr.Faults
	if err := s.checkCurrent(ctx, &faults, user, current); err != nil {
		return SignedIn{}, err
	}
	switch fault := PasswordFault(replacement, user.Email); {
	case fault != "":
		faults.Add("newPassword", fault)
	case replacement == current:
		faults.Add("newPassword", "must differ from the present one")
	}
	if err := faults.Err(); err != nil {
		return SignedIn{}, err
	}
	hash, err := s.hasher.hash(ctx, replacement)
	if err != nil {
		return SignedIn{}, err
	}
	now := s.now()
	next, err := newSession(user.ID, session.Remember, session.Client, now)
	if err != nil {
		return SignedIn{}, err
	}
	token := s.keys.at(now).refresh.issue(&next, now)
	if err := s.store.ChangePassword(ctx, user.PasswordHash, hash, session.ID, next); err != nil {
		if apperr.Is(err, apperr.NotFound) {
			return SignedIn{}, apperr.Wrap(apperr.Conflict, err, "Your account was changed at the same moment; try again.")
		}
		return SignedIn{}, err
	}
	return s.signedIn(user, next, token, now)
}

// anyVersion reports whether a change that is meant for some versions (nil:
// all) may be made to the present one.
func anyVersion(wanted []int, present int) bool {
	if wanted == nil {
		return true
	}
	for _, v := range wanted {
		if v == present {
			return true
		}
	}
	return false
}
