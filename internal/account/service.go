package account

import (
	"context"
	"errors"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// Store keeps users and sessions. Its errors bear apperr codes: NotFound where
// there is no such row, Conflict where an e-mail is taken, Unavailable where
// the database is away.
type Store interface {
	Counter

	User(ctx context.Context, id int64) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	// SessionWithUser reads a session and its user at once.
	SessionWithUser(ctx context.Context, sessionID int64) (Session, User, error)

	// StartSession stores a session and notes the sign-in, provided that the
	// user is active and still has the hash that the password was held
	// against; NotFound otherwise. Of more than MaxSessions that are alive, it
	// ends those that were not used for the longest.
	StartSession(ctx context.Context, s Session, passwordHash string) error
	// RotateSession stores the session's next generation; false where another
	// request was faster, or the session has ended.
	RotateSession(ctx context.Context, s Session) (bool, error)
	// EndSession ends a session of the user's; one that is over stays as it is.
	EndSession(ctx context.Context, userID, sessionID int64, reason EndReason, at time.Time) error
	// ChangePassword replaces the hash, provided that it is still the old one,
	// ends all the user's sessions, of which one must be alive, and stores
	// another; NotFound where any of it has changed meanwhile.
	ChangePassword(ctx context.Context, oldHash, newHash string, mustLive int64, next Session) error
	// UpdateUser stores name and e-mail, provided that the version is still
	// the user's; PreconditionFailed otherwise. before is as the user was.
	UpdateUser(ctx context.Context, before, user User) error

	// ListUsers reads a page of users and the number of all that match.
	ListUsers(ctx context.Context, filter UserFilter) ([]User, int, error)
	AddUser(ctx context.Context, user User) (User, error)
	// ChangeUser stores what decide makes of a user, unless the version stays,
	// and ends the user's sessions where decide says why, and the API tokens
	// where that ends them too. decide is told how
	// many other active admins there are, of whom none can go meanwhile; it may
	// be called again. Its error is returned.
	ChangeUser(ctx context.Context, id int64, decide func(current User, otherAdmins int) (User, EndReason, error)) (User, error)
	// ListSessions reads a page of a user's sessions that are alive, the latest
	// first, and how many there are.
	ListSessions(ctx context.Context, userID int64, now time.Time, offset, limit int) ([]Session, int, error)

	// AddToken stores an API token, provided that its owner is active and still
	// signed in by the session, NotFound otherwise, and has fewer than
	// MaxAPITokens, Conflict otherwise.
	AddToken(ctx context.Context, token APIToken, sessionID int64) (APIToken, error)
	// ListTokens reads a page of a user's tokens that are not revoked, the
	// latest first, and how many there are.
	ListTokens(ctx context.Context, userID int64, offset, limit int) ([]APIToken, int, error)
	// RevokeToken ends a token of a user's; false where there is none to end.
	RevokeToken(ctx context.Context, userID, tokenID int64, at time.Time) (bool, error)
	// TokenWithUser finds a token, be it over, and its owner at once.
	TokenWithUser(ctx context.Context, hash [32]byte) (APIToken, User, error)
	// NoteTokenUse stores when a token was used, at most once in TokenUse.
	NoteTokenUse(ctx context.Context, tokenID int64, at time.Time) error

	// Record keeps an entry that tells of no change.
	Record(ctx context.Context, entry audit.Entry) error

	// AddFirstUser stores a user if there is none yet; false if there is.
	AddFirstUser(ctx context.Context, user User) (bool, error)
}

// Config says how tokens are made.
type Config struct {
	// Secret signs, and is at least MinKeyBytes long. PreviousSecret, where it
	// is set, verifies only, so that the secret can be replaced without
	// signing anyone out.
	Secret, PreviousSecret []byte
	// Keys, where it is set, is asked for the secrets in their place.
	Keys KeySource
	// AccessLifetime is how long an access token is good.
	AccessLifetime time.Duration
	// RememberLifetime is how long a remembered session lasts unused.
	RememberLifetime time.Duration
	// Limits are the rate limits; the zero value has none.
	Limits Limits
	// AllowRegistration lets people make themselves viewers.
	AllowRegistration bool
}

// Service signs people in and keeps their accounts.
type Service struct {
	store  Store
	hasher *hasher
	keys   *keyring
	limits Limits
	// What this instance counts by itself.
	ofUsers, ofAddresses tally

	allowRegistration bool

	now func() time.Time
}

// NewService refuses keys that are too short. ctx bounds reading them.
func NewService(ctx context.Context, store Store, config Config, now func() time.Time) (*Service, error) {
	keys, err := newKeyring(ctx, config)
	if err != nil {
		return nil, err
	}
	if config.AccessLifetime <= 0 || config.RememberLifetime <= 0 {
		return nil, errors.New("account: token lifetimes must be positive")
	}
	if l := config.Limits; l.Window <= 0 && (l.Address > 0 || l.FailedLogins > 0) {
		return nil, errors.New("account: the window of the rate limits must be positive")
	}
	return &Service{
		allowRegistration: config.AllowRegistration,

		limits: config.Limits,
		store:  store,
		hasher: newHasher(),
		keys:   keys,
		now:    func() time.Time { return now().UTC().Truncate(time.Millisecond) },
	}, nil
}

var (
	errCredentials = apperr.New(apperr.Unauthenticated, "The e-mail address or the password is wrong.")
	errAccess      = apperr.New(apperr.Unauthenticated, "The access token is not valid, or no longer.")
	errRefresh     = apperr.New(apperr.Unauthenticated, "The refresh token is not valid, or no longer; sign in again.")
)

// Login checks a password and starts a session. Whatever is wrong, the answer
// is the same and takes as long. Where too many have failed, it is
// TooManyRequests, whatever the password.
func (s *Service) Login(ctx context.Context, in Login) (SignedIn, error) {
	ctx = audit.Unsigned(audit.Doing(ctx, audit.Login))
	notFailed, err := s.admitLogin(ctx, NormalizeEmail(in.Email), in.Client.Address)
	if err != nil {
		return SignedIn{}, err
	}
	signedIn, err := s.login(ctx, in)
	if !apperr.Is(err, apperr.Unauthenticated) {
		// A count that stays is a nuisance at worst, and no reason to refuse.
		_ = notFailed(context.WithoutCancel(ctx))
	}
	return signedIn, err
}

func (s *Service) login(ctx context.Context, in Login) (SignedIn, error) {
	user, err := s.store.UserByEmail(ctx, NormalizeEmail(in.Email))
	hash := user.PasswordHash
	switch {
	case apperr.Is(err, apperr.NotFound):
		hash = nobody
	case err != nil:
		return SignedIn{}, err
	}
	match, err := s.hasher.verify(ctx, hash, in.Password)
	if err != nil {
		return SignedIn{}, err
	}
	if !match || !user.IsActive {
		return SignedIn{}, s.loginFailed(ctx, user)
	}
	now := s.now()
	session, err := newSession(user.ID, in.Remember, in.Client, now)
	if err != nil {
		return SignedIn{}, err
	}
	token := s.keys.at(now).refresh.issue(&session, now)
	if err := s.store.StartSession(ctx, session, user.PasswordHash); err != nil {
		if apperr.Is(err, apperr.NotFound) { // deactivated or changed meanwhile
			return SignedIn{}, s.loginFailed(ctx, user)
		}
		return SignedIn{}, err
	}
	user.LastLoginAt = &now
	return s.signedIn(user, session, token, now)
}

// loginFailed notes an attempt, with the account if there is one: what was
// entered may be a password in the wrong field. It is errCredentials, unless the
// note cannot be kept.
func (s *Service) loginFailed(ctx context.Context, user User) error {
	entry := audit.Entry{Action: audit.LoginFailed, Entity: audit.User, EntityID: user.ID, EntityName: user.Email}
	if err := s.store.Record(ctx, entry); err != nil {
		return err
	}
	return errCredentials
}

func (s *Service) signedIn(user User, session Session, refreshToken string, now time.Time) (SignedIn, error) {
	tokens := s.keys.at(now).access
	access, err := tokens.issue(user, session.ID, now)
	if err != nil {
		return SignedIn{}, err
	}
	return SignedIn{AccessToken: access, RefreshToken: refreshToken, ExpiresIn: tokens.lifetime, User: user}, nil
}

// Authenticate tells who an access token belongs to: it must be well signed
// and not expired, its session must be alive, and its user active and with the
// token's version, all as of one read of the database. It also takes API tokens.
func (s *Service) Authenticate(ctx context.Context, accessToken string) (Principal, error) {
	if isAPIToken(accessToken) {
		return s.authenticateToken(ctx, accessToken)
	}
	now := s.now()
	token, err := s.readAccess(ctx, accessToken, now, accessOf)
	switch {
	case apperr.Is(err, apperr.Unavailable):
		return Principal{}, err
	case err != nil || token.expired:
		return Principal{}, errAccess
	}
	return s.holderOf(ctx, token, now)
}

// holderOf is who holds a token that is well signed, if user and session still
// are what they were.
func (s *Service) holderOf(ctx context.Context, token accessToken, now time.Time) (Principal, error) {
	session, user, err := s.store.SessionWithUser(ctx, token.sessionID)
	switch {
	case apperr.Is(err, apperr.NotFound):
		return Principal{}, errAccess
	case err != nil:
		return Principal{}, err
	case user.ID != token.userID, !user.IsActive, user.TokenVersion != token.tokenVersion, !session.alive(now):
		return Principal{}, errAccess
	}
	return Principal{User: user, SessionID: session.ID}, nil
}

// Refresh exchanges a refresh token for a new pair. The same token sent again
// within retryGrace gets the same successor; sent later, it has been stolen by
// somebody, and its session ends.
//
// charge is told once whom the request counts against, the user whom a genuine
// token names or 0, and may refuse it; nothing is changed before.
func (s *Service) Refresh(ctx context.Context, text string, charge func(ctx context.Context, userID int64) error) (SignedIn, error) {
	ctx = audit.Unsigned(ctx)
	token, known := readRefreshToken(text)
	if !known {
		return SignedIn{}, refusal(charge(ctx, 0), errRefresh)
	}
	// A second look serves the request that lost the race for the rotation.
	for look := range 2 {
		now := s.now()
		session, user, err := s.store.SessionWithUser(ctx, token.sessionID)
		genuine := false
		if err == nil {
			genuine, err = s.genuine(ctx, token, session, now)
		}
		switch {
		case apperr.Is(err, apperr.NotFound), err == nil && !genuine:
			return SignedIn{}, refusal(charge(ctx, 0), errRefresh)
		case err != nil:
			return SignedIn{}, err
		}
		if look == 0 {
			if err := charge(ctx, user.ID); err != nil {
				return SignedIn{}, err
			}
		}
		if !session.alive(now) || !user.IsActive {
			return SignedIn{}, errRefresh
		}
		if isPresent(token, session) {
			session.Generation++
			successor := s.keys.at(now).refresh.issue(&session, now)
			won, err := s.store.RotateSession(ctx, session)
			if err != nil {
				return SignedIn{}, err
			}
			if won {
				return s.signedIn(user, session, successor, now)
			}
			continue
		}
		successor, derived := s.keys.at(now).refresh.present(session)
		if token.generation == session.Generation-1 && now.Sub(session.RotatedAt) <= retryGrace && derived {
			return s.signedIn(user, session, successor, now)
		}
		if token.generation < session.Generation {
			if err := s.store.EndSession(audit.Doing(ctx, audit.RefreshReused), user.ID, session.ID, EndReuse, now); err != nil {
				return SignedIn{}, err
			}
		}
		return SignedIn{}, errRefresh
	}
	return SignedIn{}, errRefresh
}

// refusal is the first error, or else the second.
func refusal(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// Logout ends the sessions that the tokens name, either of which may be "".
// Tokens that are over, or that nobody issued, are no error.
func (s *Service) Logout(ctx context.Context, accessToken, refreshToken string) error {
	ctx = audit.Unsigned(audit.Doing(ctx, audit.Logout))
	now := s.now()
	if token, err := s.readAccess(ctx, accessToken, now, accessOf); err == nil {
		if err := s.store.EndSession(ctx, token.userID, token.sessionID, EndLogout, now); err != nil {
			return err
		}
	}
	token, known := readRefreshToken(refreshToken)
	if !known {
		return nil
	}
	session, _, err := s.store.SessionWithUser(ctx, token.sessionID)
	if apperr.Is(err, apperr.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if genuine, err := s.genuine(ctx, token, session, now); err != nil || !genuine {
		return err
	}
	return s.store.EndSession(ctx, session.UserID, session.ID, EndLogout, now)
}

// EnsureAdmin stores the first user, an admin, on a system without users; on
// any other it does nothing. The password is checked for its length alone,
// since whoever installs the system answers for it.
func EnsureAdmin(ctx context.Context, store Store, email, password string, now time.Time) (created bool, err error) {
	var faults apperr.Faults
	email = NormalizeEmail(email)
	if fault := emailFault(email); fault != "" {
		faults.Add("ADMIN_EMAIL", fault)
	}
	if fault := passwordLengthFault(password); fault != "" {
		faults.Add("ADMIN_PASSWORD", fault)
	}
	if err := faults.Err(); err != nil {
		return false, err
	}
	hash, err := newHasher().hash(ctx, password)
	if err != nil {
		return false, err
	}
	now = now.UTC().Truncate(time.Millisecond)
	return store.AddFirstUser(ctx, User{
		Email: email, Name: "Administrator", Role: Admin, IsActive: true, PasswordHash: hash,
		TokenVersion: 1, Version: 1, CreatedAt: now, UpdatedAt: now,
	})
}
