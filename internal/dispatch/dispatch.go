// Package dispatch makes what is due happen: it claims due instants of jobs as
// rows, sends wake-up messages for the rows, and sweeps what got stuck. One
// Tick does all three; a write by a person does the first two in line for its
// own jobs.
//
// Rows are the truth and messages only wake-ups, so every step may be
// repeated, doubled or cut off anywhere. The package decides; its Store talks
// to the database and its Queue to the message queue.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// The times that the protocol turns on.
const (
	// LookAhead is how far ahead instants are claimed. Ticks come within a
	// minute each, so gaps approach two minutes; with this, losing one tick
	// costs nothing.
	LookAhead = 240 * time.Second
	// MissedAfter is the age from which an instant that is claimed counts as
	// missed; younger ones are late and run.
	MissedAfter = 120 * time.Second
	// SendGrace is how long a row may stay unsent before the next tick takes over
	// from whoever was to send it.
	SendGrace = 30 * time.Second
	// MaxSkew is the difference between our clock and the database's above
	// which no lease is judged.
	MaxSkew = 5 * time.Second
)

// Message is one message for the queue.
type Message struct {
	Body string
	// Delay holds the message back; whole seconds, at most MaxDelay.
	Delay time.Duration
}

// MaxDelay is the longest that the queue holds a message back.
const MaxDelay = 900 * time.Second

// Queue is one lane. Send answers an error for each message, nil where the
// queue acknowledged it.
type Queue interface {
	Send(ctx context.Context, messages []Message) []error
	// Depth is about how many messages wait to be received.
	Depth(ctx context.Context) (int, error)
}

// Store is the database as this package needs it. Every method is one
// transaction; errors are the database's own or bear apperr codes.
type Store interface {
	// Claim locks due jobs, asks plan about each, and stores what it says.
	Claim(ctx context.Context, request ClaimRequest) (ClaimResult, error)
	// CountDue is how many jobs are due at the horizon, locked or not, but for
	// those of some categories.
	CountDue(ctx context.Context, horizon time.Time, except []int64) (int, error)
	// MarkQueued notes which waiting executions the queue acknowledged.
	MarkQueued(ctx context.Context, now time.Time, sent []execution.Ref) error
	// HandOver makes the unsent among these due to be sent by the next tick.
	HandOver(ctx context.Context, now time.Time, unsent []execution.Waiting) error
	// HandOverJobs does so for the rows of these jobs that nobody has sent.
	HandOverJobs(ctx context.Context, now time.Time, jobIDs []int64) error
	// TakeStuck picks waiting executions whose message seems lost, pushes
	// their next look back, and ends those whose job has stopped.
	TakeStuck(ctx context.Context, now time.Time, request StuckRequest) ([]execution.Waiting, error)
	// WaitingAfter lists waiting executions with larger ids, ascending.
	WaitingAfter(ctx context.Context, id int64, limit int) ([]execution.Waiting, error)
	// LostLeases lists running executions whose worker's lease has ended.
	LostLeases(ctx context.Context, now time.Time, limit int) ([]Lost, error)
	// Finish applies transitions; see execution.Finish.
	Finish(ctx context.Context, now time.Time, batch []execution.Finish) ([]execution.Finished, error)
	// Unfollowed lists categories some of whose jobs do not follow their status
	// yet; active ones come first.
	Unfollowed(ctx context.Context) ([]int64, error)
	// Follow makes some jobs follow their category's status: those of an
	// inactive one lose their next run and their waiting scheduled runs, and what
	// was due until then is recorded; those of an active one are claimed from the
	// instant on that it became so. A result of neither jobs nor runs says that
	// all do.
	Follow(ctx context.Context, request FollowRequest) (FollowResult, error)
	// CreateRun records a run that a person asked for, and returns it as it is
	// shown and as it is sent.
	CreateRun(ctx context.Context, now time.Time, run NewRun) (execution.Execution, execution.Waiting, error)
	// Now is the database's clock.
	Now(ctx context.Context) (time.Time, error)
}

