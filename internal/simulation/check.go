package simulation

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// startAhead is how long before its instant a row may become running; the call
// itself is never early.
const startAhead = 250 * time.Millisecond

// maxSkew is how wrong an actor's clock may be.
const maxSkew = 90 * time.Second

var _ executor.Caller = target{}

// observe compares the rows with those before the last commit.
func (s *simulation) observe(ctx context.Context) {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = false
	s.mu.Unlock()
	if !dirty {
		return
	}
	now, err := s.look(ctx)
	if err != nil {
		s.find("look", "%v", err)
		return
	}
	before := s.snapshot
	for _, id := range slices.Sorted(maps.Keys(now.rows)) {
		s.checkRow(before, now, before.rows[id], now.rows[id])
	}
	for _, id := range slices.Sorted(maps.Keys(before.rows)) {
		if now.rows[id] == nil {
			s.find("I1", "%s has vanished", before.rows[id])
		}
	}
	s.checkTogether(now)
	s.checkAttempts(before, now)
	s.checkCategories(before, now)
	s.noteLanes(now)
	for _, id := range slices.Sorted(maps.Keys(now.jobRows)) {
		if j := before.jobRows[id]; j != nil {
			s.checkJob(before, now, j, now.jobRows[id])
		}
	}
	s.snapshot = now
}

// checkRow checks one row's change.
func (s *simulation) checkRow(before, now snapshot, was, is *row) {
	if was == nil {
		s.note("new: %s", is)
		s.checkNew(before, now, is)
		return
	}
	if *was == *is {
		return
	}
	s.checkResend(was, is)
	if was.status != is.status || was.attempt != is.attempt {
		s.note("%s → %s", was.status, is)
	}
	s.checkLimit(before, was, is)
	if is.fence != was.fence && (is.fence != was.fence+1 || is.status != execution.Running) {
		s.find("I9", "the fence was %d: %s", was.fence, is)
	}
	switch {
	case was.status == execution.Cancelled && was.fence == 0 && is.status == execution.Cancelled && !now.categoryUp[now.jobRows[is.job].category]:
		// It lived again, and its category was inactive by then.
		s.checkNew(before, now, is)
	case was.status.Terminal() && was.status == is.status:
		if was.attempt != is.attempt || was.reason != is.reason {
			s.find("I4", "a final row has changed: %s", is)
		}
	case was.status == execution.Cancelled && was.fence == 0 && (is.status == execution.Pending || is.status == execution.Missed):
		s.checkNew(before, now, is)
	case was.status.Terminal():
		s.find("I4", "it was %s before: %s", was.status, is)
	case was.status.Waiting() && is.status == execution.Running:
		s.running[is.id] = time.Now()
		s.starters[attemptKey{is.id, is.attempt, is.fence}] = s.committer
		s.checkStart(before, was, is)
	case was.status == execution.Running && is.status == execution.Running:
		s.starters[attemptKey{is.id, is.attempt, is.fence}] = s.committer
		s.checkStartedAgain(was, is)
	case was.status == execution.Running:
		s.checkFinish(before, now, was, is)
	case is.status == execution.Queued && was.status == execution.Pending || was.status == is.status:
		if was.attempt != is.attempt || was.revision != is.revision {
			s.find("I9", "a waiting row has changed: %s", is)
		}
	case is.status == execution.Cancelled || is.status == execution.Skipped:
	default:
		s.find("I4", "%s cannot follow %s: %s", is.status, was.status, is)
	}
}

