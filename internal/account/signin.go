package account

import (
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Login is what a person signs in with.
type Login struct {
	Email    string
	Password string
	// Remember gives the session its long life.
	Remember bool
	Client   Client
}

// Client is where a session was started from, as far as it is known; it is
// shown to the session's owner.
type Client struct {
	Address   string
	UserAgent string
}

// SignedIn is the outcome of signing in, of a refresh and of a new password.
type SignedIn struct {
	AccessToken  string
	RefreshToken string
	ExpiresIn    time.Duration // of the access token
	User         User
}

// ProfileChange is what people may change about themselves; nil leaves a
// thing as it is. A new e-mail address needs the present password.
type ProfileChange struct {
	Name            *string
	Email           *string
	CurrentPassword string
	// Versions, unless nil, are those that the change is meant for.
	Versions []int
}

// Check returns the faults of a change that can be told without knowing the
// user; nil where there are none.
func (c ProfileChange) Check() error {
	var nobody User
	faults := c.apply(&nobody)
	return faults.Err()
}

// apply makes the change to a user, normalised, and returns its faults.
func (c ProfileChange) apply(user *User) apperr.Faults {
	var faults apperr.Faults
	if c.Name != nil {
		user.Name = strings.TrimSpace(*c.Name)
		if fault := nameFault(user.Name); fault != "" {
			faults.Add("name", fault)
		}
	}
	if c.Email != nil {
		user.Email = NormalizeEmail(*c.Email)
		if fault := emailFault(user.Email); fault != "" {
			faults.Add("email", fault)
		}
	}
	return faults
}
