package chaos_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// stage is what a scenario plays on: a database, systems, jobs and a target.
type stage struct {
	t      *testing.T
	db     chaos.Database // as the systems reach it
	direct *sql.DB        // past any proxy, for the checks
	target *chaos.Target
	client *chaos.Client
	jobs   []chaos.Job
	dirs   []string
	// patience is how long rows may take to end once all is well again: a
	// lease, a tick, an attempt, and a busy machine.
	patience time.Duration
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageOn(t, mysqltest.Options(t))
}

func newStageOn(t *testing.T, at mysql.Options) *stage {
	t.Helper()
	needChaos(t)
	direct, err := mysql.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = direct.Close() })
	db := chaos.Database{Host: at.Host, Port: at.Port, User: at.User, Password: at.Password, Name: at.Database}
	return &stage{t: t, db: db, direct: direct, target: newTarget(t, false), patience: 90 * time.Second}
}

func newTarget(t *testing.T, hangs bool) *chaos.Target {
	t.Helper()
	target := chaos.NewTarget(hangs)
	t.Cleanup(target.End)
	return target
}

// behindProxy makes systems that start from now on reach the database through
// a proxy.
func (s *stage) behindProxy() *chaos.Proxy {
	s.t.Helper()
	proxy, err := chaos.NewProxy(net.JoinHostPort(s.db.Host, strconv.Itoa(s.db.Port)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(proxy.Close)
	s.db.Host, s.db.Port = "127.0.0.1", proxy.Port()
	return proxy
}

// settings of a new system, which ticks every two seconds.
func (s *stage) settings() chaos.Settings {
	dir := s.t.TempDir()
	s.dirs = append(s.dirs, dir)
	return chaos.Settings{Dir: dir, DB: s.db, TickEvery: 2 * time.Second}
}

// start starts a system, or starts it again, and signs in to it.
func (s *stage) start(settings chaos.Settings) *chaos.Process {
	s.t.Helper()
	p, err := chaos.StartProcess(s.t.Context(), settings)
	if err != nil {
		s.fatal("start a system: %v", err)
	}
	s.t.Cleanup(p.Stop)
	s.signIn(p)
	return p
}

// signIn makes the client one of that system.
func (s *stage) signIn(p *chaos.Process) {
	s.t.Helper()
	var err error
	if s.client, err = chaos.SignIn(s.t.Context(), p.URL); err != nil {
		s.fatal("sign in: %v", err)
	}
}

// createJobs makes jobs that call the target every second. Their timeout is the
// length of a lease but for its constant 30 s.
func (s *stage) createJobs(n int, timeout time.Duration) {
	s.t.Helper()
	for i := range n {
		job, err := s.client.CreateJob(s.t.Context(), fmt.Sprint("Chaos ", i), s.target.URL, time.Second, map[string]any{"timeout": timeout.Milliseconds()})
		if err != nil {
			s.fatal("create a job: %v", err)
		}
		s.jobs = append(s.jobs, job)
	}
}

// do makes a request of the API, which must succeed.
func (s *stage) do(method, path string, in, out any) {
	s.t.Helper()
	if err := s.client.Do(s.t.Context(), method, path, in, out); err != nil {
		s.fatal("%v", err)
	}
}

// run lets time pass: faults are a matter of real seconds here.
func (s *stage) run(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

// await waits for a condition.
func (s *stage) await(what string, limit time.Duration, condition func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(limit); !condition(); {
		if time.Now().After(deadline) {
			s.fatal("not within %s: %s", limit, what)
		}
		s.run(10 * time.Millisecond)
	}
}

func (s *stage) awaitCalls(n int) {
	s.t.Helper()
	want := len(s.target.Calls()) + n
	s.await(fmt.Sprint(n, " more calls"), 60*time.Second, func() bool { return len(s.target.Calls()) >= want })
}

// settle waits, now that all is well again, until what was due until now has
// ended while its jobs are still active; then it stops the jobs.
func (s *stage) settle() {
	s.t.Helper()
	s.run(2 * time.Second)
	now := time.Now()
	s.settleBefore(now)
	for i := range s.jobs {
		s.jobs[i].Settled = now
	}
	s.pause(s.jobs)
	s.settleBefore(time.Now().AddDate(1, 0, 0))
}

// pause stops jobs, as a person does who tries again.
func (s *stage) pause(jobs []chaos.Job) {
	s.t.Helper()
	for i := range jobs {
		s.await("pausing a job", s.patience, func() bool {
			err := s.client.Pause(s.t.Context(), &jobs[i])
			if err != nil {
				s.t.Logf("pause: %v", err)
			}
			return err == nil
		})
	}
}

func (s *stage) settleBefore(at time.Time) {
	s.t.Helper()
	left := 0
	for deadline := time.Now().Add(s.patience); time.Now().Before(deadline); s.run(100 * time.Millisecond) {
		var err error
		if left, err = chaos.Unsettled(s.t.Context(), s.direct, at); err == nil && left == 0 {
			return
		}
	}
	s.t.Errorf("%d rows had not ended %s after all was well again", left, s.patience)
}

// check settles, judges, and notes the verdict in the table.
func (s *stage) check(scenario string, promise chaos.Promise) chaos.Verdict {
	s.t.Helper()
	s.settle()
	return s.judge(scenario, s.jobs, s.target, promise)
}

func (s *stage) judge(scenario string, jobs []chaos.Job, target *chaos.Target, promise chaos.Promise) chaos.Verdict {
	s.t.Helper()
	v, err := chaos.Judge(s.t.Context(), s.direct, jobs, target, promise)
	if err != nil {
		s.fatal("judge: %v", err)
	}
	results.add(scenario, v)
	s.t.Logf("%s: %d instants, %d missed, %d calls, %d doubled, late p99 %s, max %s",
		scenario, v.Instants, v.Missed, v.Calls, v.Doubled, v.LateP99, v.LateMost)
	if v.Instants == 0 || v.Calls == 0 {
		s.t.Error("nothing was due or nothing was called: this scenario shows nothing")
	}
	for _, problem := range v.Problems {
		s.t.Error(problem)
	}
	if s.t.Failed() {
		s.showLogs()
	}
	return v
}

func (s *stage) fatal(format string, args ...any) {
	s.t.Helper()
	s.showLogs()
	s.t.Fatalf(format, args...)
}

// showLogs shows how the systems' logs end, but for the lines of every call.
func (s *stage) showLogs() {
	const most = 60
	for _, dir := range s.dirs {
		text, err := os.ReadFile(filepath.Join(dir, "system.log"))
		if err != nil {
			continue
		}
		var lines []string
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "error:") || strings.Contains(line, "warn:") || strings.Contains(line, " tick ") || strings.Contains(line, "panic") {
				lines = append(lines, line)
			}
		}
		lines = lines[max(0, len(lines)-most):]
		s.t.Logf("%s ends with:\n%s", dir, strings.Join(lines, ""))
	}
}

// kill ends a system in mid-work, and keeps it off for a moment.
func (s *stage) kill(p *chaos.Process) {
	p.Kill()
	s.run(time.Second)
}

// exited waits for a system to die by itself.
func (s *stage) exited(p *chaos.Process) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	select {
	case <-p.Exited():
	case <-ctx.Done():
		s.fatal("the system should have died")
	}
}
