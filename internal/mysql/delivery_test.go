package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// world is the delivery protocol on a real database: real steps, a queue in
// memory, a target that notes its calls, and a clock that the test moves.
type world struct {
	*keeper
	store      *mysql.Executions
	dispatcher *dispatch.Dispatcher
	executor   *executor.Executor
	work       job.Category

	mu       sync.Mutex
	messages []message
	sendErr  error
	calls    []executor.Work
	answer   func(executor.Work) execution.Attempt
}

type message struct {
	body    string
	visible time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{keeper: newKeeper(t)}
	w.store = mysql.NewExecutions(w.db).WithKeys(w.ring)
	w.dispatcher = dispatch.New(w.store, w, w, func() time.Time { return w.Now() }, slog.New(slog.DiscardHandler))
	w.executor = executor.New(w.store, w.dispatcher, w, w, slog.New(slog.DiscardHandler))
	jobs := mysql.NewJobs(w.db).WithKeys(w.ring)
	w.jobs = job.NewService(jobs, w.dispatcher, dispatch.LookAhead, w.Now)
	w.categories = job.NewCategories(mysql.NewCategories(w.db), jobs, w.dispatcher, w.Now)
	w.answer = func(executor.Work) execution.Attempt {
		return execution.Attempt{Response: &execution.Response{Status: 200}}
	}
	w.work = w.category("Work")
	t.Cleanup(w.requireSummaries)
	return w
}

// The clock.

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) SleepUntil(_ context.Context, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.After(w.now) {
		w.now = at
	}
	return nil
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// The queue.

func (w *world) Send(_ context.Context, messages []dispatch.Message) []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := make([]error, len(messages))
	for i, m := range messages {
		if errs[i] = w.sendErr; errs[i] == nil {
			w.messages = append(w.messages, message{m.Body, w.now.Add(m.Delay)})
		}
	}
	return errs
}

func (w *world) Depth(context.Context) (int, error) { return 0, nil }

// The target.

func (w *world) Call(_ context.Context, call executor.Call) (execution.Attempt, time.Duration) {
	w.mu.Lock()
	w.calls = append(w.calls, call.Work)
	now := w.now
	w.mu.Unlock()
	attempt := w.answer(call.Work)
	// A fake answer says how long it took by its distance from zero.
	took := max(attempt.EndedAt.Sub(time.Time{}), 20*time.Millisecond)
	attempt.StartedAt, attempt.EndedAt = now, now.Add(took)
	return attempt, 0
}

// deliver hands the executor every message that is visible now.
func (w *world) deliver() {
	w.t.Helper()
	w.mu.Lock()
	var due []string
	w.messages = slices.DeleteFunc(w.messages, func(m message) bool {
		if m.visible.After(w.now) {
			return false
		}
		due = append(due, m.body)
		return true
	})
	w.mu.Unlock()
	for _, err := range w.executor.Run(w.t.Context(), due) {
		if err != nil {
			w.t.Errorf("a message failed: %v", err)
		}
	}
}

// run moves the clock in steps of a second, delivering and ticking as it goes.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	for end := w.Now().Add(d); w.Now().Before(end); {
		w.pass(time.Second)
		w.deliver()
	}
}

func (w *world) tick() dispatch.Report {
	w.t.Helper()
	// The lease sweep compares clocks; the test's stands elsewhere.
	report, err := w.dispatcher.Tick(w.t.Context())
	if err != nil {
		w.t.Fatalf("tick: %v", err)
	}
	return report
}

// minutely creates a job that fires every minute.
func (w *world) minutely(name string, change func(*job.Input)) job.Job {
	w.t.Helper()
	in := w.input(name, w.work.ID)
	in.CronPattern = new("* * * * *")
	if change != nil {
		change(&in)
	}
	return w.create(in)
}

// outcomes counts a job's executions by status.
func (w *world) outcomes(jobID int64) map[string]int {
	w.t.Helper()
	rows, err := w.db.QueryContext(w.t.Context(), "SELECT status, COUNT(*) FROM executions WHERE job_id = ? GROUP BY status", jobID)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	counts := map[string]int{}
	for rows.Next() {
		var status string
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			w.t.Fatal(err)
		}
		counts[status] = n
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return counts
}

