package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Accounts keeps users and their sessions. It is an account.Store.
//
// Every statement that starts or rotates sessions on the strength of a
// password first writes the user's row under a condition: that row is what
// signing in and changing the password agree by.
type Accounts struct{ db *sql.DB }

// NewAccounts makes a store on a pool that Open made.
func NewAccounts(db *sql.DB) *Accounts { return &Accounts{db: db} }

var _ account.Store = (*Accounts)(nil)

var userTable = goqu.T("u")

// userColumns are the fields of userFields, in their order.
var userColumns = []any{
	userTable.Col("id"), userTable.Col("email"), userTable.Col("name"), userTable.Col("role"),
	userTable.Col("is_active"), userTable.Col("password_hash"), userTable.Col("token_version"),
	userTable.Col("version"), userTable.Col("last_login_at"), userTable.Col("created_at"), userTable.Col("updated_at"),
}

func userFields(u *account.User) []any {
	return []any{
		&u.ID, &u.Email, &u.Name, &u.Role, &u.IsActive, &u.PasswordHash, &u.TokenVersion,
		&u.Version, &u.LastLoginAt, &u.CreatedAt, &u.UpdatedAt,
	}
}

func scanUser(rows *sql.Rows) (u account.User, err error) {
	err = rows.Scan(userFields(&u)...)
	return u, err
}

func selectUsers() *goqu.SelectDataset {
	return dialect.From(goqu.T("users").As("u")).Select(userColumns...)
}

// User reads a user.
func (s *Accounts) User(ctx context.Context, id int64) (account.User, error) {
	user, err := queryOne(ctx, s.db, selectUsers().Where(userTable.Col("id").Eq(id)), scanUser)
	return user, userError(err)
}

func userError(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return apperr.Wrap(apperr.NotFound, err, "There is no such user.")
	}
	return translate(err)
}

// UserByEmail finds a user by a normalised address.
func (s *Accounts) UserByEmail(ctx context.Context, email string) (account.User, error) {
	user, err := queryOne(ctx, s.db, selectUsers().Where(userTable.Col("email").Eq(email)), scanUser)
	return user, translate(err)
}

// UpdateUser stores name and e-mail where the version is still the user's, and
// raises it.
func (s *Accounts) UpdateUser(ctx context.Context, before, user account.User) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		if err := updateUser(ctx, tx, user); err != nil {
			return err
		}
		return record(ctx, tx, user.AuditedChange(before))
	})
}

func updateUser(ctx context.Context, tx *sql.Tx, user account.User) error {
	matched, err := exec(ctx, tx, dialect.Update("users").
		Set(goqu.Record{
			"name": user.Name, "email": user.Email, "updated_at": user.UpdatedAt, "version": goqu.L("version + 1"),
		}).
		Where(goqu.C("id").Eq(user.ID), goqu.C("version").Eq(user.Version)))
	if err != nil {
		return emailTaken(err)
	}
	if matched == 0 {
		return apperr.New(apperr.PreconditionFailed, "The user has changed since you read it, or If-Match is no ETag of it; read it again.")
	}
	return nil
}

// AddUser stores a new user.
func (s *Accounts) AddUser(ctx context.Context, user account.User) (account.User, error) {
	err := inTx(ctx, s.db, func(tx *sql.Tx) (err error) {
		if user.ID, err = insertID(ctx, tx, dialect.Insert("users").Rows(userRecord(user))); err != nil {
			return emailTaken(err)
		}
		return record(ctx, tx, user.Audited())
	})
	return user, err
}

// emailTaken names the one thing of a user that is unique.
func emailTaken(err error) error {
	if !isDuplicate(err) {
		return err
	}
	conflict := apperr.Wrap(apperr.Conflict, err, "That e-mail address is taken.")
	conflict.Fields = []apperr.Field{{Name: "email", Message: "is taken"}}
	return conflict
}

// AddFirstUser stores a user if there is none. Two programs that do so at once
// are told apart by the address, which is unique.
func (s *Accounts) AddFirstUser(ctx context.Context, user account.User) (bool, error) {
	created := false
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		created = false
		anyone, err := queryAll(ctx, tx, dialect.From("users").Select("id").Limit(1), scanInto[int64])
		if err != nil || len(anyone) > 0 {
			return err
		}
		if _, err := exec(ctx, tx, dialect.Insert("users").Rows(userRecord(user))); err != nil {
			return fmt.Errorf("first user: %w", err)
		}
		created = true
		return nil
	})
	if apperr.Is(err, apperr.Conflict) {
		return false, nil
	}
	return created, err
}

func userRecord(u account.User) goqu.Record {
	return goqu.Record{
		"email": u.Email, "name": u.Name, "role": string(u.Role), "is_active": u.IsActive,
		"password_hash": u.PasswordHash, "token_version": u.TokenVersion, "version": u.Version,
		"last_login_at": u.LastLoginAt, "created_at": u.CreatedAt, "updated_at": u.UpdatedAt,
	}
}