// ClaimRequest says which jobs to claim and how.
type ClaimRequest struct {
	Now, Horizon time.Time
	// JobIDs limits the claim to these jobs; nil means every due job.
	JobIDs []int64
	// After skips due jobs up to there, in the order of claiming; nil skips
	// none. An index still bears the traces of jobs that were claimed just now,
	// and reading past them costs more with each claim.
	After *Place
	// MaxJobs and MaxRows bound the transaction; at least one job is claimed
	// whatever its rows.
	MaxJobs, MaxRows int
	// Except are categories whose jobs are left alone.
	Except []int64
	// ResendAfter is when a row that was not sent is taken over.
	ResendAfter time.Time
	// Plan decides what becomes of one job. It must be pure.
	Plan func(DueJob) Plan
}

// Place is a job's place in the order in which due jobs are claimed.
type Place struct {
	NextRunAt time.Time
	JobID     int64
}

// DueJob is a job that is due, as much as planning needs.
type DueJob struct {
	ID            int64
	CronPattern   string
	Timezone      string
	MisfirePolicy string
	NextRunAt     time.Time
	// Until is the last moment that counts, where the job's category has been
	// inactive since; nil otherwise.
	Until *time.Time
}

// Plan is what becomes of one due job.
type Plan struct {
	// Runs are the instants that get a row to run.
	Runs []time.Time
	// Missed sums up the instants that do not run; nil where there is none.
	Missed *Missed
	// NextRunAt is the first instant past the horizon; nil: never again.
	NextRunAt *time.Time
	// SetAside is why the job cannot be planned at all; "" normally.
	SetAside string
}

// Missed stands for instants that were too old to run.
type Missed struct {
	From, Until time.Time // the oldest and the newest instant
	Count       int       // at most MaxMissedCount
}

// ClaimResult is what a claim stored.
type ClaimResult struct {
	Waiting  []execution.Waiting // the rows to send
	Jobs     int                 // jobs claimed, set aside or unscheduled
	SetAside int
	Missed   int    // summary rows
	Last     *Place // of the last job claimed; nil where none was
	// Full says that MaxRows left no room for some job that was found due.
	Full bool
	// Inactive are categories of due jobs that were left alone, for they have to
	// follow their category first.
	Inactive []int64
}

// FollowRequest says which jobs shall follow their category: those of one
// category, or those that ClaimRequest names.
type FollowRequest struct {
	ClaimRequest
	CategoryID int64
	// MaxCancelled bounds the runs that one transaction cancels.
	MaxCancelled int
}

// FollowResult is what following has changed.
type FollowResult struct {
	ClaimResult
	Cancelled int // waiting runs of jobs that do not count below Jobs yet, or do
}

// StuckRequest says which waiting executions to pick, and how many.
type StuckRequest struct {
	Lane execution.Lane
	// Acknowledged picks rows that the queue has acknowledged a message for;
	// otherwise those of which no message is known.
	Acknowledged bool
	Limit        int
}

// Lost is a running execution whose worker vanished.
type Lost struct {
	execution.Finish // ID, JobID, Fence, Trigger, Lane, Host, FirstStartedAt and Attempt's number are set
	Retry            execution.RetryPolicy
}

// NewRun is a run that a person asked for: of a job with its present request,
// or, where ReplayOf is set, of that execution's job with the request that it
// was made with.
type NewRun struct {
	JobID       int64
	ReplayOf    int64
	RequestedBy int64
	ResendAfter time.Time
}

// Dispatcher claims, sends and sweeps. It is safe for concurrent use.
type Dispatcher struct {
	store Store
	lanes map[execution.Lane]Queue
	now   func() time.Time
	log   *slog.Logger
	// askTick asks for a tick ahead of its minute; nil where nobody can.
	askTick func(ctx context.Context) error
}

// New makes a dispatcher over its database, its two lanes and a clock.
func New(store Store, fast, slow Queue, now func() time.Time, log *slog.Logger) *Dispatcher {
	return &Dispatcher{
		store: store,
		lanes: map[execution.Lane]Queue{execution.Fast: fast, execution.Slow: slow},
		now:   now,
		log:   log,
	}
}

// AskTickBy sets how a tick is asked for when a write leaves due work behind. It
// is set before the dispatcher is used. Without it the next tick of the minute
// does that work.
func (d *Dispatcher) AskTickBy(ask func(ctx context.Context) error) { d.askTick = ask }

// askTime bounds asking for a tick.
const askTime = time.Second

