// Package audit is the record of who changed what. Whoever serves a request
// puts its Actor into the context; the services name what they are asked to do
// (Doing); and the stores write an Entry in the transaction of the change, so
// that there is neither a change without an entry nor an entry without a change.
// What no actor stands behind, a tick's work for one, is not recorded here.
//
// It knows neither HTTP nor SQL.
package audit

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// Action names what was done.
type Action string

// The actions. Those of failed attempts end in "failed".
const (
	Login          Action = "auth.login"
	LoginFailed    Action = "auth.login_failed"
	Logout         Action = "auth.logout"
	Register       Action = "auth.register"
	RefreshReused  Action = "auth.refresh_reused" // an old refresh token came back
	ProfileUpdate  Action = "auth.profile_update"
	PasswordChange Action = "auth.password_change"
	PasswordFailed Action = "auth.password_failed" // a wrong present password
	SessionEnd     Action = "auth.session_end"
	TokenCreate    Action = "token.create"
	TokenRevoke    Action = "token.revoke"

	UserCreate     Action = "user.create"
	UserUpdate     Action = "user.update"
	UserDeactivate Action = "user.deactivate"

	CategoryCreate Action = "category.create"
	CategoryUpdate Action = "category.update"
	CategoryDelete Action = "category.delete"

	JobCreate           Action = "job.create"
	JobUpdate           Action = "job.update"
	JobDelete           Action = "job.delete"
	JobPause            Action = "job.pause"
	JobResume           Action = "job.resume"
	JobMove             Action = "job.move"
	JobDuplicate        Action = "job.duplicate"
	JobImport           Action = "job.import"
	JobExport           Action = "job.export"
	JobExecute          Action = "job.execute"
	JobReplay           Action = "job.replay"
	JobSigningKeyCreate Action = "job.signing_key_create"
	JobSigningKeyDelete Action = "job.signing_key_delete"

	SecretWrite  Action = "secret.write"
	SecretDelete Action = "secret.delete"

	HistoryDelete Action = "history.delete"
	AuditExport   Action = "audit.export"
)

// Actions are all of them.
var Actions = []Action{
	Login, LoginFailed, Logout, Register, RefreshReused, ProfileUpdate, PasswordChange, PasswordFailed,
	SessionEnd, TokenCreate, TokenRevoke,
	UserCreate, UserUpdate, UserDeactivate, CategoryCreate, CategoryUpdate, CategoryDelete,
	JobCreate, JobUpdate, JobDelete, JobPause, JobResume, JobMove, JobDuplicate, JobImport, JobExport, JobExecute, JobReplay,
	JobSigningKeyCreate, JobSigningKeyDelete, SecretWrite, SecretDelete, HistoryDelete, AuditExport,
}

// Entity is the kind of thing that something was done to.
type Entity string

// The entities.
const (
	User     Entity = "user"
	Session  Entity = "session"
	Token    Entity = "token"
	Category Entity = "category"
	Job      Entity = "job"
	Secret   Entity = "secret"
	History  Entity = "history"
	Log      Entity = "audit"
)

// Entities are all of them.
var Entities = []Entity{User, Session, Token, Category, Job, Secret, History, Log}

// Of is the kind of thing that an action is done to: each has one.
func (a Action) Of() Entity {
	switch a {
	case LoginFailed, PasswordFailed, Register, ProfileUpdate, PasswordChange:
		return User
	case Login, Logout, RefreshReused, SessionEnd:
		return Session
	}
	kind, _, _ := strings.Cut(string(a), ".")
	return Entity(kind)
}

// Actor is who asks, in which request.
type Actor struct {
	UserID    int64 // 0: nobody who is signed in
	TokenID   int64 // the API token; 0: none
	SessionID int64 // 0: none
	RequestID string
	Address   string
	At        time.Time // of the request
}

// Entry is one thing that was done. Before and After are JSON objects of the
// fields that it touched, with secrets masked, or nil.
type Entry struct {
	ID int64
	// Actor is filled by reads. A store asks the context who it is; an entry of a
	// session says whose that is, for where nobody is signed in.
	Actor
	// UserEmail is the actor's address, filled by reads.
	UserEmail string
	Action    Action
	Entity    Entity
	EntityID  int64 // 0: none, or several
	// EntityName is what people know the thing by, as it then was.
	EntityName    string
	Before, After json.RawMessage
}

type (
	actorKey  struct{}
	actionKey struct{}
)

// By says who asks.
func By(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Unsigned forgets who is signed in, but not the request: what begins and ends
// sessions names whose they are, never whose token was sent beside.
func Unsigned(ctx context.Context) context.Context {
	actor, acted := ActorOf(ctx)
	if !acted {
		return ctx
	}
	actor.UserID, actor.TokenID, actor.SessionID = 0, 0, 0
	return By(ctx, actor)
}

// Doing names what is being done. Where it was named already that stays: who
// calls knows better than who is called.
func Doing(ctx context.Context, action Action) context.Context {
	if ActionOf(ctx) != "" {
		return ctx
	}
	return context.WithValue(ctx, actionKey{}, action)
}

// ActorOf is who asks; false where nobody does.
func ActorOf(ctx context.Context) (Actor, bool) {
	actor, ok := ctx.Value(actorKey{}).(Actor)
	return actor, ok
}

// ActionOf is what is being done; "" where nobody said.
func ActionOf(ctx context.Context) Action {
	action, _ := ctx.Value(actionKey{}).(Action)
	return action
}

// Query selects entries, newest first. Zero fields do not filter.
type Query struct {
	From, To *time.Time // both inclusive
	UserID   int64
	Action   Action
	Entity   Entity
	EntityID int64
	After    *Place // the page begins after it
	Offset   int    // where After is nil
	Limit    int
}

// Place is where an entry stands in the order.
type Place struct {
	At time.Time
	ID int64
}

// MaxOffset is how deep pages can be turned where there are more entries than
// are counted.
const MaxOffset = 10_000

// Page is a part of the log.
type Page struct {
	Entries []Entry
	// Total is how many there are, or at least so many.
	Total             int64
	TotalIsLowerBound bool
	More              bool // others follow
}
