package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Replies keeps the answers to requests that clients may send again.
type Replies struct{ db *sql.DB }

// NewReplies makes a store on a pool that Open made.
func NewReplies(db *sql.DB) *Replies { return &Replies{db: db} }

// storedReply is a row of idempotency_keys.
type storedReply struct {
	hash        []byte
	lockedUntil time.Time
	expiresAt   time.Time
	status      sql.NullInt64
	reply       account.Reply
	effect      []byte
}

func thisRequest(r account.Request) goqu.Expression {
	return goqu.And(goqu.C("user_id").Eq(r.UserID), goqu.C("idem_key").Eq([]byte(r.Key)))
}

// thisAttempt is the row of a claim as long as the claim holds.
func thisAttempt(c account.Claim) goqu.Expression {
	return goqu.And(thisRequest(c.Request), goqu.C("claim").Eq(c.Token[:]), goqu.C("status").IsNull())
}

// Begin takes a request's key, so that the caller alone serves it, or returns
// the reply that it had. It answers Conflict where the key was given to another
// request, or the first is still being served.
func (s *Replies) Begin(ctx context.Context, r account.Request, now time.Time) (claim account.Claim, reply *account.Reply, err error) {
	if mathrand.IntN(sweepEvery) == 0 {
		// The next one sweeps if this one cannot.
		_, _ = exec(ctx, s.db, dialect.Delete("idempotency_keys").Where(goqu.C("expires_at").Lt(utc(now))).Limit(sweepMost))
	}
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		claim, reply = account.Claim{Request: r}, nil
		_, _ = rand.Read(claim.Token[:]) // it never fails
		row := goqu.Record{
			"request_hash": r.Hash[:], "locked_until": utc(now.Add(account.ServingTime)), "claim": claim.Token[:],
			"expires_at": utc(now.Add(account.ReplyLifetime)), "status": nil, "location": "", "etag": "", "body": nil, "effect": nil,
		}
		found, err := queryAll(ctx, tx, dialect.From("idempotency_keys").
			Select("request_hash", "locked_until", "expires_at", "status", "location", "etag", "body", "effect").
			Where(thisRequest(r)).ForUpdate(goqu.Wait), scanReply)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			row["user_id"], row["idem_key"] = r.UserID, []byte(r.Key)
			_, err := exec(ctx, tx, dialect.Insert("idempotency_keys").Rows(row))
			if isDuplicate(err) { // another request was faster
				return errStillServed
			}
			return err
		}
		stored := found[0]
		switch {
		case !stored.expiresAt.After(now):
		case string(stored.hash) != string(r.Hash[:]):
			return apperr.New(apperr.Conflict, "This Idempotency-Key was given to another request; use a new one.")
		case stored.status.Valid:
			reply = &stored.reply
			return nil
		case stored.lockedUntil.After(now):
			return errStillServed
		default: // whoever served it was lost; what it has changed stays
			claim.Effect = stored.effect
			delete(row, "effect")
			delete(row, "expires_at")
		}
		_, err = exec(ctx, tx, dialect.Update("idempotency_keys").Set(row).Where(thisRequest(r)))
		return err
	})
	if apperr.Is(err, apperr.Unavailable) { // it may have been taken all the same
		_ = s.Abandon(context.WithoutCancel(ctx), claim, now)
	}
	return claim, reply, err
}

var errStillServed = apperr.New(apperr.Conflict, "The first request with this Idempotency-Key is still being served; ask again soon.")

func scanReply(rows *sql.Rows) (r storedReply, err error) {
	err = rows.Scan(&r.hash, &r.lockedUntil, &r.expiresAt, &r.status, &r.reply.Location, &r.reply.ETag, &r.reply.Body, &r.effect)
	r.reply.Status = int(r.status.Int64)
	return r, err
}

// Renew keeps a claim that is still being worked on.
func (s *Replies) Renew(ctx context.Context, c account.Claim, now time.Time) error {
	_, err := exec(ctx, s.db, dialect.Update("idempotency_keys").
		Set(goqu.Record{"locked_until": utc(now.Add(account.ServingTime))}).Where(thisAttempt(c)))
	return translate(err)
}

// Finish keeps the reply to a request that was served.
func (s *Replies) Finish(ctx context.Context, c account.Claim, reply account.Reply) error {
	_, err := exec(ctx, s.db, dialect.Update("idempotency_keys").
		Set(goqu.Record{"status": reply.Status, "location": reply.Location, "etag": reply.ETag, "body": reply.Body, "effect": nil}).
		Where(thisAttempt(c)))
	return translate(err)
}

// Abandon lets go of a claim, so that the request can be served anew. What it
// has changed stays noted.
func (s *Replies) Abandon(ctx context.Context, c account.Claim, now time.Time) error {
	deleted, err := exec(ctx, s.db, dialect.Delete("idempotency_keys").Where(thisAttempt(c), goqu.C("effect").IsNull()))
	if err == nil && deleted == 0 {
		_, err = exec(ctx, s.db, dialect.Update("idempotency_keys").Set(goqu.Record{"locked_until": utc(now)}).Where(thisAttempt(c)))
	}
	return translate(err)
}

// noteEffect notes what a request with an Idempotency-Key has changed, in the
// transaction of the change: a request is never served twice, whoever is lost
// in the midst of it. Where another attempt has taken over meanwhile it answers
// Conflict, and nothing is changed.
func noteEffect(ctx context.Context, tx *sql.Tx, effect any) error {
	claim, claimed := account.ClaimOf(ctx)
	if !claimed {
		return nil
	}
	text, err := json.Marshal(effect)
	if err != nil {
		return err
	}
	noted, err := exec(ctx, tx, dialect.Update("idempotency_keys").Set(goqu.Record{"effect": text}).Where(thisAttempt(claim)))
	if err == nil && noted == 0 {
		return errStillServed
	}
	return err
}

// noteMore is noteEffect for a request that is carried out in several
// transactions: its effect is a list that grows.
func noteMore(ctx context.Context, tx *sql.Tx, done []int64) error {
	claim, claimed := account.ClaimOf(ctx)
	if !claimed {
		return nil
	}
	before, err := queryOne(ctx, tx, dialect.From("idempotency_keys").Select("effect").Where(thisAttempt(claim)), scanInto[[]byte])
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return errStillServed
	case err != nil:
		return err
	}
	var all []int64
	if before != nil {
		if err := json.Unmarshal(before, &all); err != nil {
			return err
		}
	}
	return noteEffect(ctx, tx, append(all, done...))
}