// checkNew checks a row that was made, or lives again.
func (s *simulation) checkNew(before, now snapshot, is *row) {
	if is.attempt != 1 || is.fence != 0 {
		s.find("I8", "it does not begin at the beginning: %s", is)
	}
	j := now.jobRows[is.job]
	if is.trigger != execution.Schedule {
		if is.status != execution.Pending || j.deleted {
			s.find("I5", "made for a deleted job: %s", is)
		}
		return
	}
	stopped := !now.categoryUp[j.category] && is.status == execution.Pending || is.scheduled.After(now.changed[j.category]) && !now.categoryUp[j.category]
	if !j.active || j.deleted || stopped {
		s.find("I5", "made for a job that is stopped: %s", is)
	}
	if !is.occurrence.Valid || !belongs(j, is.occurrence.V) {
		s.find("I2", "%s is not in %q (%s): %s", is.occurrence.V, j.pattern, j.zone, is)
	}
	if is.status == execution.Missed {
		s.checkMissed(now, j, is)
	} else if is.status != execution.Pending && (is.status != execution.Cancelled || now.categoryUp[j.category]) {
		s.find("I4", "made in a wrong state: %s", is)
	}
}

func belongs(j *jobRow, at time.Time) bool {
	next, ok := j.schedule().Next(at.Add(-time.Millisecond))
	return ok && next.Equal(at)
}

// checkMissed checks a summary.
func (s *simulation) checkMissed(now snapshot, j *jobRow, is *row) {
	if !is.missedUntil.Valid || !belongs(j, is.missedUntil.V) || is.missedUntil.V.Before(is.scheduled) {
		s.find("I2", "a summary until %s: %s", is.missedUntil.V, is)
		return
	}
	if age := time.Since(is.missedUntil.V); age < dispatch.MissedAfter-maxSkew {
		s.find("missed", "missed after %s: %s", age, is)
	}
	instants := j.schedule().Between(is.scheduled.Add(-time.Millisecond), is.missedUntil.V, dispatch.MaxMissedCount)
	if int64(len(instants)) != is.missedCount.V {
		s.find("missed", "%d are counted, %d are due: %s", is.missedCount.V, len(instants), is)
	}
	for _, other := range now.rows {
		if other.id != is.id && other.job == is.job && other.occurrence.Valid && other.status != execution.Cancelled &&
			!other.occurrence.V.Before(is.scheduled) && !other.occurrence.V.After(is.missedUntil.V) {
			s.find("I1", "inside the summary of execution %d until %s: %s", is.id, is.missedUntil.V, other)
		}
	}
}

// longOverlap is how long a run must have been under way for another of its job
// to see it in time, whoever made it.
const longOverlap = 20 * time.Second

// checkStart checks a row that has become running, against what was committed
// before.
func (s *simulation) checkStart(before snapshot, was, is *row) {
	j := before.jobRows[is.job]
	asked := before.requests[requestKey{is.job, is.revision}]
	if is.fence != was.fence+1 || is.attempt != was.attempt || is.revision != was.revision {
		s.find("I9", "started as another than it was: %s", is)
	}
	// What was claimed before a job was set aside runs.
	if j.deleted || is.trigger == execution.Schedule && !j.active && !(j.failed && s.aside[j.id]) {
		s.find("I5", "started after its job was stopped: %s", is)
	}
	if early := time.Until(is.notBefore); early > startAhead {
		s.find("I7", "started %s early: %s", early, is)
	}
	if is.attempt > asked.retries+1 {
		s.find("I8", "%d retries are allowed: %s", asked.retries, is)
	}
	for _, other := range before.rows {
		if began := s.running[other.id]; before.alone(is) && is.attempt == 1 && other.job == is.job && other.id != is.id && other.status == execution.Running &&
			time.Since(began) > longOverlap && !s.committer.faulty {
			s.find("I6", "started although execution %d runs since %s: %s", other.id, clockTime(began), is)
		}
	}
	if !is.lease.Valid {
		s.find("lease", "leased until %s: %s", is.lease.V, is)
	}
	if is.trigger == execution.Schedule && is.attempt == 1 {
		for r := is.revision + 1; r <= j.revision; r++ {
			if edited := before.requests[requestKey{is.job, r}].created; edited.Before(is.occurrence.V) {
				s.find("revision", "started although an edit of %s made revision %d: %s", clockTime(edited), r, is)
			}
		}
	}
}

