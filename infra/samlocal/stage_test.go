// Package samlocal_test runs the built functions in their containers, by the
// SAM CLI, against a real database and a queue that speaks SQS. It looks at what
// they answer and at what they leave behind: the exit codes of `sam local` tell
// nothing. Run it by infra/samlocal/run.sh, which brings what it needs.
package samlocal_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

const (
	root     = "../.."
	password = "a-password-of-the-test"
	fast     = "fast"
	slow     = "slow"

	// invocationTime is how long one is waited for: some seconds, and more on a
	// busy machine.
	invocationTime = 90 * time.Second
)

// sam is what run.sh says: the command, and this machine as containers see it.
type sam struct {
	command, host string
	arm64         bool
}

func ready(t *testing.T) sam {
	t.Helper()
	s := sam{os.Getenv("SAM"), os.Getenv("SAM_HOST"), os.Getenv("SAM_ARM64") == "yes"}
	if s.command == "" || s.host == "" {
		t.Skip("SKIPPED, the functions are not run in containers: use infra/samlocal/run.sh")
	}
	return s
}

// stage is everything that the functions talk to.
type stage struct {
	sam
	db     *sql.DB
	target *target
	queue  string // its base URL, for this process
	env    string // the file of variables for containers
	values map[string]string
	began  time.Time
}

// step says how far the test is, and when it got there: should it come to a
// standstill, the last one tells where.
func (s *stage) step(t *testing.T, what string) {
	t.Helper()
	t.Logf("%5.1f s: %s", time.Since(s.began).Seconds(), what)
}

// target is what jobs call.
type target struct {
	*httptest.Server
	mu    sync.Mutex
	calls []http.Header
}

func (tg *target) received() []http.Header {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return append([]http.Header(nil), tg.calls...)
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{sam: ready(t), db: mysqltest.Empty(t), began: time.Now()}
	var schema string
	if err := s.db.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	databasePort := s.forward(t, net.JoinHostPort(os.Getenv("TEST_DB_HOST"), os.Getenv("TEST_DB_PORT")))

	server := sqsserver.New(sqsserver.Options{})
	for _, name := range []string{fast, slow} {
		if err := server.CreateQueue(name, map[string]string{"VisibilityTimeout": "1980"}); err != nil {
			t.Fatal(err)
		}
	}
	// Loopback and the bridge alone: nothing here is for the world.
	queue := httptest.NewServer(server)
	t.Cleanup(queue.Close)
	s.queue = queue.URL
	queuePort := s.forward(t, queue.Listener.Addr().String())

	s.target = &target{}
	s.target.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.target.mu.Lock()
		defer s.target.mu.Unlock()
		s.target.calls = append(s.target.calls, r.Header.Clone())
		_, _ = io.WriteString(w, `{"called":true}`)
	}))
	_ = s.target.Listener.Close()
	s.target.Listener = s.listen(t)
	s.target.Start()
	t.Cleanup(s.target.Close)

	// The certificate of a server of our own is nobody's: no encryption, as the
	// local runner has it.
	local, err := config.Parse(config.Local, nil)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := fmt.Sprintf("http://%s:%d", s.host, queuePort)
	s.variables(t, map[string]string{
		"DB_HOST": s.host, "DB_PORT": fmt.Sprint(databasePort), "DB_DATABASE": schema,
		"DB_USERNAME": os.Getenv("TEST_DB_USERNAME"), "DB_PASSWORD": os.Getenv("TEST_DB_PASSWORD"),
		"DB_TLS_CA": local.DB.TLSCA, "ADMIN_PASSWORD": password, "QUEUE_ENDPOINT": endpoint,
		"QUEUE_FAST_URL": sqsserver.QueueURL(endpoint, fast), "QUEUE_SLOW_URL": sqsserver.QueueURL(endpoint, slow),
		"EGRESS_ALLOW_CIDRS": s.host + "/32",
	})
	return s
}

