// Package seed fills a database with as much as a large installation holds, so
// that what depends on size can be measured and seen: jobs, a year of executions
// with their attempts, what they add up to, and the audit log of what people did
// meanwhile. It writes the tables directly, for the API would take days.
//
// The same plan gives the same rows. None of the jobs is due within a day.
package seed

import (
	"fmt"
	"time"
)

// Plan says how much is stored.
type Plan struct {
	Jobs, Executions int
	// Until is the midnight at which the history ends; it goes back a year.
	Until time.Time
}

// span is how far back the history goes.
const span = 365 * 24 * time.Hour

// Limits of a plan: beyond maxExecutions two runs of a job could fall on one
// millisecond.
const (
	maxJobs       = 10_000_000
	maxExecutions = 1_000_000_000
)

// NewPlan makes a plan as of now.
func NewPlan(jobs, executions int, now time.Time) (Plan, error) {
	if jobs < 1 || jobs > maxJobs {
		return Plan{}, fmt.Errorf("jobs: must be from 1 to %d", maxJobs)
	}
	if executions < 0 || executions > maxExecutions {
		return Plan{}, fmt.Errorf("executions: must be from 0 to %d", maxExecutions)
	}
	return Plan{Jobs: jobs, Executions: executions, Until: now.UTC().Truncate(24 * time.Hour)}, nil
}

// What happens how often, in thousandths.
const (
	inactiveJobs = 120
	failedJobs   = 20
	deletedJobs  = 10

	failedRuns    = 40
	skippedRuns   = 10
	cancelledRuns = 8
	abandonedRuns = 3
	replayedRuns  = 5
	manualRuns    = 25
)

// The categories: those that every database begins with, and more, of which the
// last ones are inactive.
const (
	seededCategories   = 4
	moreCategories     = 16
	inactiveCategories = 2
	categories         = seededCategories + moreCategories
)

// hash spreads numbers evenly and always alike; salt tells one use from
// another.
func hash(n, salt int) uint64 {
	x := uint64(n)*0x9e3779b97f4a7c15 + uint64(salt)*0xd1b54a32d192ed03
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// among is a number from 0 to below most.
func among(n, salt, most int) int { return int(hash(n, salt) % uint64(most)) }
