package job

import (
	"encoding/json"
	"strings"

	"github.com/cronjobs/cronjobs/internal/audit"
)

// audited are the fields of a job that people write, as the audit log tells
// them. Values of a URL's query often are keys, and are not told.
func (j Job) audited() []audit.Field {
	masked := j.Request.Masked()
	var body, shownBody any
	if j.Request.Body != nil {
		body, shownBody = json.RawMessage(j.Request.Body), json.RawMessage(masked.Body)
	}
	return []audit.Field{
		{Name: "name", Value: j.Name},
		{Name: "description", Value: j.Description},
		{Name: "cronPattern", Value: j.CronPattern},
		{Name: "timezone", Value: j.Timezone},
		{Name: "categoryId", Value: j.CategoryID},
		{Name: "status", Value: j.Status},
		{Name: "misfirePolicy", Value: j.MisfirePolicy},
		{Name: "method", Value: j.Request.Method},
		{Name: "url", Value: j.Request.URL, Masked: MaskQuery(j.Request.URL)},
		{Name: "headers", Value: orNil(j.Request.Headers), Masked: orNil(masked.Headers)},
		{Name: "secretHeaders", Value: listOrNil(j.Request.SecretHeaders)},
		{Name: "body", Value: body, Masked: shownBody},
		{Name: "bodySecret", Value: j.Request.BodySecret},
		{Name: "timeout", Value: j.Request.Timeout.Milliseconds()},
		{Name: "maxRedirects", Value: j.Request.MaxRedirects},
		{Name: "retryAttempts", Value: j.Request.Retry.Attempts},
		{Name: "retryDelay", Value: j.Request.Retry.Delay.Milliseconds()},
		{Name: "retryBackoff", Value: j.Request.Retry.Backoff},
		{Name: "overlapPolicy", Value: j.Request.OverlapPolicy},
	}
}

func orNil(headers map[string]string) any {
	if len(headers) == 0 {
		return nil
	}
	return headers
}

func listOrNil(names []string) any {
	if len(names) == 0 {
		return nil
	}
	return names
}

// Audited is the entry of a job that is new.
func (j Job) Audited() audit.Entry {
	return audit.Entry{Entity: audit.Job, EntityID: j.ID, EntityName: j.Name, After: audit.Created(j.audited())}
}

// Audited is the entry of a change that begins with a job as it was.
func (c Change) Audited(before Job) audit.Entry {
	entry := audit.Entry{Entity: audit.Job, EntityID: c.Job.ID, EntityName: before.Name}
	if c.Delete {
		entry.Before = audit.Created(before.audited())
	} else {
		entry.Before, entry.After = audit.Changed(before.audited(), c.Job.audited())
	}
	return entry
}

// AuditedBriefly is Audited where only status, category and existence of the
// job are known.
func (c Change) AuditedBriefly(before Job) audit.Entry {
	brief := func(j Job) []audit.Field {
		return []audit.Field{{Name: "status", Value: j.Status}, {Name: "categoryId", Value: j.CategoryID}}
	}
	entry := audit.Entry{Entity: audit.Job, EntityID: c.Job.ID, EntityName: before.Name}
	if c.Delete {
		entry.Before = audit.Created(append(brief(before), audit.Field{Name: "name", Value: before.Name}))
	} else {
		entry.Before, entry.After = audit.Changed(brief(before), brief(c.Job))
	}
	return entry
}

// Audited is the entry of a secret of the workspace that was written: where it
// may go, and never what it is.
func (w WorkspaceSecret) Audited() audit.Entry {
	return audit.Entry{
		Action: audit.SecretWrite, Entity: audit.Secret, EntityName: w.Name,
		After: audit.Created([]audit.Field{{Name: "value", Value: Mask}, {Name: "allowedHosts", Value: w.AllowedHosts}}),
	}
}

func (c Category) audited() []audit.Field {
	var description any
	if c.Description != nil {
		description = *c.Description
	}
	return []audit.Field{
		{Name: "name", Value: c.Name},
		{Name: "description", Value: description},
		{Name: "color", Value: c.Color},
		{Name: "status", Value: c.Status},
	}
}

// Audited is the entry of a category that is new.
func (c Category) Audited() audit.Entry {
	return audit.Entry{Entity: audit.Category, EntityID: c.ID, EntityName: c.Name, After: audit.Created(c.audited())}
}

// AuditedChange is the entry of a category that was changed.
func (c Category) AuditedChange(before Category) audit.Entry {
	entry := audit.Entry{Entity: audit.Category, EntityID: c.ID, EntityName: before.Name}
	entry.Before, entry.After = audit.Changed(before.audited(), c.audited())
	return entry
}

// AuditedDeletion is the entry of a category that is gone; its jobs went to
// another one, or it had none at 0.
func (c Category) AuditedDeletion(reassignedTo int64) audit.Entry {
	entry := audit.Entry{Entity: audit.Category, EntityID: c.ID, EntityName: c.Name, Before: audit.Created(c.audited())}
	if reassignedTo != 0 {
		entry.After = audit.Created([]audit.Field{{Name: "reassignedTo", Value: reassignedTo}})
	}
	return entry
}

// MaskQuery hides the values of a URL's query, which often hold keys.
func MaskQuery(raw string) string {
	base, query, found := strings.Cut(raw, "?")
	if !found || query == "" {
		return raw
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if name, _, found := strings.Cut(part, "="); found {
			parts[i] = name + "=" + Mask
		} else {
			parts[i] = Mask
		}
	}
	return base + "?" + strings.Join(parts, "&")
}
