package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// lost begins the zone or the pattern of a poisoned job: what follows is what it
// was, and what it is again where the job is healed.
const lost = "Lost/"

// poisonEvery is about how long it is from one poisoned, or healed, job to the next.
const poisonEvery = 20 * time.Second

// poisoned reports a job whose schedule cannot be read.
func (j *jobRow) poisoned() bool {
	return strings.HasPrefix(j.zone, lost) || strings.HasPrefix(j.pattern, lost)
}

// setAside reports a job that a claim could not plan.
func (j *jobRow) setAside() bool {
	return j.failed && strings.HasPrefix(j.reason.V, "its schedule can no longer be read: ")
}

// poison makes a job's row one that cannot be read, as newer data of time zones
// does, or heals one; a person may then resume it. No version moves.
func (s *simulation) poison(ctx context.Context) {
	s.nextPoison = time.Now().Add(time.Duration(s.apart.Int64N(int64(2 * poisonEvery))).Truncate(time.Millisecond))
	id, kind := s.jobIDs[s.apart.IntN(len(s.jobIDs))], s.apart.IntN(4)
	var ill []int64
	for _, id := range slices.Sorted(maps.Keys(s.jobRows)) {
		if j := s.jobRows[id]; j.poisoned() && !j.deleted {
			ill = append(ill, id)
		}
	}
	if kind < 2 && len(ill) > 0 {
		id = ill[s.apart.IntN(len(ill))]
		s.someone(ctx, fmt.Sprintf("heals %d", id), func(ctx context.Context) error {
			_, err := s.db.ExecContext(ctx, "UPDATE jobs SET timezone = REPLACE(timezone, ?, ''), cron_pattern = REPLACE(cron_pattern, ?, '') WHERE id = ?", lost, lost, id)
			if err == nil && kind == 0 {
				_, err = s.jobs.Resume(ctx, id, nil)
			}
			return err
		})
		return
	}
	column := []string{"timezone", "cron_pattern"}[kind%2]
	s.someone(ctx, fmt.Sprintf("poisons %d, its %s", id, column), func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "UPDATE jobs SET "+column+" = CONCAT(?, "+column+") WHERE id = ? AND "+column+" NOT LIKE ?", lost, id, lost+"%")
		return err
	})
}

// checkSetAside checks a job that a claim has set aside. That the others of its
// claim lose nothing, I10 tells.
func (s *simulation) checkSetAside(was, is *jobRow) {
	s.setAside++
	s.aside[is.id] = true
	s.note("job %d is set aside: %s", is.id, is.reason.V)
	if !was.poisoned() {
		s.find("poison", "job %d is set aside, and %q (%s) can be read", is.id, was.pattern, was.zone)
	}
	if is.next.Valid {
		s.find("poison", "job %d is set aside and next due at %s", is.id, is.next.V)
	}
}
