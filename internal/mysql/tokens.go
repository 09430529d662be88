package mysql

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
)

var tokenTable = goqu.T("t")

// tokenColumns are what tokenRow.targets reads, in its order.
var tokenColumns = []any{
	tokenTable.Col("id"), tokenTable.Col("user_id"), tokenTable.Col("name"), tokenTable.Col("prefix"), tokenTable.Col("hash"),
	tokenTable.Col("scopes"), tokenTable.Col("created_at"), tokenTable.Col("expires_at"), tokenTable.Col("last_used_at"),
	tokenTable.Col("revoked_at"),
}

type tokenRow struct {
	account.APIToken
	hash   []byte
	scopes string
}

func (r *tokenRow) targets() []any {
	return []any{
		&r.ID, &r.UserID, &r.Name, &r.Prefix, &r.hash, &r.scopes, &r.CreatedAt, &r.ExpiresAt, &r.LastUsedAt, &r.RevokedAt,
	}
}

func (r *tokenRow) token() account.APIToken {
	copy(r.Hash[:], r.hash)
	for _, scope := range strings.Split(r.scopes, ",") {
		r.Scopes = append(r.Scopes, account.Scope(scope))
	}
	return r.APIToken
}

// AddToken stores a token, provided that its owner is active, has not too many
// and is still signed in by the session; NotFound where the owner or the session
// is over. The user's row is what this and deactivating agree by.
func (s *Accounts) AddToken(ctx context.Context, token account.APIToken, sessionID int64) (account.APIToken, error) {
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		lock := dialect.From("users").Select("id").
			Where(goqu.C("id").Eq(token.UserID), goqu.C("is_active").IsTrue()).ForUpdate(goqu.Wait)
		if _, err := queryOne(ctx, tx, lock, scanInto[int64]); err != nil {
			return err
		}
		session := dialect.From("sessions").Select("id").
			Where(goqu.C("id").Eq(sessionID), goqu.C("user_id").Eq(token.UserID), goqu.C("ended_at").IsNull())
		if _, err := queryOne(ctx, tx, session, scanInto[int64]); err != nil {
			return err
		}
		if err := makeRoom(ctx, tx, token.UserID, token.CreatedAt); err != nil {
			return err
		}
		scopes := make([]string, len(token.Scopes))
		for i, scope := range token.Scopes {
			scopes[i] = string(scope)
		}
		id, err := insertID(ctx, tx, dialect.Insert("api_tokens").Rows(goqu.Record{
			"user_id": token.UserID, "name": token.Name, "prefix": token.Prefix, "hash": token.Hash[:],
			"scopes": strings.Join(scopes, ","), "created_at": token.CreatedAt, "expires_at": token.ExpiresAt,
		}))
		if token.ID = id; err != nil {
			return err
		}
		return record(ctx, tx, token.Audited())
	})
	return token, err
}

// makeRoom forgets tokens that have long been over, and refuses where too many
// are left.
func makeRoom(ctx context.Context, tx *sql.Tx, userID int64, now time.Time) error {
	over := now.Add(-account.TokenMemory)
	_, err := exec(ctx, tx, dialect.Delete("api_tokens").Where(goqu.C("user_id").Eq(userID),
		goqu.Or(goqu.C("expires_at").Lt(over), goqu.C("revoked_at").Lt(over))))
	if err != nil {
		return err
	}
	revoked, err := queryAll(ctx, tx, dialect.From("api_tokens").Select(goqu.C("revoked_at").IsNotNull()).
		Where(goqu.C("user_id").Eq(userID)), scanInto[bool])
	if err != nil {
		return err
	}
	present := 0
	for _, gone := range revoked {
		if !gone {
			present++
		}
	}
	if present >= account.MaxAPITokens {
		return apperr.Newf(apperr.Conflict, "You have %d API tokens already; delete one first.", present)
	}
	// Who makes and revokes tokens without end leaves no more than so many.
	most := account.MaxAPITokens
	if excess := len(revoked) - present - most; excess > 0 {
		_, err = exec(ctx, tx, dialect.Delete("api_tokens").Where(goqu.C("user_id").Eq(userID), goqu.C("revoked_at").IsNotNull()).
			Order(goqu.C("revoked_at").Asc(), goqu.C("id").Asc()).Limit(uint(excess)))
	}
	return err
}

