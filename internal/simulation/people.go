package simulation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

const lookAhead = dispatch.LookAhead

// maxJobs bounds what a run has to look at; a crowd deletes most of them.
const (
	maxJobs      = 8
	maxCrowdJobs = 40
)

// patterns are frequent, so that much happens in a few minutes.
var patterns = []string{
	"* * * * *", "* * * * *", "*/2 * * * *", "*/20 * * * * *", "*/30 * * * * *", "30 * * * * *", "5,10 * * * * *", "1-59/3 * * * *", "0 0-59/3 1-3,12,23 * * *", "*/5 * * * *",
}

var zones = []string{"UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"}

func pick[T any](s *simulation, from []T) *T { return &from[s.rng.IntN(len(from))] }

// input is a new job's.
func (s *simulation) input() job.Input {
	s.named++
	name := fmt.Sprintf("Job %d", s.named)
	return job.Input{
		Name: &name, Description: new("A job of the simulation"), URL: new("https://example.com/" + fmt.Sprint(s.named)),
		CronPattern: pick(s, patterns), Timezone: pick(s, zones), CategoryID: pick(s, s.categoryIDs),
		Timeout: pick(s, []int64{1000, 5000, 30_000, 100_000}), RetryAttempts: pick(s, []int64{0, 1, 2, 3}),
		RetryDelay: pick(s, []int64{0, 1000, 20_000, 90_000}), OverlapPolicy: pick(s, []string{"allow", "skip"}),
		MisfirePolicy: pick(s, []string{"fire_once", "skip", "fire_all"}),
	}
}

func (s *simulation) create(ctx context.Context) error {
	in := s.input()
	created, err := s.jobs.Create(ctx, in, 1)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobIDs = append(s.jobIDs, created.ID)
	s.note("%s is job %d: %s in %s, %s, retries %d after %d ms, timeout %d ms, %s", *in.Name, created.ID, *in.CronPattern, *in.Timezone,
		*in.OverlapPolicy, *in.RetryAttempts, *in.RetryDelay, *in.Timeout, *in.MisfirePolicy)
	return nil
}

// person lets someone change something.
func (s *simulation) person(ctx context.Context) {
	id, kind, most := *pick(s, s.jobIDs), s.rng.IntN(22), maxJobs
	if s.mood.Crowd {
		id, kind, most = s.jobIDs[len(s.jobIDs)-1], *pick(s, []int{0, 0, 0, 3, 3, 3, 13, 13, 13, 18, 19}), maxCrowdJobs
	}
	if s.opts.Wide && !s.mood.Crowd && s.rng.IntN(4) == 0 {
		s.personAtLarge(ctx)
		return
	}
	patch := func(in job.Input) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.jobs.Patch(ctx, id, in, nil); return err }
	}
	category := *pick(s, s.categoryIDs)
	of := func(status job.CategoryStatus) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.categories.Patch(ctx, category, job.CategoryInput{Status: new(string(status))}, nil)
			return err
		}
	}
	var what string
	var act func(context.Context) error
	switch kind {
	case 0, 1, 2:
		what, act = fmt.Sprintf("pauses %d", id), func(ctx context.Context) error { _, err := s.jobs.Pause(ctx, id, nil); return err }
	case 3, 4, 5, 6:
		what, act = fmt.Sprintf("resumes %d", id), func(ctx context.Context) error { _, err := s.jobs.Resume(ctx, id, nil); return err }
	case 7, 8:
		url := fmt.Sprintf("https://example.com/edited/%d", s.rng.IntN(1_000_000))
		what, act = fmt.Sprintf("edits the URL of %d", id), patch(job.Input{URL: &url})
	case 9, 10:
		pattern := pick(s, patterns)
		what, act = fmt.Sprintf("edits the pattern of %d: %s", id, *pattern), patch(job.Input{CronPattern: pattern})
	case 11:
		in := job.Input{RetryAttempts: pick(s, []int64{0, 1, 2}), OverlapPolicy: pick(s, []string{"allow", "skip"})}
		what, act = fmt.Sprintf("edits %d: retries %d, overlap %s", id, *in.RetryAttempts, *in.OverlapPolicy), patch(in)
	case 12:
		what, act = fmt.Sprintf("renames %d", id), patch(job.Input{Description: new(fmt.Sprint("Renamed ", s.rng.IntN(1000)))})
	case 13, 14:
		what, act = fmt.Sprintf("runs %d", id), func(ctx context.Context) error {
			_, err := s.dispatcher(actorOf(ctx)).RunNow(ctx, id, 1)
			return err
		}
	case 15:
		what, act = fmt.Sprintf("inactivates category %d", category), of(job.CategoryInactive)
	case 16, 20, 21:
		what, act = fmt.Sprintf("activates category %d", category), of(job.CategoryActive)
	case 17:
		what, act = fmt.Sprintf("moves %d to category %d", id, category), patch(job.Input{CategoryID: &category})
	case 18:
		if s.mood.Crowd || s.rng.IntN(3) == 0 {
			what, act = fmt.Sprintf("deletes %d", id), func(ctx context.Context) error { return s.jobs.Delete(ctx, id, nil) }
			break
		}
		what, act = "sends all that waits again", func(ctx context.Context) error {
			_, err := s.dispatcher(actorOf(ctx)).ResendWaiting(ctx)
			return err
		}
	default:
		if len(s.jobIDs) >= most {
			return
		}
		what, act = "creates a job", s.create
	}
	s.someone(ctx, what, act)
}

