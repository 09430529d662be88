package account

import "github.com/cronjobs/cronjobs/internal/audit"

const maskedPassword = "********"

func (u User) audited() []audit.Field {
	return []audit.Field{
		{Name: "email", Value: u.Email},
		{Name: "name", Value: u.Name},
		{Name: "role", Value: u.Role},
		{Name: "isActive", Value: u.IsActive},
		{Name: "password", Value: u.PasswordHash, Masked: maskedPassword},
	}
}

// Audited is the entry of a user who is new.
func (u User) Audited() audit.Entry {
	return audit.Entry{Entity: audit.User, EntityID: u.ID, EntityName: u.Email, After: audit.Created(u.audited())}
}

// AuditedChange is the entry of a user who was changed.
func (u User) AuditedChange(before User) audit.Entry {
	entry := audit.Entry{Entity: audit.User, EntityID: u.ID, EntityName: before.Email}
	entry.Before, entry.After = audit.Changed(before.audited(), u.audited())
	return entry
}

// Audited is the entry of a token that is new, or no longer.
func (t APIToken) Audited() audit.Entry {
	return audit.Entry{Entity: audit.Token, EntityID: t.ID, EntityName: t.Name, After: audit.Created([]audit.Field{
		{Name: "name", Value: t.Name},
		{Name: "prefix", Value: t.Prefix},
		{Name: "scopes", Value: t.Scopes},
		{Name: "expiresAt", Value: t.ExpiresAt},
	})}
}

// Audited is the entry of a session that begins.
func (s Session) Audited() audit.Entry {
	return audit.Entry{Entity: audit.Session, EntityID: s.ID, Actor: audit.Actor{UserID: s.UserID, SessionID: s.ID}, After: audit.Created([]audit.Field{
		{Name: "remembered", Value: s.Remember}, {Name: "userAgent", Value: s.Client.UserAgent},
	})}
}
