package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/infra/local/secretsserver"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
)

const (
	region          = "us-east-1"
	environmentName = "dev"
	// trace is the trace of every invocation; it is kept, so that lines tell it.
	traceID = "1-5759e988-bd862e3fe1be46a994272793"
	trace   = "Root=" + traceID + ";Parent=53995c3f42cd8ad8;Sampled=1"

	fastQueue = "cron-jobs-start-fast"
	slowQueue = "cron-jobs-start-slow"

	adminEmail    = "admin@example.com"
	adminPassword = "change-me-please" // as functions/api/events/login.json has it

	databaseLogin = "arn:aws:secretsmanager:us-east-1:000000000000:secret:database"
	signingKeys   = "arn:aws:secretsmanager:us-east-1:000000000000:secret:tokens"
	firstAdmin    = "arn:aws:secretsmanager:us-east-1:000000000000:secret:admin"
)

// function is one of the four, with what the templates give it.
type function struct {
	name    string
	memory  int // MB
	timeout time.Duration
}

var (
	api      = function{"api", 1024, 29 * time.Second}
	tick     = function{"tick", 512, 55 * time.Second}
	executor = function{"executor", 512, 900 * time.Second}
	migrate  = function{"migrate", 512, 600 * time.Second}
)

// where is the database server, as TEST_DB_HOST and the like name it.
type where struct {
	host, user, password string
	port                 int
	schema               string
}

func whereFromEnvironment() (where, error) {
	w := where{host: os.Getenv("TEST_DB_HOST"), user: os.Getenv("TEST_DB_USERNAME"), password: os.Getenv("TEST_DB_PASSWORD")}
	var err error
	if w.port, err = strconv.Atoi(os.Getenv("TEST_DB_PORT")); w.host == "" || err != nil {
		return w, errors.New("TEST_DB_HOST and TEST_DB_PORT name no database: run make bench-cold-start")
	}
	w.schema = fmt.Sprintf("cronjobs_start_%d", time.Now().UnixNano())
	return w, database.EnsureDatabase(context.Background(), w.host, w.port, w.user, w.password, w.schema, nil)
}

// stage is what the functions talk to: a database, the queues, the secrets, and
// the target of their calls.
type stage struct {
	database where
	queue    *sqsserver.Server
	queueURL string // its base
	secrets  string // URL
	target   string // URL
	closers  []func()

	mu    sync.Mutex
	calls []http.Header // that the target received
}

func newStage(at where) (*stage, error) {
	s := &stage{database: at, queue: sqsserver.New(sqsserver.Options{})}
	for _, name := range []string{fastQueue, slowQueue} {
		if err := s.queue.CreateQueue(name, map[string]string{"VisibilityTimeout": "5400"}); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
	}
	secrets := new(secretsserver.Server)
	since := time.Now().Add(-time.Hour)
	secrets.Put(databaseLogin, since, map[string]string{"username": at.user, "password": at.password})
	secrets.Put(signingKeys, since, map[string]string{"current": "a-key-for-this-machine-and-this-run-alone", "previous": ""})
	secrets.Put(firstAdmin, since, map[string]string{"email": adminEmail, "password": adminPassword})

	var err error
	for address, handler := range map[*string]http.Handler{
		&s.queueURL: s.queue, &s.secrets: secrets, &s.target: http.HandlerFunc(s.called),
	} {
		if *address, err = s.serve(handler); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *stage) serve(handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("stage: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	s.closers = append(s.closers, func() { _ = server.Close() })
	return "http://" + listener.Addr().String(), nil
}

func (s *stage) close() {
	for _, end := range s.closers {
		end()
	}
}

func (s *stage) called(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Header.Clone())
	w.WriteHeader(http.StatusNoContent)
}

func (s *stage) received() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]http.Header(nil), s.calls...)
}

// environment is what a function finds around it: what Lambda sets, and what the
// templates do, with this machine's addresses. Nothing else.
func (s *stage) environment(f function) []string {
	variables := map[string]string{ //nolint:gosec // its credentials are those of nobody
		"AWS_LAMBDA_FUNCTION_NAME": f.name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.memory), "_HANDLER": "bootstrap",
		"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "TZ": ":UTC", "LANG": "en_US.UTF-8",
		"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local",
		// Lets the database do without TLS; its server here has no certificate of RDS's.
		"AWS_SAM_LOCAL": "true", "DB_TLS_CA": "off",

		"ENVIRONMENT": environmentName, "LOG_LEVEL": "info",
		"DB_HOST": s.database.host, "DB_PORT": strconv.Itoa(s.database.port), "DB_DATABASE": s.database.schema,
		"DB_SECRET_ARN": databaseLogin, "JWT_SECRET_ARN": signingKeys, "ADMIN_SECRET_ARN": firstAdmin,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": s.secrets,
		"SECRETS_KEY_ARN":                  "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000",
		"QUEUE_ENDPOINT":                   s.queueURL,
		"QUEUE_FAST_URL":                   sqsserver.QueueURL(s.queueURL, fastQueue),
		"QUEUE_SLOW_URL":                   sqsserver.QueueURL(s.queueURL, slowQueue),
		"EGRESS_ALLOW_CIDRS":               "127.0.0.0/8",
		"CORS_ORIGIN":                      "http://localhost:5173",
		"RATE_LIMIT_USER":                  "0",
	}
	environment := make([]string, 0, len(variables))
	for name, value := range variables {
		environment = append(environment, name+"="+value)
	}
	return environment
}
