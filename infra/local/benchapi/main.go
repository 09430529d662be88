// Command benchapi measures the API's reads on a large database: it starts the
// local system on what seedlarge made, and asks for each list, detail and
// dashboard over HTTP, through the front door, on eight connections at once and
// then on one: what eight wait for each other is no cost of the request.
//
//	make bench-api DIR=.large                            the database in a directory
//	make bench-api DIR=.large ARGS='-only history'       the requests whose names hold a word
//	make bench-api DIR=.large ARGS='-write docs/benchmarks.md'
package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/seed"
	"github.com/cronjobs/cronjobs/infra/local/system"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

type choice struct {
	dir, only, write    string
	profile             string
	connections, rounds int
	spent               time.Duration
}

func main() {
	var c choice
	flag.StringVar(&c.dir, "dir", "", "the directory that seedlarge was given; without it DB_HOST and the like name a database")
	flag.StringVar(&c.only, "only", "", "measure only requests whose names hold this")
	flag.StringVar(&c.write, "write", "", "put the figures into this Markdown file, between its marks")
	flag.StringVar(&c.profile, "profile", "", "write where the program's processor time goes into this file, for go tool pprof")
	flag.IntVar(&c.connections, "connections", 8, "how many requests are under way at once")
	flag.IntVar(&c.rounds, "rounds", 3, "rounds of each; the medians are printed")
	flag.DurationVar(&c.spent, "time", 2*time.Second, "how long a round lasts")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		cancel()
		os.Exit(1)
	}
}

func say(line string) { fmt.Fprintln(os.Stderr, "… "+line) }

func run(ctx context.Context, c choice) (err error) {
	telemetry.SetDefault(slog.New(slog.DiscardHandler))
	if c.dir != "" {
		if _, err := os.Stat(filepath.Join(c.dir, "database")); err != nil {
			return fmt.Errorf("there is no database in %s: make seed-large DIR=%s makes one", c.dir, c.dir)
		}
	}
	where, stop, err := seed.Open(ctx, c.dir, say)
	if err != nil {
		return err
	}
	defer stop()
	cfg, err := config.Parse(config.Local, os.Environ())
	if err != nil {
		return err
	}
	cfg.DB.Host, cfg.DB.Port, cfg.DB.Username, cfg.DB.Password = where.Host, where.Port, where.User, config.Secret(where.Password)
	cfg.RetentionDays, cfg.AuditRetentionDays = 3650, 3650 // the data's year is to stay
	cfg.RateLimits = config.RateLimits{Window: cfg.RateLimits.Window}
	if cfg.LocalDataDir = c.dir; c.dir == "" {
		if cfg.LocalDataDir, err = os.MkdirTemp("", "cronjobs-bench-api-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(cfg.LocalDataDir) }()
	}
	s, err := system.Start(ctx, system.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", Progress: say})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = errors.Join(err, s.Stop(ctx))
	}()
	db, err := mysql.Open(where)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if unfinished, err := seed.Unfinished(ctx, db); err != nil || unfinished {
		return cmp.Or(err, errors.New("the filling of this database was interrupted: make seed-large goes on with it"))
	}
	size, err := measureSize(ctx, db)
	if err != nil {
		return err
	}
	b, err := newBencher(s, c.connections)
	if err != nil {
		return err
	}
	heading := fmt.Sprintf("%d jobs, %d executions and %d entries of the audit log on %s; %d processors (%s), %s, all on the one machine; %d requests at once, and alone",
		size.jobs, size.executions, size.entries, size.server, runtime.NumCPU(), processor(), runtime.Version(), c.connections)
	fmt.Println(heading + "\n\n" + tableHead)
	lines := []string{heading + ".", "", strings.TrimSpace(tableHead)}
	if c.profile != "" {
		file, err := os.Create(c.profile)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for _, r := range requests(size) {
		if !strings.Contains(r.name, c.only) {
			continue
		}
		line, err := b.measure(ctx, r, c.rounds, c.spent)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Println(line)
		lines = append(lines, line)
	}
	if c.write != "" {
		return writeSection(c.write, strings.Join(lines, "\n"))
	}
	return nil
}

// size is what the database holds.
type size struct {
	jobs, executions, entries int
	server                    string
	from, until               time.Time // of the history
}

func measureSize(ctx context.Context, db *sql.DB) (s size, err error) {
	var from, until sql.NullTime
	err = db.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM jobs), (SELECT COUNT(*) FROM executions), (SELECT COUNT(*) FROM audit_log), VERSION(),
		(SELECT MIN(scheduled_for) FROM executions), (SELECT MAX(scheduled_for) FROM executions)`).
		Scan(&s.jobs, &s.executions, &s.entries, &s.server, &from, &until)
	s.from, s.until = from.Time, until.Time
	if err == nil && s.executions == 0 {
		err = errors.New("the database is empty: make seed-large fills it")
	}
	return s, err
}

// processor names the machine's processor, where the system tells.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// The marks between which writeSection puts the figures.
const (
	beginMark = "<!-- bench-api -->"
	endMark   = "<!-- /bench-api -->"
)

func writeSection(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(old), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return fmt.Errorf("%s has no marks %s and %s", path, beginMark, endMark)
	}
	//nolint:gosec // the file that the caller names
	return os.WriteFile(path, []byte(before+beginMark+"\n"+text+"\n"+endMark+after), 0o600)
}
