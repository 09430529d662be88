package app

import (
	"context"
	"fmt"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/secretstore"
)

// logins is where the database's login comes from: the secret of that ARN, or
// the configuration where DB_USERNAME is set or there is none.
func (e Env) logins(ctx context.Context, arn string) (mysql.Logins, error) {
	db := e.Config.DB
	if db.Username != "" || arn == "" {
		return mysql.Login{User: db.Username, Password: db.Password.Reveal()}, nil
	}
	store, err := secretstore.Open(ctx, region())
	if err != nil {
		return nil, err
	}
	logins := keptLogin{secretstore.Keep(func(ctx context.Context) (mysql.Login, error) {
		return readLogin(ctx, store, arn)
	}, e.Now)}
	_, err = logins.Login(ctx)
	return logins, err
}

func readLogin(ctx context.Context, store *secretstore.Store, arn string) (mysql.Login, error) {
	var held struct{ Username, Password string }
	if _, err := store.Read(ctx, arn, &held); err != nil {
		return mysql.Login{}, err
	}
	if held.Username == "" || held.Password == "" {
		return mysql.Login{}, secretstore.Lacks(arn, "username and password")
	}
	return mysql.Login{User: held.Username, Password: held.Password}, nil
}

type keptLogin struct {
	*secretstore.Kept[mysql.Login]
}

func (k keptLogin) Login(ctx context.Context) (mysql.Login, error) { return k.Get(ctx) }

// tokenKeys is where the keys of tokens come from; nil where they are those of
// the configuration.
func (e Env) tokenKeys(ctx context.Context) (account.KeySource, error) {
	jwt := e.Config.JWT
	if jwt.Secret != "" || jwt.SecretARN == "" {
		return nil, nil //nolint:nilnil // as is said above
	}
	store, err := secretstore.Open(ctx, region())
	if err != nil {
		return nil, err
	}
	return keptKeys{secretstore.Keep(func(ctx context.Context) (account.Keys, error) {
		return readKeys(ctx, store, jwt.SecretARN)
	}, e.Now)}, nil
}

func readKeys(ctx context.Context, store *secretstore.Store, arn string) (account.Keys, error) {
	var held struct{ Current, Previous string }
	since, err := store.Read(ctx, arn, &held)
	if err != nil {
		return account.Keys{}, err
	}
	if len(held.Current) < config.MinKeyBytes || held.Previous != "" && len(held.Previous) < config.MinKeyBytes {
		return account.Keys{}, secretstore.Lacks(arn, fmt.Sprintf("current, and previous or an empty text, of at least %d bytes", config.MinKeyBytes))
	}
	return account.Keys{Current: held.Current, Previous: held.Previous, Since: since.UTC()}, nil
}

type keptKeys struct {
	*secretstore.Kept[account.Keys]
}

func (k keptKeys) Keys(ctx context.Context) (account.Keys, error) { return k.Get(ctx) }

func (k keptKeys) RenewedKeys(ctx context.Context, had account.Keys) (account.Keys, bool, error) {
	return k.Renewed(ctx, had)
}

// firstAdmin is who becomes the first administrator; empty where nobody is
// named.
func (e Env) firstAdmin(ctx context.Context) (email, password string, err error) {
	cfg := e.Config
	if cfg.AdminEmail != "" && cfg.AdminPassword != "" {
		return cfg.AdminEmail, cfg.AdminPassword.Reveal(), nil
	}
	if cfg.AdminSecretARN == "" {
		return "", "", nil
	}
	store, err := secretstore.Open(ctx, region())
	if err != nil {
		return "", "", err
	}
	var held struct{ Email, Password string }
	if _, err := store.Read(ctx, cfg.AdminSecretARN, &held); err != nil {
		return "", "", err
	}
	if held.Email == "" || held.Password == "" {
		return "", "", secretstore.Lacks(cfg.AdminSecretARN, "email and password")
	}
	return held.Email, held.Password, nil
}
