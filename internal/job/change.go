package job

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// changeTo works out what turning the current job into edited means.
func changeTo(current, edited Job, now time.Time) (Change, error) {
	// What follows from the rest is not compared.
	edited.NextRunAt, edited.StatusReason = current.NextRunAt, current.StatusReason
	change := Change{Job: edited}
	change.NewRevision = !edited.Request.equal(current.Request)
	newSchedule := edited.CronPattern != current.CronPattern || edited.Timezone != current.Timezone
	newStatus := edited.Status != current.Status

	if change.NewRevision && current.Request.Sealed != nil {
		if err := checkReadable(edited.Request); err != nil {
			return Change{}, err
		}
		change.Job.Request.Sealed = nil
		edited = change.Job
	}
	if !change.NewRevision && !newSchedule && !newStatus && samePlainFields(current, edited) {
		return Change{Job: current, Nothing: true}, nil
	}
	switch {
	case newStatus && edited.Status == Inactive:
		change.Cancel = CancelScheduled
	case newSchedule || change.NewRevision:
		change.Cancel = CancelFuture
	}
	change.Reschedule = newSchedule || change.NewRevision || newStatus ||
		edited.Schedulable() != current.Schedulable()
	if change.NewRevision && edited.Request.Unreadable {
		return Change{}, apperr.InvalidField("headers", "the stored ones cannot be read; enter them again, or null for none")
	}
	if change.Reschedule {
		next, err := nextRun(edited, now)
		if err != nil {
			return Change{}, err
		}
		change.Job.NextRunAt = next
	}
	if newStatus {
		change.ForgetFailures = current.Status == Failed
	}
	missing := len(edited.Request.missingSecrets()) > 0
	switch {
	case missing:
		change.Job.StatusReason = reasonSecretMissing
	case newStatus, newSchedule, change.NewRevision && (current.StatusReason == reasonSecretMissing || current.StatusReason == ReasonUnreadable):
		change.Job.StatusReason = ""
	}
	change.Job.Version++
	change.Job.UpdatedAt = now
	if change.NewRevision {
		change.Job.Revision++
	}
	return change, nil
}

// checkReadable refuses a new request that would keep secrets which could not be
// opened: they would be lost.
func checkReadable(r Request) error {
	var f apperr.Faults
	for _, field := range r.maskedSecrets() {
		f.Add(field, notReadable)
	}
	return f.Err()
}

func samePlainFields(a, b Job) bool {
	return a.Name == b.Name && a.Description == b.Description &&
		a.CategoryID == b.CategoryID && a.MisfirePolicy == b.MisfirePolicy
}

// equal reports whether two requests would be stored alike.
func (r Request) equal(other Request) bool {
	return r.Method == other.Method && r.URL == other.URL &&
		maps.Equal(r.Headers, other.Headers) && r.Unreadable == other.Unreadable &&
		slices.Equal(r.SecretHeaders, other.SecretHeaders) &&
		(r.Body == nil) == (other.Body == nil) && bytes.Equal(r.Body, other.Body) &&
		r.BodySecret == other.BodySecret &&
		r.Timeout == other.Timeout && r.MaxRedirects == other.MaxRedirects &&
		r.Retry == other.Retry && r.OverlapPolicy == other.OverlapPolicy
}

// nextRun is the first instant after now; nil when the job is not scheduled.
// Instants that passed while it was not are never caught up.
func nextRun(j Job, now time.Time) (*time.Time, error) {
	if !j.Schedulable() {
		return nil, nil
	}
	parsed, err := ParseSchedule(j.CronPattern, j.Timezone)
	if err != nil {
		// Stored by an earlier release, or the zone has left the tz database.
		return nil, err
	}
	next, ok := parsed.Next(now)
	if !ok {
		return nil, apperr.InvalidField("cronPattern", "never fires")
	}
	return &next, nil
}