// personAtLarge lets someone change many things at once, or what is past.
func (s *simulation) personAtLarge(ctx context.Context) {
	switch s.rng.IntN(4) {
	case 0:
		if len(s.rows) == 0 {
			return
		}
		id := *pick(s, slices.Sorted(maps.Keys(s.rows)))
		s.someone(ctx, fmt.Sprintf("replays execution %d", id), func(ctx context.Context) error {
			_, err := s.dispatcher(actorOf(ctx)).Replay(ctx, id, 1)
			return err
		})
	case 1:
		// New ones are made in the place of those that go.
		name := fmt.Sprintf("Category %d", s.named)
		s.named++
		s.someone(ctx, "makes "+name, func(ctx context.Context) error {
			c, err := s.categories.Create(ctx, job.CategoryInput{Name: &name, Color: new("#654321")})
			if err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.categoryIDs = append(s.categoryIDs, c.ID)
			}
			return err
		})
	case 2:
		if len(s.categoryIDs) < 2 {
			return
		}
		from, to := *pick(s, s.categoryIDs), *pick(s, s.categoryIDs)
		s.someone(ctx, fmt.Sprintf("deletes category %d, whose jobs go to %d", from, to), func(ctx context.Context) error {
			return s.categories.Delete(ctx, from, to, nil)
		})
	default:
		action := *pick(s, []job.BulkAction{job.BulkPause, job.BulkPause, job.BulkResume, job.BulkResume, job.BulkResume, job.BulkMove})
		bulk := job.Bulk{Action: action}
		for range 1 + s.rng.IntN(3) {
			if id := *pick(s, s.jobIDs); !slices.Contains(bulk.IDs, id) {
				bulk.IDs = append(bulk.IDs, id)
			}
		}
		if action == job.BulkMove {
			bulk.CategoryID = *pick(s, s.categoryIDs)
		}
		s.someone(ctx, fmt.Sprintf("changes many: %+v", bulk), func(ctx context.Context) error {
			_, err := s.jobs.ChangeMany(ctx, bulk)
			return err
		})
	}
}

func (s *simulation) someone(ctx context.Context, what string, act func(context.Context) error) {
	var err error
	a := s.start(ctx, "person", personLimit, func(ctx context.Context, _ *actor) { err = act(ctx) }, func(a *actor) {
		if err != nil {
			s.note("%s is told: %v", a, err)
		} else {
			s.note("%s is told that it is done", a)
		}
	})
	s.note("%s %s", a, what)
}

// tickOrNot is what becomes of a minute's tick. It returns how long an outage
// lasts.
func (s *simulation) tickOrNot(ctx context.Context) time.Duration {
	s.checkHanging()
	now := time.Now()
	s.nextTick = now.Truncate(time.Minute).Add(time.Minute + time.Duration(s.rng.IntN(60_000))*time.Millisecond)
	chance := s.rng.IntN(40)
	skew := time.Duration(0)
	if s.healed {
		s.nextTick = now.Truncate(time.Minute).Add(time.Minute)
		s.tick(ctx, 0)
		return 0
	}
	if s.rng.Float64() < 2*s.mood.Faults || s.mood.Skewed {
		skew = time.Duration(s.rng.IntN(180_000)-90_000) * time.Millisecond
	}
	switch {
	case chance < 2:
		s.note("a tick is lost")
	case chance == 2:
		outage := time.Duration(2+s.rng.IntN(8)) * time.Minute
		if s.rng.IntN(3) == 0 {
			// A long one, that people sleep through.
			outage += 40 * time.Minute
			s.nextPerson = s.nextTick.Add(outage - 4*time.Minute)
		}
		s.note("no tick for %s", outage)
		s.nextTick = s.nextTick.Add(outage)
		return outage
	case chance < 8:
		s.tick(ctx, skew)
		s.tick(ctx, 0)
	default:
		s.tick(ctx, skew)
	}
	return 0
}

func (s *simulation) tick(ctx context.Context, skew time.Duration) {
	var report dispatch.Report
	var err error
	a := s.start(ctx, "tick", tickLimit, func(ctx context.Context, a *actor) {
		a.skew = skew
		report, err = s.dispatcher(a).Tick(ctx)
		_, folding := mysql.NewRollups(s.db).Fold(ctx)
		err = errors.Join(err, folding)
	}, func(a *actor) {
		s.note("%s ends: %+v %v", a, report, err)
	})
	s.note("%s begins, its clock %s ahead", a, skew)
}
