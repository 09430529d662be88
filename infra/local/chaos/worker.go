package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/infra/local/system"
	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// greeting is what a child says once it serves.
type greeting struct {
	URL string
	Err string
}

// RunChild is the main of a child process: the system as Settings on its
// standard input say, until the input ends. Further values there are
// QueueFaults, which replace those before. Its first line of output is a
// greeting, its log goes to standard error.
func RunChild(in io.Reader, out io.Writer) error {
	orders := json.NewDecoder(in)
	var settings Settings
	if err := orders.Decode(&settings); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	var queue *sqsserver.Server
	s, err := startSystem(settings, func(server *sqsserver.Server) {
		queue = server
		queue.SetHooks(settings.Queue.hooks())
	})
	if err != nil {
		return json.NewEncoder(out).Encode(greeting{Err: err.Error()})
	}
	if err := json.NewEncoder(out).Encode(greeting{URL: s.URL}); err != nil {
		return err
	}
	for {
		var faults QueueFaults
		// Also when the parent dies: no child is left behind.
		if err := orders.Decode(&faults); err != nil {
			break
		}
		queue.SetHooks(faults.hooks())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.Stop(ctx)
}

func startSystem(settings Settings, queue func(*sqsserver.Server)) (*system.System, error) {
	// The terminal's interrupt reaches children too; the parent ends them.
	signal.Ignore(os.Interrupt)
	cfg, err := config.Parse(config.Local, []string{
		"LOCAL_DATA_DIR=" + settings.Dir, "ADMIN_EMAIL=" + email, "ADMIN_PASSWORD=" + password,
		"RATE_LIMIT_IP=0", "RATE_LIMIT_LOGIN=0", "RATE_LIMIT_USER=0", "JWT_ACCESS_EXPIRY=2h",
	})
	if err != nil {
		return nil, err
	}
	db := settings.DB
	cfg.DB = config.Database{Host: db.Host, Port: db.Port, Username: db.User, Password: config.Secret(db.Password), Name: db.Name, TLSCA: config.TLSOff}
	cfg.EgressAllow = app.Loopback
	log := telemetry.NewConsole(os.Stderr, telemetry.ParseLevel("info"))
	telemetry.SetDefault(log)
	return system.Start(context.Background(), system.Options{
		Config: cfg, Log: log, Addr: "127.0.0.1:0",
		TickEvery: settings.TickEvery, Limited: settings.Limited, MostInvocations: settings.MostInvocations, Queue: queue,
	})
}
