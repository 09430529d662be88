package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

// claimBar is how many due occurrences a tick must claim and send in a second.
const claimBar = 20_000

// claimed is one round of claiming: the tick's whole time, and where it went.
type claimed struct {
	occurrences                    int
	total, claim, plan, send, mark time.Duration
	trips                          int64
	// plain is how long the database takes for the same rows in bare inserts.
	plain time.Duration
}

// claims measures ticks with jobs due. Each job has one instant inside the
// look-ahead, or several where it runs every minute.
func claims(ctx context.Context, server *database.Server, c choice, perJob int, say func(string)) ([]claimed, error) {
	s, err := openStage(ctx, server, fmt.Sprintf("bench_claim_%d", perJob))
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	jobs := c.due / perJob
	if err := storeJobs(ctx, s.db, jobs, "http://127.0.0.1:1/bench", time.Time{}); err != nil {
		return nil, err
	}
	var all []claimed
	// The first round warms caches up and is not counted.
	for round := range c.rounds + 1 {
		say(fmt.Sprintf("claim of %d occurrences of %d jobs: round %d of %d", c.due, jobs, round, c.rounds))
		one, err := s.claimRound(ctx, perJob)
		if err != nil {
			return nil, err
		}
		if round > 0 {
			all = append(all, one)
		}
	}
	if c.statements {
		s.trips.print()
	}
	return all, nil
}

// tickConns are a tick's connections on AWS: it marks what it has sent while it
// claims.
const tickConns = 2

func (s *stage) claimRound(ctx context.Context, perJob int) (claimed, error) {
	for _, query := range []string{"TRUNCATE TABLE executions", "TRUNCATE TABLE attempts"} {
		if _, err := s.db.ExecContext(ctx, query); err != nil {
			return claimed{}, err
		}
	}
	result, err := s.claimOnce(ctx, perJob, func() (func() error, error) { return func() error { return nil }, nil })
	if err != nil {
		return result, err
	}
	result.plain, err = s.plainInserts(ctx, result.occurrences)
	return result, err
}

// claimOnce makes all jobs due and measures the tick that claims them, beside
// what begin begins and its answer ends.
func (s *stage) claimOnce(ctx context.Context, perJob int, begin func() (end func() error, err error)) (claimed, error) {
	instant := time.Now().Add(time.Minute).Truncate(time.Minute).UTC()
	pattern := fmt.Sprintf("%d %d * * *", instant.Minute(), instant.Hour())
	if perJob > 1 {
		pattern = "* * * * *"
	}
	if _, err := s.db.ExecContext(ctx, "UPDATE jobs SET cron_pattern = ?, next_run_at = ?", pattern, instant); err != nil {
		return claimed{}, err
	}
	db, err := s.counted(tickConns)
	if err != nil {
		return claimed{}, err
	}
	defer func() { _ = db.Close() }()
	if err := db.PingContext(ctx); err != nil {
		return claimed{}, err
	}
	queue, stop, err := startQueue(ctx)
	if err != nil {
		return claimed{}, err
	}
	defer stop()
	store := &timedStore{Store: mysql.NewExecutions(db)}
	fast, slow := &timedQueue{Queue: queue}, &timedQueue{Queue: queue}
	tick := dispatch.New(store, fast, slow, time.Now, slog.Default())
	end, err := begin()
	if err != nil {
		return claimed{}, err
	}
	s.trips.reset()
	began := time.Now()
	report, err := tick.Tick(ctx)
	result := claimed{
		occurrences: report.Claimed, total: time.Since(began), claim: store.claim, plan: store.plan, send: fast.spent, mark: store.mark,
		trips: s.trips.count(),
	}
	if err := errors.Join(err, end()); err != nil {
		return result, err
	}
	var queued int
	if err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM executions WHERE status = 'queued'").Scan(&queued); err != nil {
		return result, err
	}
	if queued != report.Claimed || queued == 0 {
		return result, fmt.Errorf("%d occurrences were claimed and %d queued", report.Claimed, queued)
	}
	return result, nil
}

