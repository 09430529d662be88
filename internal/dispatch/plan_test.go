package dispatch_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/dispatch"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func at(offset time.Duration) time.Time { return noon.Add(offset) }

func ats(offsets ...time.Duration) []time.Time {
	var all []time.Time
	for _, o := range offsets {
		all = append(all, at(o))
	}
	return all
}

func TestPlanJob(t *testing.T) {
	t.Parallel()
	const m = time.Minute
	next := func(offset time.Duration) *time.Time { return new(at(offset)) }
	for name, tc := range map[string]struct {
		due  dispatch.DueJob
		want dispatch.Plan
	}{
		"everything inside the look-ahead": {
			dispatch.DueJob{CronPattern: "* * * * *", Timezone: "UTC", MisfirePolicy: "fire_once", NextRunAt: at(m)},
			dispatch.Plan{Runs: ats(m, 2*m, 3*m, 4*m), NextRunAt: next(5 * m)},
		},
		"an instant two minutes old is late, not missed": {
			dispatch.DueJob{CronPattern: "* * * * *", Timezone: "UTC", MisfirePolicy: "skip", NextRunAt: at(-2 * m)},
			dispatch.Plan{Runs: ats(-2*m, -m, 0, m, 2*m, 3*m, 4*m), NextRunAt: next(5 * m)},
		},
		"fire_once runs the newest missed one where nothing late runs": {
			dispatch.DueJob{CronPattern: "*/10 * * * *", Timezone: "UTC", MisfirePolicy: "fire_once", NextRunAt: at(-35 * m)},
			// 12:00 is due now and runs; so none of the missed need to.
			dispatch.Plan{
				Runs: ats(0), NextRunAt: next(10 * m),
				Missed: &dispatch.Missed{From: at(-30 * m), Until: at(-10 * m), Count: 3},
			},
		},
		"fire_once without a late one": {
			dispatch.DueJob{CronPattern: "5,25,45 * * * *", Timezone: "UTC", MisfirePolicy: "fire_once", NextRunAt: at(-55 * m)},
			dispatch.Plan{
				Runs: ats(-15 * m), NextRunAt: next(5 * m),
				Missed: &dispatch.Missed{From: at(-55 * m), Until: at(-35 * m), Count: 2},
			},
		},
		"fire_once with one missed leaves no summary": {
			dispatch.DueJob{CronPattern: "45 * * * *", Timezone: "UTC", MisfirePolicy: "fire_once", NextRunAt: at(-15 * m)},
			dispatch.Plan{Runs: ats(-15 * m), NextRunAt: next(45 * m)},
		},
		"skip runs none of the missed": {
			dispatch.DueJob{CronPattern: "5,25,45 * * * *", Timezone: "UTC", MisfirePolicy: "skip", NextRunAt: at(-55 * m)},
			dispatch.Plan{NextRunAt: next(5 * m), Missed: &dispatch.Missed{From: at(-55 * m), Until: at(-15 * m), Count: 3}},
		},
		"fire_all runs all, oldest first": {
			dispatch.DueJob{CronPattern: "5,25,45 * * * *", Timezone: "UTC", MisfirePolicy: "fire_all", NextRunAt: at(-55 * m)},
			dispatch.Plan{Runs: ats(-55*m, -35*m, -15*m), NextRunAt: next(5 * m)},
		},
		"a next run that the schedule no longer has is not run": {
			dispatch.DueJob{CronPattern: "5,25,45 * * * *", Timezone: "UTC", MisfirePolicy: "fire_all", NextRunAt: at(m)},
			dispatch.Plan{NextRunAt: next(5 * m)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := dispatch.PlanJob(tc.due, noon, noon.Add(dispatch.LookAhead))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanJobAfterThreeDays(t *testing.T) {
	t.Parallel()
	// One instant a second for three days: 259,200, far more than are counted.
	due := dispatch.DueJob{CronPattern: "* * * * * *", Timezone: "UTC", MisfirePolicy: "fire_all", NextRunAt: at(-72 * time.Hour)}
	plan := dispatch.PlanJob(due, noon, noon.Add(dispatch.LookAhead))
	// 100 missed ones, 121 late ones and those of the look-ahead.
	if want := dispatch.MaxCatchUp + 121 + 240; len(plan.Runs) != want {
		t.Errorf("%d runs, want %d", len(plan.Runs), want)
	}
	want := &dispatch.Missed{
		From: at(-72*time.Hour + dispatch.MaxCatchUp*time.Second), Until: at(-121 * time.Second),
		Count: dispatch.MaxMissedCount,
	}
	if diff := cmp.Diff(want, plan.Missed); diff != "" {
		t.Errorf("missed (-want +got):\n%s", diff)
	}
	if want := at(dispatch.LookAhead + time.Second); !plan.NextRunAt.Equal(want) {
		t.Errorf("next run at %s, want %s", plan.NextRunAt, want)
	}
	for i := 1; i < len(plan.Runs); i++ {
		if !plan.Runs[i].After(plan.Runs[i-1]) {
			t.Fatalf("runs are not ascending at %d", i)
		}
	}
}

func TestPlanJobSetsAsideWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, due := range map[string]dispatch.DueJob{
		"pattern": {CronPattern: "not a pattern", Timezone: "UTC"},
		"zone":    {CronPattern: "* * * * *", Timezone: "Atlantis/Capital"},
	} {
		due.NextRunAt = noon
		plan := dispatch.PlanJob(due, noon, noon.Add(dispatch.LookAhead))
		if plan.SetAside == "" || plan.NextRunAt != nil || len(plan.Runs) > 0 {
			t.Errorf("%s: planned as %+v", name, plan)
		}
	}
}