func (w *world) want(jobID int64, outcomes map[string]int, calls int) {
	w.t.Helper()
	if diff := cmp.Diff(outcomes, w.outcomes(jobID)); diff != "" {
		w.t.Errorf("executions of job %d (-want +got):\n%s", jobID, diff)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	got := 0
	for _, c := range w.calls {
		if c.JobID == jobID {
			got++
		}
	}
	if got != calls {
		w.t.Errorf("job %d was called %d times, want %d", jobID, got, calls)
	}
}

func TestDueInstantsRunOnceOnTheirInstant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Minutely", nil)
	if got := w.outcomes(j.ID); got["queued"] != 4 {
		t.Fatalf("after creation: %v, want the look-ahead's 4 queued", got)
	}
	w.run(2*time.Minute + 10*time.Second)
	w.tick()
	w.tick()
	w.want(j.ID, map[string]int{"success": 2, "queued": 4}, 2)
	for i, call := range w.calls {
		if want := noon.Add(time.Duration(i+1) * time.Minute); !call.ScheduledFor.Equal(want) {
			t.Errorf("call %d was for %s, want %s", i, call.ScheduledFor, want)
		}
	}
	if late := w.text("SELECT MAX(TIMESTAMPDIFF(MICROSECOND, scheduled_for, started_at)) FROM executions"); late != "0" {
		t.Errorf("the largest lateness is %s µs; the clock stood still", late)
	}
	if got := w.text("SELECT CONCAT(total_executions, ' ', success_count, ' ', consecutive_failures, ' ', last_status) FROM job_stats WHERE job_id = ?", j.ID); got != "2 2 0 success" {
		t.Errorf("statistics: %s", got)
	}
}

func TestMessagesTripledCallOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Tripled", nil)
	w.messages = slices.Repeat(w.messages, 3)
	w.run(61 * time.Second)
	w.want(j.ID, map[string]int{"success": 1, "queued": 3}, 1)
}

func TestPauseCancelsAndResumeRevives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Paused", nil)
	if _, err := w.jobs.Pause(t.Context(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.want(j.ID, map[string]int{"cancelled": 4}, 0)
	w.run(61 * time.Second)
	w.want(j.ID, map[string]int{"cancelled": 4}, 0)
	if _, err := w.jobs.Resume(t.Context(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	// 12:01 passed while paused and stays cancelled; the rest lives again.
	w.want(j.ID, map[string]int{"cancelled": 1, "queued": 4}, 0)
	w.run(61 * time.Second)
	w.want(j.ID, map[string]int{"cancelled": 1, "success": 1, "queued": 3}, 1)
}

func TestAnEditBeforeTheInstantIsWhatIsCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Edited", nil)
	w.run(50 * time.Second)
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{URL: new("https://example.com/new")}, nil); err != nil {
		t.Fatal(err)
	}
	w.run(15 * time.Second)
	w.want(j.ID, map[string]int{"success": 1, "queued": 3}, 1)
	if got := w.calls[0].Request.URL; got != "https://example.com/new" {
		t.Errorf("called %s", got)
	}
}

func TestDeletionCancelsEverythingThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Deleted", nil)
	if _, err := w.dispatcher.RunNow(t.Context(), j.ID, 1); err != nil {
		t.Fatal(err)
	}
	if err := w.jobs.Delete(t.Context(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.run(2 * time.Minute)
	w.tick()
	w.want(j.ID, map[string]int{"cancelled": 5}, 0)
	if _, err := w.dispatcher.RunNow(t.Context(), j.ID, 1); !apperr.Is(err, apperr.NotFound) {
		t.Errorf("RunNow of a deleted job: %v", err)
	}
}

func failing(kind execution.ErrorKind) func(executor.Work) execution.Attempt {
	return func(executor.Work) execution.Attempt {
		return execution.Attempt{Failure: &execution.Failure{Kind: kind, Message: "It failed."}}
	}
}

func TestRetriesGoThroughTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = failing(execution.ErrTimeout)
	j := w.minutely("Retried", func(in *job.Input) {
		in.CronPattern, in.RetryAttempts, in.RetryDelay = new("1 12 * * *"), new(int64(2)), new(int64(5000))
	})
	w.run(62 * time.Second)
	if got := w.text("SELECT CONCAT(status, ' ', attempt, ' ', error_kind) FROM executions WHERE job_id = ?", j.ID); got != "queued 2 timeout" {
		t.Errorf("after the first attempt: %s", got)
	}
	w.run(20 * time.Second)
	w.want(j.ID, map[string]int{"failed": 1}, 3)
	if got := w.text("SELECT GROUP_CONCAT(CONCAT(attempt, '/', fence) ORDER BY attempt) FROM attempts"); got != "1/1,2/2,3/3" {
		t.Errorf("attempts/fences: %s", got)
	}
	for i, call := range w.calls {
		if call.Attempt != i+1 {
			t.Errorf("call %d has number %d", i+1, call.Attempt)
		}
	}
	if got := w.text("SELECT CONCAT(failed_count, ' ', consecutive_failures) FROM job_stats WHERE job_id = ?", j.ID); got != "1 1" {
		t.Errorf("statistics: %s", got)
	}
}

func TestADistantRetryWaitsInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = failing(execution.ErrReset)
	j := w.minutely("Patient", func(in *job.Input) {
		in.CronPattern, in.RetryAttempts, in.RetryDelay = new("1 12 * * *"), new(int64(1)), new(int64(3_600_000))
	})
	w.run(62 * time.Second)
	w.want(j.ID, map[string]int{"pending": 1}, 1)
	for range 62 {
		w.tick()
		w.run(time.Minute)
	}
	w.want(j.ID, map[string]int{"failed": 1}, 2)
}