// checkStartedAgain checks a running row that has changed: only who has started it,
// and does not know that, may start it anew.
func (s *simulation) checkStartedAgain(was, is *row) {
	if is.token != was.token || is.attempt != was.attempt || is.revision != was.revision || is.slot != was.slot || !is.lease.Valid {
		s.find("I9", "started while running: %s", is)
	}
	if c := s.made[callKey{is.id, is.attempt}]; c != nil {
		s.find("I9", "started again after its call by %s: %s", c.actor, is)
	}
}

// checkFinish checks a row that is no longer running.
func (s *simulation) checkFinish(before, now snapshot, was, is *row) {
	j := before.jobRows[is.job]
	record, kept := now.attempts[attemptKey{is.id, was.attempt, was.fence}]
	if !kept {
		s.find("I9", "no record of attempt %d under fence %d: %s", was.attempt, was.fence, is)
	}
	c := s.made[callKey{is.id, was.attempt}]
	if record.failure.V == string(execution.ErrInternal) && c != nil && !c.actor.faulty {
		s.find("lease", "taken from %s, which is well: %s", c.actor, is)
	}
	if a := s.starters[attemptKey{is.id, was.attempt, was.fence}]; c == nil && a != nil && a.well() {
		s.find("lost", "%s, which is well, has started it and never called: %s", a, is)
	}
	switch is.status {
	case execution.Pending:
		if is.attempt != was.attempt+1 || is.slot != was.slot {
			s.find("I9", "waits again at a wrong attempt: %s", is)
		}
		if allowed := before.requests[requestKey{is.job, is.revision}].retries + 1; is.attempt > allowed {
			s.find("I8", "%d attempts are allowed: %s", allowed, is)
		}
		if j.deleted || is.trigger == execution.Schedule && !j.active {
			s.find("I5", "waits again although its job is stopped: %s", is)
		}
	case execution.Success:
		if c == nil || !c.success {
			s.find("outcome", "no call succeeded: %s", is)
		}
	case execution.Failed, execution.Abandoned:
		if c != nil && c.success && !c.actor.faulty {
			s.find("outcome", "its call succeeded: %s", is)
		}
	default:
		s.find("I4", "%s cannot follow running: %s", is.status, is)
	}
	if is.status.Terminal() && is.slot.Valid {
		s.find("I6", "it still holds its slot: %s", is)
	}
}

// checkAttempts checks that a call is recorded once.
func (s *simulation) checkAttempts(before, now snapshot) {
	for k, a := range now.attempts {
		if a.again && !before.attempts[k].again {
			s.find("I3", "attempt %d of execution %d under fence %d is recorded twice", k.attempt, k.execution, k.fence)
		}
	}
}

// checkResend checks that a message that seems lost is missed ever more patiently,
// and not at all beside a backlog.
func (s *simulation) checkResend(was, is *row) {
	if was.status != execution.Queued || is.resends != was.resends+1 {
		return
	}
	if pause := is.resend.V.Sub(was.resend.V); pause < min(dispatch.ResendFirst<<min(was.resends, 10), dispatch.ResendMost) {
		s.find("resends", "looked at again %s after the %d. time: %s", pause, was.resends+1, is)
	}
	if a := s.committer; a != nil && a.backlog {
		s.find("resends", "%s sends again although the queue is behind: %s", a, is)
	}
}

type occurrence struct {
	job int64
	at  time.Time
}

// checkTogether checks what holds among rows.
func (s *simulation) checkTogether(now snapshot) {
	made := map[occurrence]*row{}
	running := map[int64]*row{}
	for _, id := range slices.Sorted(maps.Keys(now.rows)) {
		r := now.rows[id]
		if r.occurrence.Valid {
			k := occurrence{r.job, r.occurrence.V}
			if other := made[k]; other != nil {
				s.find("I1", "two rows of one instant: %s, %s", other, r)
			}
			made[k] = r
		}
		if r.status == execution.Running && now.alone(r) {
			if other := running[r.job]; other != nil {
				s.find("I6", "two run at once: %s, %s", other, r)
			}
			running[r.job] = r
		}
	}
}

