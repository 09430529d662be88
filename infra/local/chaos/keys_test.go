package chaos_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/chaos"
)

// once makes a request with an Idempotency-Key again and again until it
// succeeds, as a client does that must have it done once. between, if any, is
// called after each try that failed.
func (s *stage) once(key, method, path string, in, out any, between func()) {
	s.t.Helper()
	s.await(method+" "+path+" with the key "+key, s.patience, func() bool {
		err := s.client.DoOnce(s.t.Context(), key, method, path, in, out)
		if err != nil {
			s.t.Logf("%s: %v", key, err)
			if between != nil {
				between()
			}
			s.run(300 * time.Millisecond)
		}
		return err == nil
	})
}

// number reads a number from the database, past any proxy.
func (s *stage) number(query string, args ...any) (n int64) {
	s.t.Helper()
	if err := s.direct.QueryRowContext(s.t.Context(), query, args...).Scan(&n); err != nil {
		s.fatal("%s: %v", query, err)
	}
	return n
}

const manualRuns = "SELECT COUNT(*) FROM executions WHERE trigger_type = 'manual'"

// quiet makes a job that is not due.
func (s *stage) quiet(name string) int64 {
	s.t.Helper()
	job, err := s.client.CreateJob(s.t.Context(), name, s.target.URL, time.Minute, map[string]any{"cronPattern": "0 0 1 1 *"})
	if err != nil {
		s.fatal("create a job: %v", err)
	}
	return job.ID
}

// TestKilledWhileARunWithAKeyIsWaitedFor kills the system while somebody waits
// for the run that was asked for. The same request, sent to its successor, must
// find that run and not make another.
func TestKilledWhileARunWithAKeyIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	settings := s.settings()
	p := s.start(settings)
	path := fmt.Sprintf("/jobs/%d/execute?wait=2", s.quiet("By hand"))
	s.target.BeforeAnswer(func(n int, _ chaos.Call) {
		if n == 1 {
			p.Kill()
		}
	})
	if err := s.client.DoOnce(t.Context(), "run", http.MethodPost, path, nil, nil); err == nil {
		t.Fatal("the system should have died before it answered")
	}
	s.exited(p)
	first := s.number("SELECT MAX(id) FROM executions")
	s.start(settings)
	var run, again struct{ ID int64 }
	s.once("run", http.MethodPost, path, nil, &run, nil)
	s.once("run", http.MethodPost, path, nil, &again, nil)
	if runs := s.number(manualRuns); runs != 1 || run.ID != first || again.ID != first {
		t.Errorf("%d runs; answered with %d and %d, want %d", runs, run.ID, again.ID, first)
	}
	s.settleBefore(time.Now())
	if t.Failed() {
		s.showLogs()
	}
}

// TestKilledWhileAnImportWithAKeyIsStored kills the system at moments from
// before an import's commit to after it. However it went, the same request sent
// again must end in one import.
func TestKilledWhileAnImportWithAKeyIsStored(t *testing.T) {
	t.Parallel()
	needFull(t)
	s := newStage(t)
	settings := s.settings()
	p := s.start(settings)
	const size = 500
	imported := 0 // before the kill
	for round := range 8 {
		jobs := make([]map[string]any, size)
		for i := range jobs {
			jobs[i] = map[string]any{
				"name": fmt.Sprintf("Import %d %d", round, i), "description": "A job of the chaos tests",
				"cronPattern": "0 0 1 1 *", "url": s.target.URL, "categoryId": 1,
			}
		}
		victim := p
		go func() {
			if round%2 == 0 {
				s.run(time.Duration(60+40*round) * time.Millisecond)
			} else { // as soon as it is stored
				for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); {
					var stored int
					err := s.direct.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM jobs").Scan(&stored)
					if err != nil || stored > size*round {
						break
					}
				}
			}
			victim.Kill()
		}()
		var done struct{ Created int }
		key := fmt.Sprint("import ", round)
		first := true
		s.once(key, http.MethodPost, "/jobs/import", map[string]any{"jobs": jobs}, &done, func() {
			if !first {
				return
			}
			first = false
			s.exited(victim)
			if s.number("SELECT COUNT(*) FROM jobs") == int64(size*(round+1)) {
				imported++
			}
			p = s.start(settings)
		})
		if stored := s.number("SELECT COUNT(*) FROM jobs"); stored != int64(size*(round+1)) || done.Created != size {
			s.fatal("round %d: %d jobs are stored, and the answer tells of %d", round, stored, done.Created)
		}
		if first { // it answered before it was killed
			s.exited(victim)
			p = s.start(settings)
		}
	}
	t.Logf("of 8 imports, %d were stored when their system was killed before it answered", imported)
}

// TestCommitsOfRequestsWithKeysAreNotAnswered hides how commits went from the
// system: neither it nor whoever asks knows what was done.
func TestCommitsOfRequestsWithKeysAreNotAnswered(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	proxy := s.behindProxy()
	s.start(s.settings())
	path := fmt.Sprintf("/jobs/%d/execute?wait=0", s.quiet("By hand"))
	jobs := s.number("SELECT COUNT(*) FROM jobs")
	proxy.Set(chaos.LineFaults{NoCommitReply: 0.3})
	const each = 12
	runs, made := map[int64]bool{}, map[int64]bool{}
	for i := range each {
		var one struct{ ID int64 }
		s.once(fmt.Sprint("run ", i), http.MethodPost, path, nil, &one, nil)
		runs[one.ID] = true
		s.once(fmt.Sprint("job ", i), http.MethodPost, "/jobs", map[string]any{
			"name": fmt.Sprint("Made once ", i), "description": "A job of the chaos tests", "cronPattern": "0 0 1 1 *", "url": s.target.URL, "categoryId": 1,
		}, &one, nil)
		made[one.ID] = true
	}
	proxy.Set(chaos.LineFaults{})
	if proxy.Harm().Commits == 0 {
		t.Error("every commit was answered: this scenario shows nothing")
	}
	if got := s.number(manualRuns); got != each || len(runs) != each {
		t.Errorf("%d runs of %d, for %d requests", got, len(runs), each)
	}
	if got := s.number("SELECT COUNT(*) FROM jobs") - jobs; got != each || len(made) != each {
		t.Errorf("%d jobs of %d, for %d requests", got, len(made), each)
	}
	s.settleBefore(time.Now())
	if t.Failed() {
		s.showLogs()
	}
}