func TestARetryOfAStoppedJobEnds(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*world, int64) error{
		"paused":  func(w *world, id int64) error { _, err := w.jobs.Pause(t.Context(), id, nil); return err },
		"deleted": func(w *world, id int64) error { return w.jobs.Delete(t.Context(), id, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var j job.Job
			// The job is stopped while its call is on the wire.
			w.answer = func(work executor.Work) execution.Attempt {
				if err := stop(w, work.JobID); err != nil {
					t.Error(err)
				}
				return failing(execution.ErrReset)(work)
			}
			j = w.minutely("Stopped", func(in *job.Input) { in.CronPattern = new("1 12 * * *") })
			w.run(3 * time.Minute)
			w.want(j.ID, map[string]int{"failed": 1}, 1)
			if got := w.text("SELECT reason FROM executions WHERE job_id = ?", j.ID); got != execution.JobStopped {
				t.Errorf("reason: %s", got)
			}
		})
	}
}

func TestWhatTheQueueRefusedIsSentByALaterTick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sendErr = errors.New("the queue is away")
	j := w.minutely("Refused", nil)
	w.want(j.ID, map[string]int{"pending": 4}, 0)
	w.sendErr = nil
	w.run(35 * time.Second)
	if report := w.tick(); report.Resent != 4 {
		t.Errorf("the tick sent %d again, want 4", report.Resent)
	}
	w.run(30 * time.Second)
	w.want(j.ID, map[string]int{"success": 1, "queued": 3}, 1)
}

// A queue that is away while rows fall due makes them late by no more than until
// the tick after its return.
func TestWhatTheQueueRefusedForLongIsSentOnceItIsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sendErr = errors.New("the queue is away")
	j := w.minutely("Refused for long", func(in *job.Input) { in.CronPattern = new("3 12 * * *") })
	for range 5 {
		w.run(time.Minute)
		if _, err := w.dispatcher.Tick(t.Context()); err != nil && !errors.Is(err, w.sendErr) {
			t.Fatal(err)
		}
	}
	w.sendErr = nil
	w.run(time.Minute)
	w.tick()
	w.deliver()
	w.want(j.ID, map[string]int{"success": 1}, 1)
}

// A write that cannot send asks for a tick, which must not wait for the rows.
func TestWhatAWriteCouldNotSendGoesWithTheNextTick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked int
	w.dispatcher.AskTickBy(func(context.Context) error { asked++; return nil })
	w.sendErr = errors.New("the queue is away")
	j := w.minutely("Unsent", func(in *job.Input) { in.CronPattern = new("1 12 * * *") })
	paused := w.minutely("By hand", func(in *job.Input) { in.Status = new("inactive") })
	if _, err := w.dispatcher.RunNow(t.Context(), paused.ID, 1); err != nil {
		t.Fatal(err)
	}
	if asked != 2 {
		t.Errorf("a tick was asked for %d times, want 2", asked)
	}
	w.sendErr = nil
	w.tick()
	w.deliver()
	w.want(paused.ID, map[string]int{"success": 1}, 1)
	w.want(j.ID, map[string]int{"queued": 1}, 0)
}

// punctual is a database whose clock is the test's, so that leases are judged.
type punctual struct {
	*mysql.Executions
	clock *world
}

func (s punctual) Now(context.Context) (time.Time, error) { return s.clock.Now(), nil }

// A run that no worker can read must end, and must not keep others from being sent
// again.
func TestARunWhoseRequestIsGoneEnds(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]string{
		"the request": "DELETE FROM job_requests WHERE job_id = ?",
		"the job":     "DELETE FROM jobs WHERE id = ?",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			once := func(in *job.Input) { in.CronPattern = new("1 12 * * *") }
			waits, runs, healthy := w.minutely("Waits", once), w.minutely("Runs", once), w.minutely("Healthy", once)
			w.startOne(runs.ID)
			for _, id := range []int64{waits.ID, runs.ID} {
				w.exec(lose, id)
			}
			w.messages = nil
			w.at(time.Hour)
			w.exec("UPDATE executions SET resend_after = ? WHERE status = 'queued' AND job_id = ?", noon, waits.ID)
			// The first that a tick looks for, it is looked for once.
			for _, want := range []int{0, 1} {
				taken, err := w.store.TakeStuck(t.Context(), w.Now(), dispatch.StuckRequest{Lane: execution.Fast, Acknowledged: true, Limit: 1})
				if err != nil || len(taken) != want {
					t.Fatalf("taken: %+v, %v; want %d", taken, err, want)
				}
				if err := w.dispatcher.Dispatch(t.Context(), taken); err != nil {
					t.Fatal(err)
				}
			}
			w.deliver()
			tick := dispatch.New(punctual{w.store, w}, w, w, w.Now, slog.New(slog.DiscardHandler))
			if report, err := tick.Tick(t.Context()); err != nil || report.Recovered != 1 {
				t.Errorf("%+v, %v", report, err)
			}
			w.want(healthy.ID, map[string]int{"success": 1}, 1)
			if got := w.text("SELECT CONCAT(status, ': ', reason) FROM executions WHERE job_id = ?", waits.ID); got != "cancelled: its request is no longer stored" {
				t.Errorf("what waited is %s", got)
			}
			if got := w.text("SELECT CONCAT(status, ': ', reason) FROM executions WHERE job_id = ? AND fence = 1", runs.ID); got != "abandoned: the outcome is unknown" {
				t.Errorf("what ran is %s", got)
			}
		})
	}
}

