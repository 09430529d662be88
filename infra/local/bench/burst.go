package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/infra/local/system"
	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// measurement is one size's result: lateness in milliseconds, and what must be
// zero. Of several rounds it holds the medians, and the sums of faults.
type measurement struct {
	p50, p95, p99, most, recorded float64
	early, lost, doubled          int
}

// target notes when each execution's call arrived.
type target struct {
	mu       sync.Mutex
	arrivals map[string][]arrival
	server   *http.Server
	url      string
}

type arrival struct{ at, due time.Time }

func startTarget() (*target, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &target{arrivals: map[string][]arrival{}, url: "http://" + listener.Addr().String()}
	t.server = &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = t.server.Serve(listener) }()
	return t, nil
}

func (t *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	due, err := time.Parse(time.RFC3339, r.Header.Get("X-Cron-Scheduled-For"))
	if err != nil {
		http.Error(w, "no X-Cron-Scheduled-For", http.StatusBadRequest)
		return
	}
	id := r.Header.Get("X-Cron-Execution-Id")
	t.mu.Lock()
	t.arrivals[id] = append(t.arrivals[id], arrival{now, due})
	t.mu.Unlock()
	_, _ = io.WriteString(w, "ok")
}

func (t *target) received() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.arrivals)
}

func (t *target) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arrivals = map[string][]arrival{}
}

// roundLead is how far ahead a round's instant is set: time for a tick to claim
// and send it.
const roundLead = 12 * time.Second

// roundWait is how long after its instant a round may take.
const roundWait = 60 * time.Second

func measure(ctx context.Context, server *database.Server, dir string, jobs int, limited bool, rounds int, say func(string)) (measurement, error) {
	name := fmt.Sprintf("bench_%d_%t", jobs, limited)
	if err := database.EnsureDatabase(ctx, server.Host, server.Port, server.User, server.Password, name, nil); err != nil {
		return measurement{}, err
	}
	cfg, err := config.Parse(config.Local, []string{"LOCAL_DATA_DIR=" + filepath.Join(dir, name)})
	if err != nil {
		return measurement{}, err
	}
	cfg.DB = config.Database{Host: server.Host, Port: server.Port, Username: server.User, Password: config.Secret(server.Password), Name: name, TLSCA: config.TLSOff}
	cfg.EgressAllow = app.Loopback
	s, err := system.Start(ctx, system.Options{
		Config: cfg, Log: slog.Default(), Addr: "127.0.0.1:0", Limited: limited, TickEvery: 3 * time.Second,
	})
	if err != nil {
		return measurement{}, err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(stopCtx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	t, err := startTarget()
	if err != nil {
		return measurement{}, err
	}
	defer func() { _ = t.server.Close() }()
	db, err := mysql.Open(mysql.Options{Host: server.Host, Port: server.Port, User: server.User, Password: server.Password, Database: name, AnswerTimeout: storeTime})
	if err != nil {
		return measurement{}, err
	}
	defer func() { _ = db.Close() }()
	if err := storeJobs(ctx, db, jobs, t.url+"/bench", time.Time{}); err != nil {
		return measurement{}, err
	}

	var all []measurement
	for round := range rounds {
		say(fmt.Sprintf("%d jobs, poller %s: round %d of %d", jobs, map[bool]string{false: "free", true: "limited"}[limited], round+1, rounds))
		m, err := oneRound(ctx, db, t, jobs)
		if err != nil {
			return measurement{}, err
		}
		all = append(all, m)
	}
	return medians(all), nil
}

// oneRound makes every job due at one instant and waits for the calls.
func oneRound(ctx context.Context, db *sql.DB, t *target, jobs int) (measurement, error) {
	t.reset()
	instant := time.Now().Add(roundLead).Truncate(time.Second).UTC()
	pattern := fmt.Sprintf("%d %d %d * * *", instant.Second(), instant.Minute(), instant.Hour())
	if _, err := db.ExecContext(ctx, "UPDATE jobs SET cron_pattern = ?, next_run_at = ?", pattern, instant); err != nil {
		return measurement{}, err
	}
	for deadline := instant.Add(roundWait); t.received() < jobs && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return measurement{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	// Let doubles, if any, arrive, and outcomes be recorded.
	time.Sleep(2 * time.Second)
	return t.judge(ctx, db, instant, jobs)
}

func (t *target) judge(ctx context.Context, db *sql.DB, instant time.Time, jobs int) (measurement, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var m measurement
	var late []float64
	for _, arrivals := range t.arrivals {
		m.doubled += len(arrivals) - 1
		lateness := arrivals[0].at.Sub(arrivals[0].due)
		if lateness < 0 {
			m.early++
		}
		late = append(late, float64(lateness.Microseconds())/1000)
	}
	m.lost = jobs - len(t.arrivals)
	if len(late) == 0 {
		return m, nil
	}
	m.p50, m.p95, m.p99, m.most = percentile(late, 50), percentile(late, 95), percentile(late, 99), percentile(late, 100)
	recorded, err := latenessOf(ctx, db, instant)
	if err != nil {
		return m, err
	}
	m.recorded = percentile(recorded, 99)
	return m, nil
}

// latenessOf is what the history says of the instant's executions.
func latenessOf(ctx context.Context, db *sql.DB, instant time.Time) (_ []float64, err error) {
	rows, err := db.QueryContext(ctx, "SELECT started_at FROM executions WHERE scheduled_for = ? AND status = 'success'", instant)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []float64
	for rows.Next() {
		var started time.Time
		if err := rows.Scan(&started); err != nil {
			return nil, err
		}
		all = append(all, float64(started.Sub(instant).Milliseconds()))
	}
	return all, rows.Err()
}

// percentile is the nearest-rank percentile.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

func medians(all []measurement) measurement {
	of := func(get func(measurement) float64) float64 {
		values := make([]float64, len(all))
		for i, m := range all {
			values[i] = get(m)
		}
		return percentile(values, 50)
	}
	var total measurement
	for _, m := range all {
		total.early += m.early
		total.lost += m.lost
		total.doubled += m.doubled
	}
	total.p50 = of(func(m measurement) float64 { return m.p50 })
	total.p95 = of(func(m measurement) float64 { return m.p95 })
	total.p99 = of(func(m measurement) float64 { return m.p99 })
	total.most = of(func(m measurement) float64 { return m.most })
	total.recorded = of(func(m measurement) float64 { return m.recorded })
	return total
}
