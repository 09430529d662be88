package chaos_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

func TestDatabaseUnreachable(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]chaos.LineFaults{
		"refuses": {Refuse: true},
		"stalls":  {Stall: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			proxy := s.behindProxy()
			s.start(s.settings())
			s.createJobs(4, longTimeout)
			s.awaitCalls(8)
			proxy.Set(faults)
			s.run(8 * time.Second)
			proxy.Set(chaos.LineFaults{})
			if faults.Refuse && proxy.Harm().Refused == 0 {
				t.Error("nobody was refused")
			}
			// Shorter than a lease: what was called is recorded, not repeated.
			s.check("database "+name+" for 8 s", chaos.Promise{})
		})
	}
}

func TestDatabaseLineCut(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]chaos.LineFaults{
		"line cut at any byte":         {CutWithin: 3000},
		"no reply to commits":          {NoCommitReply: 0.5},
		"cut, and no reply to commits": {NoCommitReply: 0.2, CutWithin: 20000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			proxy := s.behindProxy()
			s.start(s.settings())
			s.createJobs(4, shortTimeout)
			s.awaitCalls(8)
			proxy.Set(faults)
			s.run(10 * time.Second)
			proxy.Set(chaos.LineFaults{})
			harm := proxy.Harm()
			t.Logf("%d connections cut, %d commits without a reply", harm.Cut, harm.Commits)
			if faults.CutWithin > 0 && harm.Cut == 0 || faults.NoCommitReply > 0 && harm.Commits == 0 {
				t.Errorf("the line was not as bad as it should have been: %+v", harm)
			}
			s.check("database: "+name, chaos.Promise{MayDouble: true})
		})
	}
}

func TestDatabaseAwayForLongerThanALease(t *testing.T) {
	t.Parallel()
	needFull(t)
	s := newStage(t)
	s.patience = 6 * time.Minute
	proxy := s.behindProxy()
	s.start(s.settings())
	s.createJobs(4, shortTimeout)
	s.awaitCalls(8)
	proxy.Set(chaos.LineFaults{Refuse: true})
	s.run(2 * time.Minute)
	proxy.Set(chaos.LineFaults{})
	s.check("database refuses for two minutes", chaos.Promise{MayDouble: true})
}

// server is a database server of a scenario's own, which may be killed.
type server struct {
	t    *testing.T
	opts database.Options
	*database.Server
}

func newServer(t *testing.T) *server {
	t.Helper()
	sv := &server{t: t, opts: database.Options{DataDir: filepath.Join(t.TempDir(), "database")}}
	sv.start()
	t.Cleanup(func() { _ = sv.Stop(t.Context()) })
	if err := sv.EnsureDatabase(t.Context(), "chaos"); err != nil {
		t.Fatal(err)
	}
	return sv
}

func (sv *server) start() {
	sv.t.Helper()
	var err error
	if sv.Server, err = database.Start(sv.t.Context(), sv.opts); err != nil {
		sv.t.Fatal(err)
	}
}

// kill ends the server as a crash does.
func (sv *server) kill() {
	sv.t.Helper()
	text, err := os.ReadFile(filepath.Join(sv.opts.DataDir, "state.json"))
	if err != nil {
		sv.t.Fatal(err)
	}
	var state struct{ Server int }
	if err := json.Unmarshal(text, &state); err != nil || state.Server < 2 {
		sv.t.Fatalf("the server's process id: %v: %s", err, text)
	}
	process, err := os.FindProcess(state.Server)
	if err != nil {
		sv.t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		sv.t.Fatal(err)
	}
	<-sv.Exited()
	// Lets go of the directory.
	if err := sv.Stop(sv.t.Context()); err != nil {
		sv.t.Fatal(err)
	}
}

func (sv *server) options() mysql.Options {
	return mysql.Options{Host: sv.Host, Port: sv.Port, User: sv.User, Password: sv.Password, Database: "chaos"}
}

func TestDatabaseKilled(t *testing.T) {
	t.Parallel()
	needChaos(t)
	sv := newServer(t)
	s := newStageOn(t, sv.options())
	s.start(s.settings())
	s.createJobs(4, longTimeout)
	s.awaitCalls(8)
	rounds := 2
	if *full {
		rounds = 5
	}
	for range rounds {
		sv.kill()
		s.run(1500 * time.Millisecond)
		sv.start()
		if sv.Port != s.db.Port {
			t.Fatal("the server came back on another port")
		}
		s.awaitCalls(8)
	}
	s.check("database killed and restarted", chaos.Promise{})
}

// TestDatabaseConnectionsForgotten has a firewall forget the connections: both
// ends wait for the other, until their own limits.
func TestDatabaseConnectionsForgotten(t *testing.T) {
	t.Parallel()
	needFull(t)
	sv := newServer(t)
	s := newStageOn(t, sv.options())
	s.patience = 6 * time.Minute
	// As production's parameter group has it; a local server waits for hours.
	if _, err := s.direct.ExecContext(t.Context(), "SET GLOBAL wait_timeout = 120"); err != nil {
		t.Fatal(err)
	}
	proxy := s.behindProxy()
	s.start(s.settings())
	s.createJobs(4, shortTimeout)
	s.awaitCalls(8)
	proxy.Set(chaos.LineFaults{Stall: true})
	s.run(3 * time.Second)
	proxy.Silence()
	proxy.Set(chaos.LineFaults{})
	s.check("database connections silent for good", chaos.Promise{MayDouble: true})
}

// TestDatabaseReadOnly has the server take no writes for a while, as one does
// that has become a replica or whose disk is full.
func TestDatabaseReadOnly(t *testing.T) {
	t.Parallel()
	needChaos(t)
	sv := newServer(t)
	s := newStageOn(t, sv.options())
	// Whoever administers the server may write all the same.
	s.db.User, s.db.Password = "plain", "plain-password"
	for _, statement := range []string{
		"CREATE USER 'plain'@'%' IDENTIFIED BY 'plain-password'",
		"GRANT ALL ON chaos.* TO 'plain'@'%'",
	} {
		if _, err := s.direct.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.start(s.settings())
	s.createJobs(4, longTimeout)
	s.awaitCalls(8)
	readOnly := func(value string) {
		t.Helper()
		if _, err := s.direct.ExecContext(t.Context(), "SET GLOBAL read_only = "+value); err != nil {
			t.Fatal(err)
		}
	}
	readOnly("ON")
	var made struct{ ID int64 }
	if err := s.client.Do(t.Context(), http.MethodPost, "/categories", map[string]any{"name": "Unwritten", "color": "#00FF00"}, &made); err == nil {
		t.Error("a category was stored: the database takes writes")
	}
	s.run(8 * time.Second)
	readOnly("OFF")
	// Shorter than a lease: what was called is recorded, not repeated.
	s.check("database read-only for 8 s", chaos.Promise{})
}