// unanswered is a database whose answer to a claim is lost: it was committed.
type unanswered struct{ *mysql.Executions }

func (s unanswered) Claim(ctx context.Context, request dispatch.ClaimRequest) (dispatch.ClaimResult, error) {
	if _, err := s.Executions.Claim(ctx, request); err != nil {
		return dispatch.ClaimResult{}, err
	}
	return dispatch.ClaimResult{}, errors.New("the answer is lost")
}

// The tick that a write asks for sends what the write has claimed without knowing.
func TestAClaimWithoutAnAnswerGoesWithTheNextTick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := dispatch.New(unanswered{w.store}, w, w, w.Now, slog.New(slog.DiscardHandler))
	w.jobs = job.NewService(mysql.NewJobs(w.db).WithKeys(w.ring), lost, dispatch.LookAhead, w.Now)
	j := w.minutely("Claimed", func(in *job.Input) { in.CronPattern = new("5 0 12 * * *") })
	w.want(j.ID, map[string]int{"pending": 1}, 0)
	if report := w.tick(); report.Resent != 1 {
		t.Errorf("%d rows were sent, want 1", report.Resent)
	}
	w.want(j.ID, map[string]int{"queued": 1}, 0)
	w.run(6 * time.Second)
	w.want(j.ID, map[string]int{"success": 1}, 1)
}

