// Package account is who may use the system: users and their roles, the rules
// of passwords and e-mail addresses, and the tokens and sessions that people
// sign in with.
//
// It knows neither HTTP nor SQL: its Store says what must be kept, and its
// Service decides.
package account

import "time"

// Role is what a user may do.
type Role string

// The roles, each of which may do all that the one before it may.
const (
	Viewer   Role = "viewer"   // reads
	Operator Role = "operator" // keeps categories and jobs, and runs them
	Admin    Role = "admin"    // also users, secrets and the audit log
)

// Roles are all roles, from the least to the most powerful.
var Roles = []Role{Viewer, Operator, Admin}

// Includes reports whether r may do what needs may do. An unknown role
// includes nothing.
func (r Role) Includes(needs Role) bool {
	return r.rank() > 0 && r.rank() >= needs.rank()
}

func (r Role) rank() int {
	for i, role := range Roles {
		if role == r {
			return i + 1
		}
	}
	return 0
}

// User is a person who may sign in.
type User struct {
	ID           int64
	Email        string // normalised: trimmed, NFC, lower case
	Name         string
	Role         Role
	IsActive     bool
	PasswordHash string // PHC string; never leaves the server
	// TokenVersion is named by every access token; raising it ends them all.
	TokenVersion int
	// Version moves with every change by a person and is the ETag.
	Version     int
	LastLoginAt *time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Principal is who makes a request, as the database knows them now.
type Principal struct {
	User      User
	SessionID int64 // 0 where an API token was sent
	// Token is the API token that was sent; nil for a person who signed in.
	Token *APIToken
}
