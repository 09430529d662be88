package app

import (
	"context"
	"database/sql"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/httpapi"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// NewAPI makes the API's Lambda handler. close lets go of what it holds.
func NewAPI(ctx context.Context, env Env) (handler APIHandler, closeAll func() error, err error) {
	env = env.withDefaults()
	served, db, err := newHTTP(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	answer := gateway(served, env.Log)
	return invoked(env, db, func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		began := env.Now()
		response, err := answer(mysql.WithOneConnectTimeout(ctx), event)
		measureRequest(ctx, env.Now().Sub(began), response.StatusCode)
		return response, err
	}), db.Close, nil
}

// measureRequest adds a request to the metrics. An error that is answered is no
// error of the function, so that its errors are counted here: by them a release
// that answers every request, and every one badly, is taken back.
func measureRequest(ctx context.Context, took time.Duration, status int) {
	observeTime(ctx, telemetry.RequestDuration, took)
	failed := 0.0
	if status >= http.StatusInternalServerError {
		failed = 1
	}
	telemetry.Observe(ctx, telemetry.ServerErrors, "", failed)
}

// requestConnectTime is what a request waits for a connection to the database;
// then it is answered that the service is unavailable.
const requestConnectTime = 2 * time.Second

// newHTTP assembles the API as an http.Handler, and the database that it holds.
func newHTTP(ctx context.Context, env Env) (http.Handler, *sql.DB, error) {
	cfg := env.Config
	logins, err := env.logins(ctx, cfg.DB.SecretARN)
	if err != nil {
		return nil, nil, err
	}
	db, err := env.openDatabaseAs(logins, mysql.Options{ConnectTimeout: requestConnectTime})
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
	keys, err := env.tokenKeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	accounts, err := account.NewService(ctx, mysql.NewAccounts(db), account.Config{
		Secret:           []byte(cfg.JWT.Secret.Reveal()),
		PreviousSecret:   []byte(cfg.JWT.SecretPrevious.Reveal()),
		Keys:             keys,
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
		Categories:  job.NewCategories(mysql.NewCategories(db), jobs, dispatcher, env.Now),
		Jobs:        job.NewService(jobs, dispatcher, dispatch.LookAhead, env.Now),
		Secrets:     job.NewSecrets(mysql.NewSecrets(db, ring), env.Now),
		Runner:      dispatcher,
		History:     mysql.NewHistory(db).Beside(jobs),
		Summaries:   mysql.NewRollups(db),
		Remover:     mysql.NewRetention(db),
		Replies:     mysql.NewReplies(db),
		Audit:       mysql.NewAudit(db),
		Health:      health{db, dispatcher},
		StreamWait:  cfg.StreamWait,
		CORSOrigins: cfg.CORSOrigins,
		Now:         env.Now,
		Log:         env.Log,
	}), db, nil
}

// health checks what the API cannot do without.
type health struct {
	db         *sql.DB
	dispatcher *dispatch.Dispatcher
}

func (h health) Database(ctx context.Context) error { return h.db.PingContext(ctx) }

func (h health) Queue(ctx context.Context) error { return h.dispatcher.CheckQueues(ctx) }