// An answer to an earlier request says nothing of the present target.
func TestAnEarlierTargetThatIsGoneStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const old = "https://example.com/old"
	j := w.minutely("Moved on", func(in *job.Input) { in.URL, in.Status = new(old), new("inactive") })
	first, err := w.dispatcher.RunNow(t.Context(), j.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	w.answer = func(work executor.Work) execution.Attempt {
		if work.Request.URL != old {
			return execution.Attempt{Response: &execution.Response{Status: 200}}
		}
		return execution.Attempt{
			Response: &execution.Response{Status: 410}, Failure: &execution.Failure{Kind: execution.ErrHTTPStatus, Message: "gone"},
		}
	}
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{URL: new("https://example.com/new"), Status: new("active")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dispatcher.Replay(t.Context(), first.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if got := w.text("SELECT status FROM jobs WHERE id = ?", j.ID); got != "active" {
		t.Errorf("the job is %s", got)
	}
	// Its own answer does.
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{URL: new(old)}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dispatcher.RunNow(t.Context(), j.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if got := w.text("SELECT status FROM jobs WHERE id = ?", j.ID); got != "failed" {
		t.Errorf("a job whose target is gone is %s", got)
	}
}

func TestLostMessagesAreSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Lost", func(in *job.Input) { in.CronPattern = new("1 12 * * *") })
	w.messages = nil
	w.run(4 * time.Minute)
	w.tick()
	w.deliver()
	w.want(j.ID, map[string]int{"success": 1}, 1)
}

func TestAllWaitingAreSentAfterTheQueueForgot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Forgotten", nil)
	w.messages = nil
	w.run(90 * time.Second)
	if n, err := w.dispatcher.ResendWaiting(t.Context()); err != nil || n != 4 {
		t.Fatalf("sent %d, %v", n, err)
	}
	w.deliver()
	w.want(j.ID, map[string]int{"success": 1, "queued": 3}, 1)
}

// startOne starts the job's first waiting execution by hand, as a worker that
// then vanishes.
func (w *world) startOne(jobID int64) (executor.Work, int) {
	w.t.Helper()
	waiting, err := w.store.WaitingAfter(w.t.Context(), 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, one := range waiting {
		works, err := w.store.Load(w.t.Context(), []execution.Ref{{ID: one.ID, Attempt: one.Attempt}})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(works) == 0 || works[0].JobID != jobID {
			continue
		}
		started, err := w.store.Start(w.t.Context(), works[0].NotBefore, executor.Ticket{Token: [16]byte{1}}, works)
		if err != nil || started[0].Fence == 0 {
			w.t.Fatalf("start: %+v, %v", started, err)
		}
		return works[0], started[0].Fence
	}
	w.t.Fatal("nothing waits")
	return executor.Work{}, 0
}

func TestAVanishedWorkerIsReplacedAndItsAnswerIsKeptAsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Vanished", func(in *job.Input) { in.CronPattern, in.RetryAttempts = new("1 12 * * *"), new(int64(1)) })
	w.messages = nil
	work, fence := w.startOne(j.ID)
	lost := func(now time.Time) []dispatch.Lost {
		found, err := w.store.LostLeases(t.Context(), now, 10)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	leaseEnd := work.NotBefore.Add(work.Request.Timeout + execution.LeaseSlack)
	if found := lost(leaseEnd); len(found) != 0 {
		t.Errorf("the lease is judged before its end: %+v", found)
	}
	found := lost(leaseEnd.Add(time.Millisecond))
	if len(found) != 1 || found[0].Retry.Attempts != 1 || found[0].Fence != fence {
		t.Fatalf("lost: %+v", found)
	}
	again := found[0].Finish
	again.Status, again.NotBefore = execution.Pending, leaseEnd.Add(time.Second)
	again.Attempt.EndedAt, again.Attempt.Failure = leaseEnd, &execution.Failure{Kind: execution.ErrInternal, Message: "gone"}
	finished, err := w.store.Finish(t.Context(), leaseEnd, []execution.Finish{again})
	if err != nil || !finished[0].Applied || finished[0].Status != execution.Pending {
		t.Fatalf("finish: %+v, %v", finished, err)
	}

	// The vanished worker returns with an answer: its fence is stale.
	late := execution.Finish{
		ID: work.ID, JobID: j.ID, ScheduledFor: work.ScheduledFor, Fence: fence, Status: execution.Success, FirstStartedAt: work.NotBefore,
		Attempt: execution.Attempt{
			ExecutionID: work.ID, Attempt: 1, Fence: fence, StartedAt: work.NotBefore, EndedAt: leaseEnd,
			Response: &execution.Response{Status: 200},
		},
	}
	finished, err = w.store.Finish(t.Context(), leaseEnd, []execution.Finish{late})
	if err != nil || finished[0].Applied {
		t.Fatalf("the stale answer was applied: %+v, %v", finished, err)
	}
	if got := w.text("SELECT CONCAT(status, ' ', attempt) FROM executions WHERE id = ?", work.ID); got != "pending 2" {
		t.Errorf("execution: %s", got)
	}
	if got := w.text("SELECT GROUP_CONCAT(late ORDER BY late) FROM attempts WHERE execution_id = ?", work.ID); got != "0,1" {
		t.Errorf("late flags: %s", got)
	}
}

func TestOverlapSkip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Exclusive", func(in *job.Input) { in.OverlapPolicy, in.CronPattern = new("skip"), new("* * * * *") })
	work, fence := w.startOne(j.ID)
	if _, err := w.dispatcher.RunNow(t.Context(), j.ID, 1); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("a manual run beside a running one: %v, want a conflict", err)
	}
	w.run(2*time.Minute + 5*time.Second)
	w.want(j.ID, map[string]int{"running": 1, "skipped": 1, "queued": 2}, 0)
	_, err := w.store.Finish(t.Context(), w.Now(), []execution.Finish{{
		ID: work.ID, JobID: j.ID, ScheduledFor: work.ScheduledFor, Fence: fence, Status: execution.Success, FirstStartedAt: work.NotBefore,
		Attempt: execution.Attempt{ExecutionID: work.ID, Attempt: 1, Fence: fence, StartedAt: work.NotBefore, EndedAt: w.Now()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.run(time.Minute)
	w.want(j.ID, map[string]int{"success": 2, "skipped": 1, "queued": 1}, 1)
}

// A run that began before overlaps were forbidden holds no slot, and counts.
func TestOverlapForbiddenWhileOneRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Exclusive soon", nil)
	work, _ := w.startOne(j.ID)
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{OverlapPolicy: new("skip")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dispatcher.RunNow(t.Context(), j.ID, 1); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("a manual run beside a running one: %v, want a conflict", err)
	}
	w.run(2 * time.Minute)
	want := fmt.Sprintf("execution %d of this job was still running", work.ID)
	if got := w.text("SELECT GROUP_CONCAT(DISTINCT reason) FROM executions WHERE job_id = ? AND status = 'skipped'", j.ID); got != want {
		t.Errorf("skipped because %q, want %q", got, want)
	}
	if len(w.calls) > 0 {
		t.Errorf("%d calls beside the one that runs", len(w.calls))
	}
}

// A retry keeps the slot that its first attempt took, whatever the job allows
// by then.
func TestARetryIsNotSkippedForARunThatMayOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = failing(execution.ErrReset)
	j := w.minutely("Exclusive once", func(in *job.Input) {
		in.OverlapPolicy, in.RetryAttempts, in.RetryDelay = new("skip"), new(int64(1)), new(int64(50_000))
	})
	w.run(62 * time.Second) // the first attempt of 12:01
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{OverlapPolicy: new("allow"), RetryAttempts: new(int64(0))}, nil); err != nil {
		t.Fatal(err)
	}
	retried := w.text("SELECT id FROM executions WHERE attempt = 2")
	w.exec("UPDATE executions SET status = 'running', fence = 1, started_at = not_before, lease_until = not_before + INTERVAL 1 HOUR WHERE occurrence_at = ?",
		noon.Add(2*time.Minute))
	w.run(70 * time.Second)
	if got := w.text("SELECT CONCAT(status, ' ', attempt) FROM executions WHERE id = ?", retried); got != "failed 2" {
		t.Errorf("the retry is %s, want it called and failed", got)
	}
}

func TestTwoTicksAtOnceDoubleNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const jobs = 60
	for i := range jobs {
		w.minutely("Crowd "+string(rune('A'+i%26))+string(rune('A'+i/26)), func(in *job.Input) { in.Status = new("inactive") })
	}
	w.exec("UPDATE jobs SET status = 'active', next_run_at = ?", noon.Add(time.Minute))
	var ticks sync.WaitGroup
	for range 3 {
		ticks.Go(func() {
			if _, err := w.dispatcher.Tick(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	ticks.Wait()
	if got := w.text("SELECT CONCAT(COUNT(*), ' ', COUNT(DISTINCT job_id, occurrence_at)) FROM executions"); got != "240 240" {
		t.Errorf("rows and distinct occurrences: %s", got)
	}
	w.run(61 * time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) != jobs {
		t.Errorf("%d calls, want %d", len(w.calls), jobs)
	}
}

func TestJobsFollowTheirCategory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Follower", nil)
	set := func(status string) {
		t.Helper()
		if _, err := w.categories.Patch(t.Context(), w.work.ID, job.CategoryInput{Status: &status}, nil); err != nil {
			t.Fatal(err)
		}
	}
	set("inactive")
	// Before any tick: the start itself refuses.
	w.run(61 * time.Second)
	w.want(j.ID, map[string]int{"cancelled": 1, "queued": 3}, 0)
	w.tick()
	w.want(j.ID, map[string]int{"cancelled": 4}, 0)
	if got := w.nextRun(j.ID); got != "NULL" {
		t.Errorf("next run: %s", got)
	}
	// A manual run is made all the same.
	if _, err := w.dispatcher.RunNow(t.Context(), j.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	w.want(j.ID, map[string]int{"cancelled": 4, "success": 1}, 1)
	set("active")
	w.tick()
	w.run(61 * time.Second)
	w.want(j.ID, map[string]int{"cancelled": 1, "success": 2, "queued": 3}, 2)
}

func TestMissedInstantsAreSummedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Missed", func(in *job.Input) { in.CronPattern = new("*/5 * * * *") })
	w.pass(time.Hour + time.Minute) // 13:01, nothing ran, no tick came
	w.messages = nil
	w.tick()
	w.deliver()
	// 12:05 and on are missed but for 13:00, which is a minute late and runs.
	w.want(j.ID, map[string]int{"missed": 1, "success": 1, "queued": 1}, 1)
	got := w.text("SELECT CONCAT(DATE_FORMAT(scheduled_for, '%H:%i'), ' ', DATE_FORMAT(missed_until, '%H:%i'), ' ', missed_count) FROM executions WHERE status = 'missed'")
	if got != "12:05 12:55 11" {
		t.Errorf("summary: %s", got)
	}
}

func TestAJobThatCannotBeReadIsSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	poisoned := w.minutely("Poisoned", func(in *job.Input) { in.Status = new("inactive") })
	healthy := w.minutely("Healthy", nil)
	w.exec("UPDATE jobs SET timezone = 'Atlantis/Capital', status = 'active', next_run_at = ? WHERE id = ?", noon, poisoned.ID)
	if report := w.tick(); report.SetAside != 1 {
		t.Errorf("%d set aside, want 1", report.SetAside)
	}
	if got := w.text("SELECT CONCAT(status, ' ', status_reason <> '', ' ', next_run_at IS NULL) FROM jobs WHERE id = ?", poisoned.ID); got != "failed 1 1" {
		t.Errorf("the job: %s", got)
	}
	w.run(61 * time.Second)
	w.want(healthy.ID, map[string]int{"success": 1, "queued": 3}, 1)
}

func TestAManualRunOfAPausedJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Manual", func(in *job.Input) { in.Status = new("inactive") })
	run, err := w.dispatcher.RunNow(t.Context(), j.ID, 7)
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	w.want(j.ID, map[string]int{"success": 1}, 1)
	if got := w.text("SELECT CONCAT(trigger_type, ' ', requested_by, ' ', occurrence_at IS NULL) FROM executions WHERE id = ?", run.ID); got != "manual 7 1" {
		t.Errorf("execution: %s", got)
	}
}

func TestAFinishWhoseAnswerWasLostIsRecognised(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]execution.Status{"final": execution.Success, "to be tried again": execution.Pending} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			j := w.minutely("Repeated", nil)
			work, fence := w.startOne(j.ID)
			finish := execution.Finish{
				ID: work.ID, JobID: j.ID, ScheduledFor: work.ScheduledFor, Fence: fence, Trigger: execution.Schedule, Status: status, Lane: execution.Fast,
				FirstStartedAt: work.NotBefore, NotBefore: work.NotBefore.Add(time.Minute),
				Attempt: execution.Attempt{
					ExecutionID: work.ID, Attempt: 1, Fence: fence, StartedAt: work.NotBefore, EndedAt: work.NotBefore.Add(time.Second),
					Response: &execution.Response{Status: 200},
				},
			}
			for try := range 2 {
				done, err := w.store.Finish(t.Context(), w.Now(), []execution.Finish{finish})
				if err != nil || !done[0].Applied || done[0].Status != status {
					t.Fatalf("try %d: %+v, %v", try+1, done, err)
				}
			}
			if got := w.text("SELECT COUNT(*) FROM attempts WHERE execution_id = ?", work.ID); got != "1" {
				t.Errorf("%s records of one attempt", got)
			}
		})
	}
}

func TestOneUnreadableRequestDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken, healthy := w.minutely("Broken", nil), w.minutely("Beside it", nil)
	w.exec("UPDATE job_requests SET headers = 'not json' WHERE job_id = ?", broken.ID)
	w.run(61 * time.Second)
	w.want(healthy.ID, map[string]int{"success": 1, "queued": 3}, 1)
	w.want(broken.ID, map[string]int{"failed": 1, "queued": 3}, 0)
}

func TestAJobWhoseHeadersCannotBeReadIsShownAndMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken, healthy := w.minutely("Broken", nil), w.minutely("Beside it", nil)
	w.exec("UPDATE job_requests SET headers = 'not json' WHERE job_id = ?", broken.ID)
	listed, _, err := w.jobs.List(t.Context(), job.Filter{Limit: 10})
	if err != nil || len(listed) != 2 {
		t.Fatalf("%d jobs are listed beside %v", len(listed), err)
	}
	shown, err := w.jobs.Get(t.Context(), broken.ID)
	if err != nil || shown.StatusReason != job.ReasonUnreadable {
		t.Errorf("reason %q, %v", shown.StatusReason, err)
	}
	if _, err := w.jobs.Patch(t.Context(), broken.ID, job.Input{URL: new("https://example.com/new")}, nil); !apperr.Is(err, apperr.Invalid) {
		t.Errorf("an edit that would lose the headers: %v", err)
	}
	if _, err := w.jobs.Pause(t.Context(), broken.ID, nil); err != nil {
		t.Errorf("pause: %v", err)
	}
	none := job.Input{Headers: job.Nullable[map[string]string]{Given: true}, Status: new("active")}
	mended, err := w.jobs.Patch(t.Context(), broken.ID, none, nil)
	if err != nil || mended.StatusReason != "" {
		t.Errorf("entering the headers anew: reason %q, %v", mended.StatusReason, err)
	}
	w.run(61 * time.Second)
	w.want(broken.ID, map[string]int{"success": 1, "queued": 3}, 1)
	w.want(healthy.ID, map[string]int{"success": 1, "queued": 3}, 1)
}

