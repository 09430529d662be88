package job

import (
	"context"
	"strconv"
	"strings"

	"github.com/cronjobs/cronjobs/internal/audit"
)

// CopyName is the name of the nth copy of a job, counted from 1: "… copy",
// "… copy 2". Where the whole would be too long, the job's name is cut.
func CopyName(name string, n int) string {
	suffix := " copy"
	if n > 1 {
		suffix += " " + strconv.Itoa(n)
	}
	if most := maxName - len(suffix); len(name) > most { // names are ASCII
		name = strings.TrimRight(name[:most], " ")
	}
	return name + suffix
}

// Duplicate stores an inactive copy of a job, secrets included, under the first
// name of CopyName that is free; by is the user. What the job has gone through
// is not copied.
func (s *Service) Duplicate(ctx context.Context, id, by int64) (Job, error) {
	ctx = audit.Doing(ctx, audit.JobDuplicate)
	now := s.now()
	return s.store.DuplicateJob(ctx, id, now, func(source Job) Job {
		copied := Job{
			Name: source.Name, Description: source.Description, CronPattern: source.CronPattern, Timezone: source.Timezone,
			CategoryID: source.CategoryID, Request: source.Request, MisfirePolicy: source.MisfirePolicy,
			Status: Inactive, Revision: 1, Version: 1, CreatedBy: by, CreatedAt: now, UpdatedAt: now,
		}
		copied.Request.Sealed = nil // what cannot be opened is missing in the copy
		if len(copied.Request.missingSecrets()) > 0 {
			copied.StatusReason = reasonSecretMissing
		}
		return copied
	})
}
