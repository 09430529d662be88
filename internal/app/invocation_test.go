package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// Not parallel: the limit is the process's.
func TestTheCollectorKnowsTheFunctionsMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for name, tc := range map[string]struct {
		size, limit string
		want        int64
	}{
		"512 MB":          {"512", "", 512 << 20 / 10 * 8},
		"10 GB":           {"10240", "", 10240 << 20 / 10 * 8},
		"not a function":  {"", "", before},
		"no number":       {"much", "", before},
		"negative":        {"-1", "", before},
		"set by somebody": {"512", "100MiB", before},
	} {
		debug.SetMemoryLimit(before)
		limitMemory(func(name string) string {
			return map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": tc.size, "GOMEMLIMIT": tc.limit}[name]
		})
		if got := debug.SetMemoryLimit(-1); got != tc.want {
			t.Errorf("%s: the limit is %d bytes, not %d", name, got, tc.want)
		}
	}
}

// network stands between a pool and a database, and may drop what passes on the
// connections that are open, without a word, as networks do after a while.
type network struct {
	mu     sync.Mutex
	dead   []chan struct{}
	opened int
}

func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, dead := range n.dead {
		close(dead)
	}
	n.dead = nil
}

// serve forwards to a database and returns the port to connect to.
func (n *network) serve(t *testing.T, database int) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: database}).String())
			if err != nil {
				_ = client.Close()
				return
			}
			dead := make(chan struct{})
			n.mu.Lock()
			n.dead, n.opened = append(n.dead, dead), n.opened+1
			n.mu.Unlock()
			go forward(server, client, dead)
			go forward(client, server, dead)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func forward(to, from net.Conn, dead <-chan struct{}) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			_ = to.Close()
			return
		}
		select {
		case <-dead: // swallowed
		default:
			_, _ = to.Write(buffer[:n])
		}
	}
}

// A function is frozen between invocations, for hours perhaps, and what dropped
// its connection meanwhile told nobody. The statement that comes first then must
// not wait for an answer until it times out.
func TestAConnectionIsTriedAfterAThaw(t *testing.T) {
	t.Parallel()
	var between network
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	env := Env{
		Config: config.Config{DB: config.Database{
			Host: "127.0.0.1", Port: between.serve(t, databaseServer(t, nil)), Username: "u", Password: "p", Name: "d", TLSCA: config.TLSOff,
		}},
		Now: func() time.Time { return now },
	}.withDefaults()
	db, err := env.openDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	handle := invoked(env, db, func(ctx context.Context, _ struct{}) (bool, error) {
		// Far less than a statement may take, far more than trying takes.
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := db.ExecContext(ctx, "DO 1")
		return errors.Is(err, context.DeadlineExceeded), err
	})
	for i, after := range []time.Duration{0, thawAfter, thawAfter + time.Millisecond, 7 * 24 * time.Hour} {
		now = now.Add(after)
		if after > thawAfter {
			between.cut()
		}
		if waited, err := handle(t.Context(), struct{}{}); err != nil {
			t.Fatalf("invocation %d, %s after the last one: waited for the dead: %t: %v", i+1, after, waited, err)
		}
	}
	// One to begin with, and one in place of each that had died.
	between.mu.Lock()
	defer between.mu.Unlock()
	if between.opened != 3 {
		t.Errorf("%d connections were made", between.opened)
	}
}

// Locally, invocations of one function run side by side and share its pool.
func TestInvocationsThatThawAtOnceDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	const connections = 4
	var between network
	var now atomic.Int64
	env := Env{
		Config: config.Config{DB: config.Database{
			Host: "127.0.0.1", Port: between.serve(t, databaseServer(t, nil)), Username: "u", Password: "p", Name: "d", TLSCA: config.TLSOff,
		}},
		Now: func() time.Time { return time.Unix(now.Load(), 0) }, MaxConns: connections,
	}.withDefaults()
	db, err := env.openDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	handle := invoked(env, db, func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, err := db.ExecContext(ctx, "DO 1")
		return struct{}{}, err
	})
	for range 100 {
		now.Add(2 * int64(thawAfter/time.Second))
		var all sync.WaitGroup
		for range 2 * connections {
			all.Go(func() {
				if _, err := handle(t.Context(), struct{}{}); err != nil {
					t.Error(err)
				}
			})
		}
		if all.Wait(); t.Failed() {
			return
		}
	}
}

func TestAThawWithoutConnectionsMakesNone(t *testing.T) {
	t.Parallel()
	var between network
	env := Env{Config: config.Config{DB: config.Database{
		Host: "127.0.0.1", Port: between.serve(t, databaseServer(t, nil)), Username: "u", Name: "d", TLSCA: config.TLSOff,
	}}}.withDefaults()
	db, err := env.openDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	thaw(t.Context(), db)
	if stats := db.Stats(); stats.OpenConnections != 0 {
		t.Errorf("%d connections", stats.OpenConnections)
	}
}

// The runtime tells Lambda of a panic and ends the process; the log would not know.
func TestAPanicIsLogged(t *testing.T) {
	t.Parallel()
	lines := new(record)
	env := Env{Log: telemetry.NewJSON(lines, slog.LevelInfo)}.withDefaults()
	db, err := mysql.Open(mysql.Options{Host: "127.0.0.1", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	handle := invoked(env, db, func(context.Context, int) (int, error) { panic("a fault of ours") })
	func() {
		defer func() {
			if cause := recover(); cause != "a fault of ours" {
				t.Errorf("the runtime sees %v", cause)
			}
		}()
		_, _ = handle(t.Context(), 1)
	}()
	var entry struct{ Level, Msg, Cause, Stack string }
	told := lines.take()
	if len(told) != 1 || json.Unmarshal(told[0], &entry) != nil || entry.Level != "ERROR" || entry.Cause != "a fault of ours" || !strings.Contains(entry.Stack, "TestAPanicIsLogged") {
		t.Errorf("logged %s", told)
	}
}

// A migration's error is its answer, which whoever does not wait for it never sees.
func TestAMigrationsErrorIsLogged(t *testing.T) {
	t.Parallel()
	lines := new(record)
	cfg := localConfig(t, config.Migrate)
	cfg.DB.Port = 1
	migrate, closeAll, err := NewMigrate(t.Context(), Env{Config: cfg, Log: telemetry.NewJSON(lines, slog.LevelInfo)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	if _, err := migrate(t.Context(), MigrateEvent{Command: "status"}); err == nil {
		t.Error("no error")
	}
	if told := string(bytes.Join(lines.take(), nil)); !strings.Contains(told, `"level":"ERROR"`) || !strings.Contains(told, `"command":"status"`) {
		t.Errorf("logged %s", told)
	}
}

// Executions end as an outcome of a metric where a worker or a tick ends them.
// Those that end by a person's act are counted in summaries alone.
func TestOutcomesAreThoseOfExecutions(t *testing.T) {
	t.Parallel()
	want := []string{"late", "other", "retry", string(execution.Missed), string(execution.Skipped)}
	for _, status := range execution.Statuses {
		if status.Ran() {
			want = append(want, string(status))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(telemetry.Values["outcome"]))); diff != "" {
		t.Errorf("outcomes (-of executions +of metrics):\n%s", diff)
	}
}