// Whoever has read a row before another worker made its first attempt must not
// end the second.
func TestAStaleDuplicateEndsNoLaterAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store = w.store.WithLimits(execution.Limits{MaxRunning: 1})
	j := w.minutely("Slow", nil)
	w.exec("UPDATE jobs SET lane = 'slow' WHERE id = ?", j.ID)
	waiting, err := w.store.WaitingAfter(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	works, err := w.store.Load(t.Context(), []execution.Ref{{ID: waiting[0].ID, Attempt: 1}})
	if err != nil {
		t.Fatal(err)
	}
	w.exec("UPDATE executions SET attempt = 2 WHERE id = ?", works[0].ID)
	w.exec("UPDATE executions SET status = 'running' WHERE id = ?", waiting[1].ID)
	started, err := w.store.Start(t.Context(), works[0].NotBefore, executor.Ticket{Token: [16]byte{1}}, works)
	if err != nil || started[0].Skipped != "" || started[0].Fence != 0 {
		t.Errorf("start: %+v, %v", started, err)
	}
	if got := w.text("SELECT status FROM executions WHERE id = ?", works[0].ID); got == "skipped" {
		t.Error("the second attempt was skipped for the first")
	}
}

func TestAJobThatMovedToAnActiveCategoryIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Moved", nil)
	waiting, err := w.store.WaitingAfter(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	works, err := w.store.Load(t.Context(), []execution.Ref{{ID: waiting[0].ID, Attempt: 1}})
	if err != nil {
		t.Fatal(err)
	}
	other := w.category("Other")
	w.exec("UPDATE categories SET status = 'inactive' WHERE id = ?", w.work.ID)
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{CategoryID: &other.ID}, nil); err != nil {
		t.Fatal(err)
	}
	started, err := w.store.Start(t.Context(), works[0].NotBefore, executor.Ticket{Token: [16]byte{1}}, works)
	if err != nil || started[0].Fence != 0 {
		t.Fatalf("start: %+v, %v", started, err)
	}
	if got := w.text("SELECT status FROM executions WHERE id = ?", works[0].ID); got == "cancelled" {
		t.Error("the run was cancelled for a category that the job has left")
	}
}