// ListTokens reads a page of a user's tokens that are not revoked, the latest
// first, and how many there are.
func (s *Accounts) ListTokens(ctx context.Context, userID int64, offset, limit int) ([]account.APIToken, int, error) {
	own := dialect.From(goqu.T("api_tokens").As("t")).
		Where(tokenTable.Col("user_id").Eq(userID), tokenTable.Col("revoked_at").IsNull())
	total, err := queryOne(ctx, s.db, own.Select(goqu.COUNT("*")), scanInto[int])
	if err != nil || total <= offset || limit <= 0 {
		return nil, total, translate(err)
	}
	page, err := queryAll(ctx, s.db,
		own.Select(tokenColumns...).Order(tokenTable.Col("id").Desc()).Offset(uint(offset)).Limit(uint(limit)),
		func(rows *sql.Rows) (account.APIToken, error) {
			var row tokenRow
			err := rows.Scan(row.targets()...)
			return row.token(), err
		})
	return page, total, translate(err)
}

// RevokeToken ends a token of a user's; false where there is none to end.
func (s *Accounts) RevokeToken(ctx context.Context, userID, tokenID int64, at time.Time) (bool, error) {
	revoked := false
	err := inTx(ctx, s.db, func(tx *sql.Tx) error {
		matched, err := exec(ctx, tx, dialect.Update("api_tokens").Set(goqu.Record{"revoked_at": at}).
			Where(goqu.C("id").Eq(tokenID), goqu.C("user_id").Eq(userID), goqu.C("revoked_at").IsNull()))
		if revoked = matched > 0; err != nil || !revoked {
			return err
		}
		return record(ctx, tx, audit.Entry{Entity: audit.Token, EntityID: tokenID})
	})
	return revoked, err
}

// revokeTokens ends all tokens of a user.
func revokeTokens(ctx context.Context, tx *sql.Tx, userID int64, at time.Time) error {
	_, err := exec(ctx, tx, dialect.Update("api_tokens").Set(goqu.Record{"revoked_at": at}).
		Where(goqu.C("user_id").Eq(userID), goqu.C("revoked_at").IsNull()))
	return err
}

// TokenWithUser reads a token and its owner in one statement, so that both are
// as of the same moment.
func (s *Accounts) TokenWithUser(ctx context.Context, hash [32]byte) (account.APIToken, account.User, error) {
	type pair struct {
		token tokenRow
		user  account.User
	}
	found, err := queryOne(ctx, s.db,
		dialect.From(goqu.T("api_tokens").As("t")).
			Join(goqu.T("users").As("u"), goqu.On(userTable.Col("id").Eq(tokenTable.Col("user_id")))).
			Select(append(append([]any{}, tokenColumns...), userColumns...)...).
			Where(tokenTable.Col("hash").Eq(hash[:])),
		func(rows *sql.Rows) (p pair, err error) {
			err = rows.Scan(append(p.token.targets(), userFields(&p.user)...)...)
			return p, err
		})
	if err != nil {
		return account.APIToken{}, account.User{}, translate(err)
	}
	return found.token.token(), found.user, nil
}

// NoteTokenUse stores when a token was used, unless that was done lately: of
// many requests at once one does.
func (s *Accounts) NoteTokenUse(ctx context.Context, tokenID int64, at time.Time) error {
	_, err := exec(ctx, s.db, dialect.Update("api_tokens").Set(goqu.Record{"last_used_at": at}).
		Where(goqu.C("id").Eq(tokenID), goqu.Or(
			goqu.C("last_used_at").IsNull(), goqu.C("last_used_at").Lte(at.Add(-account.TokenUse)))))
	return translate(err)
}
