package mysql

import (
	"context"
	"database/sql"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/audit"
)

var sessionTable = goqu.T("s")

// sessionColumns are the fields of sessionFields, in their order.
var sessionColumns = []any{
	sessionTable.Col("id"), sessionTable.Col("user_id"), sessionTable.Col("nonce"), sessionTable.Col("generation"),
	sessionTable.Col("refresh_hash"), sessionTable.Col("remember"), sessionTable.Col("address"),
	sessionTable.Col("user_agent"), sessionTable.Col("created_at"), sessionTable.Col("rotated_at"),
	sessionTable.Col("expires_at"), sessionTable.Col("ended_at"),
}

func sessionFields(s *account.Session) []any {
	return []any{
		&s.ID, &s.UserID, &s.Nonce, &s.Generation, &s.RefreshHash, &s.Remember, &s.Client.Address,
		&s.Client.UserAgent, &s.CreatedAt, &s.RotatedAt, &s.ExpiresAt, &s.EndedAt,
	}
}

// SessionWithUser reads a session and its user in one statement, so that both
// are as of the same moment.
func (s *Accounts) SessionWithUser(ctx context.Context, sessionID int64) (account.Session, account.User, error) {
	type pair struct {
		session account.Session
		user    account.User
	}
	columns := append(append([]any{}, sessionColumns...), userColumns...)
	found, err := queryOne(ctx, s.db,
		dialect.From(goqu.T("sessions").As("s")).
			Join(goqu.T("users").As("u"), goqu.On(userTable.Col("id").Eq(sessionTable.Col("user_id")))).
			Select(columns...).
			Where(sessionTable.Col("id").Eq(sessionID)),
		func(rows *sql.Rows) (p pair, err error) {
			err = rows.Scan(append(sessionFields(&p.session), userFields(&p.user)...)...)
			return p, err
		})
	return found.session, found.user, translate(err)
}

// StartSession stores a session, provided that its user is active and still
// has the hash; NotFound otherwise.
func (s *Accounts) StartSession(ctx context.Context, session account.Session, passwordHash string) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		matched, err := exec(ctx, tx, dialect.Update("users").
			Set(goqu.Record{"last_login_at": session.CreatedAt}).
			Where(goqu.C("id").Eq(session.UserID), goqu.C("is_active").IsTrue(), goqu.C("password_hash").Eq(passwordHash)))
		if err != nil {
			return err
		}
		if matched == 0 {
			return sql.ErrNoRows
		}
		if err := insertSession(ctx, tx, session); err != nil {
			return err
		}
		if err := endExcess(ctx, tx, session); err != nil {
			return err
		}
		return record(ctx, tx, session.Audited())
	})
}

func insertSession(ctx context.Context, tx *sql.Tx, session account.Session) error {
	_, err := exec(ctx, tx, dialect.Insert("sessions").Rows(goqu.Record{
		"id": session.ID, "user_id": session.UserID, "nonce": session.Nonce,
		"generation": session.Generation, "refresh_hash": session.RefreshHash, "remember": session.Remember,
		"address": cut(session.Client.Address, 45), "user_agent": cut(session.Client.UserAgent, 255),
		"created_at": session.CreatedAt, "rotated_at": session.RotatedAt, "expires_at": session.ExpiresAt,
	}))
	return err
}

// endExcess ends those of a user's sessions that are beyond account.MaxSessions,
// but never the one that was just started. The user's row is held, so that no
// other sign-in of the user's comes between.
func endExcess(ctx context.Context, tx *sql.Tx, started account.Session) error {
	excess, err := queryAll(ctx, tx, dialect.From("sessions").Select("id").
		Where(goqu.C("user_id").Eq(started.UserID), goqu.C("ended_at").IsNull(),
			goqu.C("expires_at").Gt(utc(started.CreatedAt)), goqu.C("id").Neq(started.ID)).
		Order(goqu.C("rotated_at").Desc(), goqu.C("id").Desc()).
		Offset(account.MaxSessions-1).Limit(account.MaxSessions), scanInto[int64])
	if err != nil || len(excess) == 0 {
		return err
	}
	_, err = exec(ctx, tx, dialect.Update("sessions").
		Set(goqu.Record{"ended_at": started.CreatedAt, "end_reason": string(account.EndTooMany)}).
		Where(goqu.C("id").In(excess), goqu.C("ended_at").IsNull()))
	return err
}