// checkJob checks that no instant is passed by.
func (s *simulation) checkJob(before, now snapshot, was, is *jobRow) {
	if was.next == is.next && was.version == is.version {
		return
	}
	if was.version != is.version && was.next == is.next {
		return
	}
	if is.active {
		delete(s.aside, is.id)
	}
	if is.failed && was.active {
		if is.reason.V == "" {
			s.find("poison", "job %d has failed, and nothing says why", is.id)
		}
		if is.setAside() {
			s.checkSetAside(was, is)
			return
		}
	}
	if was.version == is.version {
		if was.next.Valid && !is.next.Valid && now.categoryUp[is.category] {
			s.find("I10", "job %d has lost its next run, and nobody has stopped it", is.id)
		}
		switch {
		case was.next.Valid && is.next.Valid:
			s.checkClaimed(now, is, was.next.V, is.next.V)
		case was.next.Valid: // its category has become inactive
			s.checkClaimed(now, is, was.next.V, now.countsFrom(is).Add(time.Millisecond))
		case is.next.Valid: // it has become active
			s.checkClaimed(now, is, now.countsFrom(is).Add(time.Millisecond), is.next.V)
		}
		return
	}
	if before.unscheduled(was) {
		s.requireNone("changed before it was scheduled", was, before.countsFrom(was), is.updated)
	}
	if was.next.Valid {
		unclaimed := was.schedule().Between(was.next.V.Add(-time.Millisecond), is.updated, 1000)
		s.unclaimed += len(unclaimed)
		if a := s.committer; len(unclaimed) > 0 && a != nil && a.name == "person" && !a.faulty {
			s.find("I10", "%s changes job %d at %s, and %d due instants from %s on have no row", a, is.id, clockTime(is.updated), len(unclaimed), unclaimed[0])
		}
	}
	if is.next.Valid {
		s.checkNothingBetween(is, is.updated, is.next.V)
	}
}

// checkCategories checks that a category's status changes only once its jobs have
// followed the change before, as far as that matters.
func (s *simulation) checkCategories(before, now snapshot) {
	for _, id := range slices.Sorted(maps.Keys(before.jobRows)) {
		was := before.jobRows[id]
		up := now.categoryUp[was.category]
		if before.categoryUp[was.category] == up || !was.active {
			continue
		}
		at := now.changed[was.category]
		switch {
		case before.unscheduled(was):
			s.requireNone("its category is inactive before it was scheduled", was, before.countsFrom(was), at)
		case up && was.next.Valid:
			s.requireNone("its category is active before it was stopped", was, was.next.V.Add(-time.Millisecond), at)
		}
	}
}

// requireNone checks that no instant lies in a time that nobody looks at.
func (s *simulation) requireNone(why string, j *jobRow, after, until time.Time) {
	if between := j.schedule().Between(after, until, 1000); len(between) > 0 {
		s.find("I10", "job %d: %s, and %d instants from %s on have no row", j.id, why, len(between), between[0])
	}
}

// checkClaimed checks that each instant from one on, and before another, has a
// row or lies in a summary.
func (s *simulation) checkClaimed(now snapshot, j *jobRow, from, before time.Time) {
	var mine []*row
	for _, r := range now.rows {
		if r.job == j.id && r.occurrence.Valid {
			mine = append(mine, r)
		}
	}
	slices.SortFunc(mine, func(a, b *row) int { return cmp.Compare(a.id, b.id) })
	for _, at := range j.schedule().Between(from.Add(-time.Millisecond), before.Add(-time.Millisecond), 10_000) {
		if !slices.ContainsFunc(mine, func(r *row) bool {
			return r.occurrence.V.Equal(at) || r.missedUntil.Valid && !at.Before(r.scheduled) && !at.After(r.missedUntil.V)
		}) {
			s.find("I10", "job %d is claimed from %s to %s, and %s has no row", j.id, clockTime(from), clockTime(before), at)
		}
	}
}

// checkNothingBetween checks that a job's next run is the first instant.
func (s *simulation) checkNothingBetween(j *jobRow, after, next time.Time) {
	if first, ok := j.schedule().Next(after); ok && first.Before(next) {
		s.find("I10", "job %d is next due at %s, which passes %s by", j.id, next, first)
	}
}
