package account

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Limits say how often people may ask. 0 switches a limit off.
type Limits struct {
	// Address is how many requests an address may send in a window without a
	// token that is known to be ours.
	Address int
	// FailedLogins is how many sign-ins may fail from an address in a window, and
	// how often a user may give a wrong present password.
	// An account bears accountFactor times as many, from all addresses; those
	// from one address to one account are within the first bound.
	FailedLogins int
	// User is how many requests a signed-in user may send in a minute.
	User int
	// Window is the length of the windows, but for users'.
	Window time.Duration
}

const (
	userWindow = time.Minute
	// accountFactor is how much more an account bears than an address, since
	// whoever guesses at it must not lock its owner out too easily.
	accountFactor = 10
	// countTimeout bounds what counting may add to a request.
	countTimeout = 2 * time.Second
)

// Bucket names a thing that is counted, by a hash: what is counted holds no
// addresses.
type Bucket [16]byte

// Counter counts in fixed windows. A bucket has one window at a time, the
// latest.
type Counter interface {
	// Count adds one to a bucket in the window that ends at the time, and
	// returns what it then holds. It is a single statement.
	Count(ctx context.Context, bucket Bucket, now, ends time.Time) (int, error)
	// Discount takes one away again from buckets of that window.
	Discount(ctx context.Context, buckets []Bucket, ends time.Time) error
}

// Allowance is what a limit has left after a request was counted. The zero
// value means that nothing is limited.
type Allowance struct {
	Limit     int
	Remaining int
	Resets    time.Duration // until the window ends
	// Away is why the database could not count: the numbers are then those of
	// this instance alone. Nil otherwise.
	Away error
}

// rule is one limit.
type rule struct {
	name    string // tells its buckets from those of other rules
	most    int
	window  time.Duration
	refusal string
}

const (
	tooManyRequests = "Too many requests; wait a while."
	tooManyFailures = "Too many sign-ins have failed; wait a while."

	tooManyPasswords = "Your present password was wrong too often; wait a while."
)