// variables writes the example of an env file with these values in it, so that
// the example is tried as well.
func (s *stage) variables(t *testing.T, changes map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "infra", "env.json.example"))
	if err != nil {
		t.Fatal(err)
	}
	var example struct{ Parameters map[string]string }
	if err := json.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	maps.Copy(example.Parameters, changes)
	if text, err = json.Marshal(example); err != nil {
		t.Fatal(err)
	}
	s.values = example.Parameters
	s.env = filepath.Join(t.TempDir(), "env.json")
	if err := os.WriteFile(s.env, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// listen takes a port of the address that containers see.
func (s *stage) listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.host+":0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// forward lets containers reach what listens on loopback, and returns the port.
func (s *stage) forward(t *testing.T, to string) int {
	t.Helper()
	listener := s.listen(t)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = from.Close() }()
				beyond, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer func() { _ = beyond.Close() }()
				go func() {
					_, _ = io.Copy(beyond, from)
					_ = beyond.Close()
				}()
				_, _ = io.Copy(from, beyond)
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

// built is the template that `sam build` made of a stack for a processor.
func built(architecture, stack string) string {
	return filepath.Join(root, ".build", "sam", architecture, stack, "template.yaml")
}

// arguments of `sam local` that every use of it shares.
func (s *stage) arguments(command, architecture, stack string, more ...string) []string {
	return append([]string{
		"local", command, "--template", built(architecture, stack), "--env-vars", s.env,
		"--skip-pull-image", "--parameter-overrides", "Architecture=" + architecture,
	}, more...)
}

// environ is the SAM CLI's environment. Before each invocation it asks AWS whose
// the credentials are, and tries for six seconds; nobody is to be asked.
func environ() []string {
	return append(os.Environ(), "SAM_CLI_TELEMETRY=0", "AWS_ENDPOINT_URL_STS=http://127.0.0.1:1", "AWS_MAX_ATTEMPTS=1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true")
}

// invoke runs a function once and reads its answer. A function that failed, in
// whatever way, is an error.
func (s *stage) invoke(ctx context.Context, architecture, stack, function string, event []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, invocationTime)
	defer cancel()
	command := exec.CommandContext(ctx, s.command, s.arguments("invoke", architecture, stack, "--event", "-", function)...)
	command.Env, command.Stdin = environ(), bytes.NewReader(event)
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	command.WaitDelay = time.Second
	if err := command.Run(); err != nil {
		return fmt.Errorf("sam local invoke %s: %w\n%s", function, err, log.Bytes())
	}
	if err := understand(out.Bytes(), answer); err != nil {
		return fmt.Errorf("%s: %w\n%s", function, err, log.Bytes())
	}
	return nil
}

// understand reads what a function answered. The last line is the payload, and
// a timeout or a crash leaves none.
func understand(out []byte, answer any) error {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	payload := []byte(lines[len(lines)-1])
	var failure struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}
	if err := json.Unmarshal(payload, &failure); err != nil {
		return fmt.Errorf("no answer but %q: %w", out, err)
	}
	if failure.ErrorType != "" || failure.ErrorMessage != "" {
		return fmt.Errorf("failed: %s: %s", failure.ErrorType, failure.ErrorMessage)
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	return decoder.Decode(answer)
}

// count runs a query that counts.
func (s *stage) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	if err := s.db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// messages is how many messages a lane holds, however hidden.
func (s *stage) messages(t *testing.T, name string) int {
	t.Helper()
	client, err := sqsqueue.NewClient(t.Context(), "us-east-1", s.queue)
	if err != nil {
		t.Fatal(err)
	}
	visible, inFlight, delayed, err := sqsqueue.New(client, sqsserver.QueueURL(s.queue, name)).Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return visible + inFlight + delayed
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, most time.Duration, met func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for !met() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", most, what)
		case <-look.C:
		}
	}
}
