package account

import "time"

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
