package seed

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

const (
	// statementTime is what building the indexes of a large table may take.
	statementTime = time.Hour
	// memoryMB is the buffer pool of a server that is started here: what a
	// database with 2 GB has.
	memoryMB = 1024
)

// Open says where the database is: one that it starts on dir, in the place
// where the local runner keeps its own, or else the one that DB_HOST and the
// like name. stop ends what was started.
func Open(ctx context.Context, dir string, say func(string)) (where mysql.Options, stop func(), err error) {
	cfg, err := config.Parse(config.Local, os.Environ())
	if err != nil {
		return where, nil, err
	}
	where = mysql.Options{
		Host: cfg.DB.Host, Port: cfg.DB.Port, User: cfg.DB.Username, Password: cfg.DB.Password.Reveal(), Database: cfg.DB.Name,
		MaxConns: 4, AnswerTimeout: statementTime,
	}
	if dir == "" {
		if where.TLS, err = app.DatabaseTLS(cfg.DB); err != nil {
			return where, nil, err
		}
	}
	stop = func() {}
	switch {
	case dir != "":
		server, err := database.Start(ctx, database.Options{
			DataDir: filepath.Join(dir, "database"), Choice: cfg.LocalDatabase, MemoryMB: memoryMB, Progress: say,
		})
		if err != nil {
			return where, nil, err
		}
		stop = func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			_ = server.Stop(ctx)
		}
		where.Host, where.Port, where.User, where.Password = server.Host, server.Port, server.User, server.Password
	case where.Host == "":
		return where, nil, errors.New("name a database by DB_HOST, DB_USERNAME and DB_PASSWORD, or a directory by DIR=")
	}
	if err := database.EnsureDatabase(ctx, where.Host, where.Port, where.User, where.Password, where.Database, where.TLS); err != nil {
		stop()
		return where, nil, err
	}
	return where, stop, nil
}