// plainInserts stores as many rows of the same shape in a table of the same
// shape, on one connection, with nothing but inserts: what the database itself
// lets a claim reach.
func (s *stage) plainInserts(ctx context.Context, rows int) (time.Duration, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	for _, query := range []string{"DROP TABLE IF EXISTS plain", "CREATE TABLE plain LIKE executions"} {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			return 0, err
		}
	}
	const batch = 500 // as the claim's
	now := time.Now().UTC().Truncate(time.Millisecond)
	began := time.Now()
	for done := 0; done < rows; done += batch {
		n := min(batch, rows-done)
		args := make([]any, 0, 12*n)
		for i := range n {
			args = append(args, done+i+1, now, now, 1, make([]byte, 16), now, now, now, now)
		}
		query := `INSERT INTO plain (job_id, trigger_type, scheduled_for, occurrence_at, status, revision, claim_token, not_before, resend_after,
			created_at, updated_at) VALUES ` + strings.TrimSuffix(strings.Repeat("(?, 'schedule', ?, ?, 'pending', ?, ?, ?, ?, ?, ?), ", n), ", ")
		if _, err := conn.ExecContext(ctx, query, args...); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// timedStore notes how long a tick waits for the database.
type timedStore struct {
	dispatch.Store
	mu                sync.Mutex
	claim, plan, mark time.Duration
}

func (t *timedStore) add(sum *time.Duration, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*sum += time.Since(began)
}

func (t *timedStore) Claim(ctx context.Context, request dispatch.ClaimRequest) (dispatch.ClaimResult, error) {
	defer t.add(&t.claim, time.Now())
	plan := request.Plan
	request.Plan = func(due dispatch.DueJob) dispatch.Plan {
		defer t.add(&t.plan, time.Now())
		return plan(due)
	}
	return t.Store.Claim(ctx, request)
}

func (t *timedStore) MarkQueued(ctx context.Context, now time.Time, sent []execution.Ref) error {
	defer t.add(&t.mark, time.Now())
	return t.Store.MarkQueued(ctx, now, sent)
}

// timedQueue is a lane that notes how long it takes.
type timedQueue struct {
	*sqsqueue.Queue
	mu    sync.Mutex
	spent time.Duration
}

func (q *timedQueue) Send(ctx context.Context, messages []dispatch.Message) []error {
	began := time.Now()
	out := make([]sqsqueue.Message, len(messages))
	for i, m := range messages {
		out[i] = sqsqueue.Message(m)
	}
	errs := q.Queue.Send(ctx, out)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spent += time.Since(began)
	return errs
}

func (q *timedQueue) Depth(ctx context.Context) (int, error) {
	visible, _, _, err := q.Queue.Depth(ctx)
	return visible, err
}

// startQueue starts a queue that nobody reads.
func startQueue(ctx context.Context) (_ *sqsqueue.Queue, stop func(), err error) {
	const name = "bench"
	server := sqsserver.New(sqsserver.Options{})
	if err := server.CreateQueue(name, nil); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	endpoint, err := server.Start(ctx, "127.0.0.1:0")
	if err != nil {
		cancel()
		return nil, nil, err
	}
	client, err := sqsqueue.NewClient(ctx, "us-east-1", endpoint.URL)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return sqsqueue.New(client, sqsserver.QueueURL(endpoint.URL, name)), func() { cancel(); _ = endpoint.Wait() }, nil
}

// printClaims prints medians beside the bar and the database's own limit.
func printClaims(kind string, all []claimed) {
	rate := func(of func(claimed) time.Duration) float64 {
		values := make([]float64, len(all))
		for i, c := range all {
			values[i] = float64(c.occurrences) / of(c).Seconds()
		}
		return percentile(values, 50)
	}
	milliseconds := func(of func(claimed) time.Duration) float64 {
		values := make([]float64, len(all))
		for i, c := range all {
			values[i] = float64(of(c).Microseconds()) / 1000
		}
		return percentile(values, 50)
	}
	reached, plain := rate(func(c claimed) time.Duration { return c.total }), rate(func(c claimed) time.Duration { return c.plain })
	fmt.Printf("%-22s %7d %9.0f %6.2f %12.0f %7.2f %8.0f %6.0f %6.0f %6.0f %6.0f %7d\n", kind, all[0].occurrences, reached, reached/claimBar,
		plain, reached/plain,
		milliseconds(func(c claimed) time.Duration { return c.total }), milliseconds(func(c claimed) time.Duration { return c.claim }),
		milliseconds(func(c claimed) time.Duration { return c.plan }), milliseconds(func(c claimed) time.Duration { return c.send }),
		milliseconds(func(c claimed) time.Duration { return c.mark }), all[0].trips)
}

const claimHeader = "occurrences of                 n     per s  ÷ bar  plain ins/s ÷ plain    ms all  claim   plan   send   mark   trips"

// benchClaims measures one occurrence a job, the dearest, and four a job.
func benchClaims(ctx context.Context, server *database.Server, c choice, say func(string)) error {
	fmt.Printf("\nOne tick's claim and dispatch, on two connections as on AWS (bar: %d a second). ms are medians; plan is inside claim\n%s\n", claimBar, claimHeader)
	for _, perJob := range []int{1, 4} {
		all, err := claims(ctx, server, c, perJob, say)
		if err != nil {
			return err
		}
		printClaims(map[int]string{1: "daily jobs", 4: "jobs of every minute"}[perJob], all)
	}
	return nil
}