func TestAnEditAfterAStandstillDropsNothingThatWasDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Edited late", func(in *job.Input) { in.CronPattern = new("*/5 * * * *") })
	w.pass(21*time.Minute + 30*time.Second) // no tick came; 12:05 to 12:20 are behind
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{URL: new("https://example.com/new")}, nil); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	// 12:20 is late and runs with the request it was due with.
	w.want(j.ID, map[string]int{"missed": 1, "success": 1, "queued": 1}, 1)
	if got := w.calls[0].Request.URL; got == "https://example.com/new" {
		t.Error("an instant that was already due ran with the edited request")
	}
	if got := w.text("SELECT missed_count FROM executions WHERE status = 'missed'"); got != "3" {
		t.Errorf("%s instants are summed up, want 3", got)
	}
}

func TestAReplayMakesTheCallThatWasMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Replayed", func(in *job.Input) { in.Status = new("inactive") })
	first, err := w.dispatcher.RunNow(t.Context(), j.ID, 7)
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{URL: new("https://example.com/new")}, nil); err != nil {
		t.Fatal(err)
	}
	again, err := w.dispatcher.Replay(t.Context(), first.ID, 8)
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	w.want(j.ID, map[string]int{"success": 2}, 2)
	if diff := cmp.Diff(w.calls[0].Request, w.calls[1].Request); diff != "" || w.calls[1].ID != again.ID {
		t.Errorf("replayed as %d, want %d, with another request: %s", w.calls[1].ID, again.ID, diff)
	}
	if again.JobID != j.ID || again.JobName != "Replayed" || again.ReplayOf != first.ID || again.Trigger != execution.Replay {
		t.Errorf("recorded as %+v", again)
	}
	if got := w.text("SELECT CONCAT(trigger_type, ' ', replay_of = ?, ' ', requested_by) FROM executions WHERE id = ?", first.ID, again.ID); got != "replay 1 8" {
		t.Errorf("execution: %s", got)
	}
	if err := w.jobs.Delete(t.Context(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dispatcher.Replay(t.Context(), first.ID, 8); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("replay for a deleted job: %v", err)
	}
	if _, err := w.dispatcher.Replay(t.Context(), 1<<50, 8); !apperr.Is(err, apperr.NotFound) {
		t.Errorf("replay of nothing: %v", err)
	}
}

func TestAReplayFollowsItsJobsSecretsAndOverlapRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	headers := func(token string) job.Nullable[map[string]string] {
		return job.Nullable[map[string]string]{Given: true, Value: &map[string]string{"Authorization": token, "X-Plain": token}}
	}
	j := w.minutely("Replayed", func(in *job.Input) { in.Status, in.Headers = new("inactive"), headers("old") })
	first, err := w.dispatcher.RunNow(t.Context(), j.ID, 7)
	if err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if _, err := w.jobs.Patch(t.Context(), j.ID, job.Input{Headers: headers("new"), OverlapPolicy: new("skip")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dispatcher.Replay(t.Context(), first.ID, 8); err != nil {
		t.Fatal(err)
	}
	w.answer = func(executor.Work) execution.Attempt {
		// While it is called its job's slot is held.
		if _, err := w.dispatcher.Replay(t.Context(), first.ID, 8); !apperr.Is(err, apperr.Conflict) {
			t.Errorf("a second replay of a job that must not overlap: %v", err)
		}
		return execution.Attempt{Response: &execution.Response{Status: 200}}
	}
	w.deliver()
	want := map[string]string{"Authorization": "new", "X-Plain": "old"}
	if diff := cmp.Diff(want, w.calls[1].Request.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	w.want(j.ID, map[string]int{"success": 2}, 2)
}
