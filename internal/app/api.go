package app

import (
	"context"
	"database/sql"
	"net/http"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/httpapi"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// NewAPI makes the API's Lambda handler. close lets go of what it holds.
func NewAPI(ctx context.Context, env Env) (handler APIHandler, closeAll func() error, err error) {
	served, closeAll, err := newHTTP(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	return gateway(served), closeAll, nil
}

// newHTTP assembles the API as an http.Handler.
func newHTTP(ctx context.Context, env Env) (http.Handler, func() error, error) {
	env = env.withDefaults()
	cfg := env.Config
	db, err := env.openDatabase()
	if err != nil {
		return nil, nil, err
	}
	dispatcher, err := env.openDispatcher(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	askTick, err := env.tickAsker(ctx)
	if err != nil {
		return nil, nil, err
	}
	dispatcher.AskTickBy(askTick)
	accounts, err := account.NewService(mysql.NewAccounts(db), account.Config{
		Secret:           []byte(cfg.JWT.Secret.Reveal()),
		PreviousSecret:   []byte(cfg.JWT.SecretPrevious.Reveal()),
		AccessLifetime:   cfg.JWT.AccessExpiry,
		RememberLifetime: cfg.JWT.RefreshExpiry,
		Limits: account.Limits{
			Address: cfg.RateLimits.IP, FailedLogins: cfg.RateLimits.Login,
			User: cfg.RateLimits.User, Window: cfg.RateLimits.Window,
		},
		AllowRegistration: cfg.AllowRegistration,
	}, env.Now)
	if err != nil {
		return nil, nil, err
	}
	ring, err := env.keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	jobs := mysql.NewJobs(db).WithKeys(ring)
	return httpapi.New(httpapi.Deps{
		Accounts:    accounts,
		Categories:  job.NewCategories(mysql.NewCategories(db), jobs, env.Now),
		Jobs:        job.NewService(jobs, dispatcher, dispatch.LookAhead, env.Now),
		Secrets:     job.NewSecrets(mysql.NewSecrets(db, ring), env.Now),
		Runner:      dispatcher,
		History:     mysql.NewHistory(db),
		Summaries:   mysql.NewRollups(db),
		Remover:     mysql.NewRetention(db),
		Replies:     mysql.NewReplies(db),
		Audit:       mysql.NewAudit(db),
		Health:      health{db, dispatcher},
		StreamWait:  cfg.StreamWait,
		CORSOrigins: cfg.CORSOrigins,
		Now:         env.Now,
		Log:         env.Log,
	}), db.Close, nil
}

// health checks what the API cannot do without.
type health struct {
	db         *sql.DB
	dispatcher *dispatch.Dispatcher
}

func (h health) Database(ctx context.Context) error { return h.db.PingContext(ctx) }

func (h health) Queue(ctx context.Context) error { return h.dispatcher.CheckQueues(ctx) }

// ensureAdmin makes the first user, an admin, where there is none.
func ensureAdmin(ctx context.Context, db *sql.DB, env Env) (bool, error) {
	return account.EnsureAdmin(ctx, mysql.NewAccounts(db), env.Config.AdminEmail, env.Config.AdminPassword.Reveal(), env.Now())
}