// leaveToTick says that due work is left, and asks for a tick to do it; to send
// these rows, too, if they are unsent, and those of jobs whose claim may have
// been committed although it failed.
func (d *Dispatcher) leaveToTick(ctx context.Context, unsent []execution.Waiting, unknown []int64, why string, attrs ...any) {
	d.log.WarnContext(ctx, why, attrs...)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	if len(unsent) > 0 {
		if err := d.store.HandOver(ctx, d.clock(), unsent); err != nil {
			d.log.WarnContext(ctx, "unsent rows wait for a later tick", "rows", len(unsent), "err", err)
		}
	}
	if len(unknown) > 0 {
		if err := d.store.HandOverJobs(ctx, d.clock(), unknown); err != nil {
			d.log.WarnContext(ctx, "rows of a claim without an answer may wait for a later tick", "jobs", len(unknown), "err", err)
		}
	}
	d.AskTick(ctx)
}

// AskTick asks for a tick ahead of its minute, where somebody can.
func (d *Dispatcher) AskTick(ctx context.Context) {
	if d.askTick == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	if err := d.askTick(ctx); err != nil {
		d.log.WarnContext(ctx, "a tick could not be asked for; the next one comes within its minute", "err", err)
	}
}

// clock is the present, as it can be stored.
func (d *Dispatcher) clock() time.Time { return d.now().UTC().Truncate(time.Millisecond) }

// In-line bounds: a person's request must not wait for more; a tick does the
// rest. inlineTime is for claiming, and as much again for sending.
const (
	inlineRows = 5000
	inlineTime = 2 * time.Second
)

// DispatchJobs claims and sends what these jobs have due inside the
// look-ahead. What it leaves, a tick does, which it asks for.
func (d *Dispatcher) DispatchJobs(ctx context.Context, jobIDs []int64) error {
	inTime, cancel := context.WithTimeout(ctx, inlineTime)
	defer cancel()
	done, unsent, unknown, err := d.dispatchJobs(inTime, jobIDs)
	if err != nil || done < len(jobIDs) {
		d.leaveToTick(ctx, unsent, unknown, "a write's due work is left to a tick", "jobs", len(jobIDs), "done", done, "err", err)
	}
	return err
}

// dispatchJobs answers how many of the jobs are done with, and with an error the
// rows of which some could not be sent, and the jobs of which it does not know
// whether they were claimed.
func (d *Dispatcher) dispatchJobs(ctx context.Context, jobIDs []int64) (done int, unsent []execution.Waiting, unknown []int64, err error) {
	rows := 0
	var sendErr error
	for done < len(jobIDs) && rows < inlineRows {
		some := jobIDs[done:min(done+claimJobs, len(jobIDs))]
		result, err := d.claim(ctx, some, nil, nil)
		if err != nil {
			return done, unsent, some, err
		}
		// A queue that is away keeps nothing from being recorded.
		if sendErr == nil {
			sendErr = d.sendInline(ctx, result.Waiting)
		}
		if sendErr != nil {
			unsent = append(unsent, result.Waiting...)
		}
		rows += len(result.Waiting)
		telemetry.Observe(ctx, telemetry.OccurrencesClaimed, "", float64(len(result.Waiting)))
		// The jobs that a full claim has left are still due: they are named
		// again.
		if !result.Full {
			done += len(some)
		}
	}
	return done, unsent, nil, sendErr
}

// sendInline sends what a request has stored, also where the request, or its
// time for claiming, ends meanwhile: a tick takes rows that were not sent over
// only after SendGrace, which may be late for their instants.
func (d *Dispatcher) sendInline(ctx context.Context, waiting []execution.Waiting) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), inlineTime)
	defer cancel()
	return d.Dispatch(ctx, waiting)
}

// RunNow records a run that a person asked for and sends it; the answer is the
// run as it was recorded. The error bears NotFound for an unknown job and
// Conflict where one that must not overlap is running. A message that cannot be
// sent is not an error: the row waits for a tick.
func (d *Dispatcher) RunNow(ctx context.Context, jobID, userID int64) (execution.Execution, error) {
	ctx = audit.Doing(ctx, audit.JobExecute)
	return d.runNow(ctx, NewRun{JobID: jobID, RequestedBy: userID})
}