// RotateSession stores a session's next generation; false where the present
// one is no longer its predecessor, or the session has ended.
func (s *Accounts) RotateSession(ctx context.Context, session account.Session) (bool, error) {
	matched, err := rotateSession(ctx, s.db, session)
	return matched > 0, translate(err)
}

func rotateSession(ctx context.Context, q querier, session account.Session) (int64, error) {
	return exec(ctx, q, dialect.Update("sessions").
		Set(goqu.Record{
			"generation": session.Generation, "refresh_hash": session.RefreshHash,
			"rotated_at": session.RotatedAt, "expires_at": session.ExpiresAt,
		}).
		Where(goqu.C("id").Eq(session.ID), goqu.C("generation").Eq(session.Generation-1), goqu.C("ended_at").IsNull()))
}

// EndSession ends a session of a user's that is not over.
func (s *Accounts) EndSession(ctx context.Context, userID, sessionID int64, reason account.EndReason, at time.Time) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		ended, err := exec(ctx, tx, dialect.Update("sessions").
			Set(goqu.Record{"ended_at": at, "end_reason": string(reason)}).
			Where(goqu.C("id").Eq(sessionID), goqu.C("user_id").Eq(userID), goqu.C("ended_at").IsNull()))
		if err != nil || ended == 0 {
			return err
		}
		return record(ctx, tx, audit.Entry{
			Actor: audit.Actor{UserID: userID, SessionID: sessionID}, Entity: audit.Session, EntityID: sessionID,
		})
	})
}

// ListSessions reads a page of a user's sessions that are alive, the latest
// first, and how many there are.
func (s *Accounts) ListSessions(ctx context.Context, userID int64, now time.Time, offset, limit int) ([]account.Session, int, error) {
	alive := dialect.From(goqu.T("sessions").As("s")).
		Where(sessionTable.Col("user_id").Eq(userID), sessionTable.Col("ended_at").IsNull(), sessionTable.Col("expires_at").Gt(utc(now)))
	total, err := queryOne(ctx, s.db, alive.Select(goqu.COUNT("*")), scanInto[int])
	if err != nil || total <= offset || limit <= 0 {
		return nil, total, translate(err)
	}
	page, err := queryAll(ctx, s.db,
		alive.Select(sessionColumns...).Order(sessionTable.Col("created_at").Desc(), sessionTable.Col("id").Desc()).
			Offset(uint(offset)).Limit(uint(limit)),
		func(rows *sql.Rows) (session account.Session, err error) {
			err = rows.Scan(sessionFields(&session)...)
			return session, err
		})
	return page, total, translate(err)
}

// ChangePassword replaces a hash that is still the old one, ends all the user's
// sessions and starts another; NotFound where the hash has changed, or the
// session that must live has ended.
func (s *Accounts) ChangePassword(ctx context.Context, oldHash, newHash string, mustLive int64, next account.Session) error {
	return inTx(ctx, s.db, func(tx *sql.Tx) error {
		matched, err := exec(ctx, tx, dialect.Update("users").
			Set(goqu.Record{"password_hash": newHash, "updated_at": next.CreatedAt}).
			Where(goqu.C("id").Eq(next.UserID), goqu.C("is_active").IsTrue(), goqu.C("password_hash").Eq(oldHash)))
		if err != nil {
			return err
		}
		if matched == 0 {
			return sql.ErrNoRows
		}
		over := goqu.Record{"ended_at": next.CreatedAt, "end_reason": string(account.EndPassword)}
		alive := dialect.Update("sessions").Set(over).Where(goqu.C("user_id").Eq(next.UserID), goqu.C("ended_at").IsNull())
		matched, err = exec(ctx, tx, alive.Where(goqu.C("id").Eq(mustLive)))
		if err == nil && matched == 0 {
			err = sql.ErrNoRows
		}
		if err != nil {
			return err
		}
		if _, err := exec(ctx, tx, alive); err != nil {
			return err
		}
		if err := insertSession(ctx, tx, next); err != nil {
			return err
		}
		return record(ctx, tx, account.User{ID: next.UserID, PasswordHash: newHash}.AuditedChange(account.User{ID: next.UserID, PasswordHash: oldHash}))
	})
}
