package account

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// people is a store of two users, which knows no more than signing in asks.
type people struct {
	Store
	hash     string
	recorded atomic.Int32
}

func (p *people) UserByEmail(_ context.Context, email string) (User, error) {
	switch email {
	case "ada@example.com":
		return User{ID: 1, Email: email, Role: Admin, IsActive: true, PasswordHash: p.hash}, nil
	case "gone@example.com":
		return User{ID: 2, Email: email, Role: Admin, PasswordHash: p.hash}, nil
	}
	return User{}, apperr.New(apperr.NotFound, "There is no such user.")
}

func (p *people) StartSession(context.Context, Session, string) error { return nil }

func (p *people) Record(context.Context, audit.Entry) error {
	p.recorded.Add(1)
	return nil
}

// TestEverySignInCostsTheSame counts the hashes that a sign-in makes, and what
// each costs: whether there is an account must not be told by the time.
func TestEverySignInCostsTheSame(t *testing.T) {
	t.Parallel()
	hash, err := newHasher().hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	store := &people{hash: hash}
	service, err := NewService(t.Context(), store, Config{
		Secret: make([]byte, MinKeyBytes), AccessLifetime: time.Minute, RememberLifetime: time.Hour,
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	type cost struct {
		passes, memory, length uint32
		lanes                  uint8
		salt                   int
	}
	agreed := cost{passes: 2, memory: 19456, length: 32, lanes: 1, salt: 16}
	var made []cost
	service.hasher.derive = func(password, salt []byte, passes, memory uint32, lanes uint8, length uint32) []byte {
		made = append(made, cost{passes, memory, length, lanes, len(salt)})
		return argon2.IDKey(password, salt, passes, memory, lanes, length)
	}
	const wrong = "unauthenticated: The e-mail address or the password is wrong."
	for name, test := range map[string]struct{ email, password, message string }{
		"right":                     {"ada@example.com", "correct horse", ""},
		"wrong":                     {"ada@example.com", "incorrect horse", wrong},
		"empty":                     {"ada@example.com", "", wrong},
		"nobody":                    {"eve@example.com", "correct horse", wrong},
		"nobody, by no address":     {"", "correct horse", wrong},
		"deactivated":               {"gone@example.com", "correct horse", wrong},
		"deactivated, and is wrong": {"gone@example.com", "incorrect horse", wrong},
	} {
		made = nil
		recorded := store.recorded.Load()
		_, err := service.Login(t.Context(), Login{Email: test.email, Password: test.password})
		if (err == nil) != (test.message == "") || err != nil && err.Error() != test.message {
			t.Errorf("%s: %v", name, err)
		}
		if len(made) != 1 || made[0] != agreed {
			t.Errorf("%s: the hashes made are %+v", name, made)
		}
		if noted := store.recorded.Load() - recorded; (noted == 1) != (test.message != "") {
			t.Errorf("%s: %d notes of a failure", name, noted)
		}
	}
}