// Replay makes an execution's call once more, with the request that it was made
// with and the present values of its job's secret headers, as an execution of
// its own. The error bears NotFound for an unknown execution, Conflict where
// its job is deleted, and otherwise what RunNow's does.
func (d *Dispatcher) Replay(ctx context.Context, executionID, userID int64) (execution.Execution, error) {
	ctx = audit.Doing(ctx, audit.JobReplay)
	return d.runNow(ctx, NewRun{ReplayOf: executionID, RequestedBy: userID})
}

func (d *Dispatcher) runNow(ctx context.Context, run NewRun) (execution.Execution, error) {
	now := d.clock()
	run.ResendAfter = now.Add(SendGrace)
	recorded, waiting, err := d.store.CreateRun(ctx, now, run)
	if err != nil {
		return execution.Execution{}, err
	}
	send := []execution.Waiting{waiting}
	if err := d.sendInline(ctx, send); err != nil {
		d.leaveToTick(ctx, send, nil, "a run by hand waits for a tick", "executionId", waiting.ID, "err", err)
	}
	return recorded, nil
}

// Dispatch sends messages for waiting executions, soonest first, and marks
// those whose message was acknowledged. What was not acknowledged stays
// pending, and the error says so; a tick sends it again. Executions further
// ahead than the queue can hold a message back wait in the database.
func (d *Dispatcher) Dispatch(ctx context.Context, waiting []execution.Waiting) error {
	soon := d.clock().Add(MaxDelay)
	waiting = slices.DeleteFunc(slices.Clone(waiting), func(w execution.Waiting) bool { return w.NotBefore.After(soon) })
	var failures []error
	chunks := Chunks(waiting)
	for _, lane := range []execution.Lane{execution.Fast, execution.Slow} {
		failures = append(failures, d.send(ctx, d.lanes[lane], chunks[lane])...)
	}
	return errors.Join(failures...)
}

// How messages are sent.
const (
	// sendBatch is how many messages are sent before their rows are marked: a
	// crash in between costs only so many doubled wake-ups.
	sendBatch = 160
	// sendTries is how often a message that the queue does not take is offered,
	// sendPause what lies between: a queue refuses single entries of a batch,
	// and a row that is left to the next tick may be late.
	sendTries = 3
	sendPause = 100 * time.Millisecond
)

// send sends one lane's messages and marks their rows. A queue that takes none
// of a batch is left alone.
func (d *Dispatcher) send(ctx context.Context, queue Queue, chunks []Sending) []error {
	var failures []error
	for batch := range slices.Chunk(chunks, sendBatch) {
		var sent []execution.Ref
		var errs []error
		for try := 1; len(batch) > 0; try++ {
			var acknowledged []execution.Ref
			acknowledged, batch, errs = d.offer(ctx, queue, batch)
			sent = append(sent, acknowledged...)
			if try == sendTries || len(batch) > 0 && !pause(ctx, sendPause) {
				break
			}
		}
		failures = append(failures, errs...)
		if len(sent) == 0 {
			break
		}
		if err := d.store.MarkQueued(ctx, d.clock(), sent); err != nil {
			failures = append(failures, err)
		}
	}
	return failures
}

// offer sends messages once. It tells the executions of those that the queue
// has acknowledged, the others, and why.
func (d *Dispatcher) offer(ctx context.Context, queue Queue, chunks []Sending) (sent []execution.Ref, refused []Sending, errs []error) {
	now := d.clock()
	messages := make([]Message, len(chunks))
	for i, chunk := range chunks {
		body, err := chunk.Encode()
		if err != nil {
			return nil, nil, []error{err}
		}
		messages[i] = Message{Body: body, Delay: chunk.delay(now)}
	}
	for i, err := range queue.Send(ctx, messages) {
		if err != nil {
			refused, errs = append(refused, chunks[i]), append(errs, err)
			continue
		}
		sent = append(sent, chunks[i].Executions...)
	}
	return sent, refused, errs
}

// CheckQueues reports whether both lanes answer.
func (d *Dispatcher) CheckQueues(ctx context.Context) error {
	var failures []error
	for _, queue := range d.lanes {
		_, err := queue.Depth(ctx)
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}
