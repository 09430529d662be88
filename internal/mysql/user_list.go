package mysql

import (
	"context"
	"database/sql"
	"strings"

	"github.com/doug-martin/goqu/v9"
	"github.com/doug-martin/goqu/v9/exp"

	"github.com/cronjobs/cronjobs/internal/account"
)

// ListUsers reads a page of users and the number of all that match.
func (s *Accounts) ListUsers(ctx context.Context, filter account.UserFilter) ([]account.User, int, error) {
	matching := selectUsers()
	if part := strings.ToLower(strings.TrimSpace(filter.Search)); part != "" {
		matching = matching.Where(goqu.Or(contains("u.email", part), containsFolded("u.name", part)))
	}
	if filter.Role != "" {
		matching = matching.Where(userTable.Col("role").Eq(string(filter.Role)))
	}
	if filter.IsActive != nil {
		matching = matching.Where(userTable.Col("is_active").Eq(*filter.IsActive))
	}
	total, err := queryOne(ctx, s.db, matching.Select(goqu.COUNT("*")), scanInto[int])
	if err != nil || total <= filter.Offset || filter.Limit <= 0 {
		return nil, total, translate(err)
	}
	page, err := queryAll(ctx, s.db,
		orderUsers(matching, filter).Offset(uint(filter.Offset)).Limit(uint(filter.Limit)), scanUser)
	return page, total, translate(err)
}

func orderUsers(query *goqu.SelectDataset, filter account.UserFilter) *goqu.SelectDataset {
	var key exp.Orderable
	switch filter.Sort {
	case account.SortByName:
		key = userTable.Col("name") // as its collation has it: É with E
	case account.SortByEmail:
		key = userTable.Col("email")
	case account.SortByRole:
		key = goqu.L("CONCAT(u.role)") // by its name: an ENUM sorts by its number
	case account.SortByCreated:
		key = userTable.Col("created_at")
	default:
		return query.Order(direction(userTable.Col("id"), filter.Descending))
	}
	return query.Order(direction(key, filter.Descending), direction(userTable.Col("id"), filter.Descending))
}

// ChangeUser stores what decide makes of a user. The active admins are locked
// along with the user, in the order of their ids, so that two admins cannot
// remove each other at once and leave nobody.
func (s *Accounts) ChangeUser(ctx context.Context, id int64,
	decide func(current account.User, otherAdmins int) (account.User, account.EndReason, error),
) (account.User, error) {
	var changed account.User
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		current, otherAdmins, err := lockUser(ctx, tx, id)
		if err != nil {
			return err
		}
		var end account.EndReason
		changed, end, err = decide(current, otherAdmins)
		if err != nil || changed.Version == current.Version {
			return err
		}
		_, err = exec(ctx, tx, dialect.Update("users").Set(goqu.Record{
			"email": changed.Email, "name": changed.Name, "role": string(changed.Role), "is_active": changed.IsActive,
			"password_hash": changed.PasswordHash, "version": changed.Version, "updated_at": changed.UpdatedAt,
		}).Where(goqu.C("id").Eq(id)))
		if err != nil {
			return emailTaken(err)
		}
		if err := record(ctx, tx, changed.AuditedChange(current)); err != nil || end == "" {
			return err
		}
		_, err = exec(ctx, tx, dialect.Update("sessions").
			Set(goqu.Record{"ended_at": changed.UpdatedAt, "end_reason": string(end)}).
			Where(goqu.C("user_id").Eq(id), goqu.C("ended_at").IsNull()))
		if err != nil || !end.EndsTokens() {
			return err
		}
		return revokeTokens(ctx, tx, id, changed.UpdatedAt)
	})
	return changed, err
}

// lockUser reads a user and how many other active admins there are, and keeps
// all of them as they are until the transaction ends.
func lockUser(ctx context.Context, tx *sql.Tx, id int64) (user account.User, otherAdmins int, err error) {
	locked, err := queryAll(ctx, tx, selectUsers().
		Where(goqu.Or(
			userTable.Col("id").Eq(id),
			goqu.And(userTable.Col("role").Eq(string(account.Admin)), userTable.Col("is_active").IsTrue()),
		)).
		Order(userTable.Col("id").Asc()).ForUpdate(goqu.Wait), scanUser)
	if err != nil {
		return account.User{}, 0, err
	}
	for _, one := range locked {
		if one.ID == id {
			user = one
		} else {
			otherAdmins++
		}
	}
	if user.ID == 0 {
		return account.User{}, 0, userError(sql.ErrNoRows)
	}
	return user, otherAdmins, nil
}