// count counts one thing against the rule. Its error is TooManyRequests where
// there are too many, and Unavailable where they could not be counted.
func (s *Service) count(ctx context.Context, r rule, subject string) (Allowance, error) {
	if r.most <= 0 {
		return Allowance{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	now := s.now()
	ends := r.ends(now)
	hits, err := s.store.Count(ctx, r.bucket(subject), now, ends)
	if err != nil {
		return Allowance{}, apperr.Wrap(apperr.Unavailable, err, "The request could not be counted; try again.")
	}
	return r.verdict(hits, now)
}

// verdict is what so many hits leave of the limit; TooManyRequests where they
// are too many.
func (r rule) verdict(hits int, now time.Time) (Allowance, error) {
	left := Allowance{Limit: r.most, Remaining: max(0, r.most-hits), Resets: r.ends(now).Sub(now)}
	if hits > r.most {
		refusal := apperr.New(apperr.TooManyRequests, r.refusal)
		refusal.RetryAfter = left.Resets
		return left, refusal
	}
	return left, nil
}

// ends is when the window ends that a time lies in. All windows of a rule
// begin together, so that no server needs to ask for it.
func (r rule) ends(now time.Time) time.Time { return now.Truncate(r.window).Add(r.window) }

func (r rule) bucket(subject string) Bucket {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s", r.name, r.window, subject))
	return Bucket(sum[:])
}

// CountUser counts a request against the limit of a user.
func (s *Service) CountUser(ctx context.Context, userID int64) (Allowance, error) {
	return s.countTwice(ctx, &s.ofUsers, rule{"user", s.limits.User, userWindow, tooManyRequests}, strconv.FormatInt(userID, 10))
}

// CountAddress counts a request against the limit of an address.
func (s *Service) CountAddress(ctx context.Context, address string) (Allowance, error) {
	return s.countTwice(ctx, &s.ofAddresses, rule{"address", s.limits.Address, s.limits.Window, tooManyRequests}, network(address))
}

// countTwice counts a thing in this instance and in the database, which counts
// for all. What has gone too far here has gone too far there, and is refused
// without asking, so that a flood costs nobody else the database. Where the
// database cannot be asked, the instance's own count decides: a limit must not
// be off just when the system is overwhelmed.
func (s *Service) countTwice(ctx context.Context, own *tally, r rule, subject string) (Allowance, error) {
	if r.most <= 0 {
		return Allowance{}, nil
	}
	now := s.now()
	hits, counted := own.count(r.bucket(subject), r.ends(now))
	if counted && hits > r.most {
		return r.verdict(hits, now)
	}
	left, err := s.count(ctx, r, subject)
	if counted && apperr.Is(err, apperr.Unavailable) {
		away := err
		left, err = r.verdict(hits, now)
		left.Away = away
	}
	return left, err
}

// maxTally is how many users or addresses an instance counts by itself in one
// window: some megabytes.
const maxTally = 20_000

// tally is an instance's own count of what came to it in the present window.
type tally struct {
	mu   sync.Mutex
	ends time.Time // of the window
	hits map[Bucket]int
}

// count adds one to a bucket and returns what it then holds; false where there
// is no room for another bucket.
func (t *tally) count(bucket Bucket, ends time.Time) (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hits == nil || ends.After(t.ends) {
		t.hits, t.ends = map[Bucket]int{}, ends
	}
	if _, known := t.hits[bucket]; !known && len(t.hits) >= maxTally {
		return 0, false
	}
	t.hits[bucket]++
	return t.hits[bucket], true
}

// Holder is the user that an access token or API token was issued to, be it
// expired or revoked; false where the token is not ours.
func (s *Service) Holder(ctx context.Context, accessToken string) (userID int64, ours bool) {
	if isAPIToken(accessToken) {
		hash, wellFormed := hashAPIToken(accessToken)
		if !wellFormed {
			return 0, false
		}
		_, user, err := s.store.TokenWithUser(ctx, hash)
		return user.ID, err == nil
	}
	token, err := s.readAccess(ctx, accessToken, s.now(), accessOf)
	return token.userID, err == nil
}

// admitLogin counts a sign-in as failed before the password is looked at, so
// that many at once cannot get past the limit; TooManyRequests where as many
// have failed. notFailed takes the counts back.
func (s *Service) admitLogin(ctx context.Context, email, address string) (notFailed func(context.Context) error, err error) {
	byAddress := rule{"failed login of address", s.limits.FailedLogins, s.limits.Window, tooManyFailures}
	ofAccount := rule{"failed login to account", s.limits.FailedLogins * accountFactor, s.limits.Window, tooManyFailures}
	if byAddress.most <= 0 {
		return func(context.Context) error { return nil }, nil
	}
	ends := byAddress.ends(s.now())
	// An address that is refused leaves the account's count alone.
	if _, err := s.count(ctx, byAddress, network(address)); err != nil {
		return nil, err
	}
	if _, err := s.count(ctx, ofAccount, email); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return s.store.Discount(ctx, []Bucket{byAddress.bucket(network(address)), ofAccount.bucket(email)}, ends)
	}, nil
}

// admitPassword counts a present password as wrong before it is looked at;
// TooManyRequests where as many were. right takes the count back.
func (s *Service) admitPassword(ctx context.Context, userID int64) (right func(context.Context) error, err error) {
	wrong := rule{"wrong password of user", s.limits.FailedLogins, s.limits.Window, tooManyPasswords}
	if wrong.most <= 0 {
		return func(context.Context) error { return nil }, nil
	}
	subject, ends := strconv.FormatInt(userID, 10), wrong.ends(s.now())
	if _, err := s.count(ctx, wrong, subject); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return s.store.Discount(ctx, []Bucket{wrong.bucket(subject)}, ends)
	}, nil
}

// network is what is counted as one address: an IPv6 host commands a /64.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		prefix, err := ip.Prefix(64)
		if err != nil { // cannot happen: 64 is within 128
			return ip.String()
		}
		return prefix.String()
	}
	return ip.String()
}
