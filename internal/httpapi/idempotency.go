package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// Replies keeps the answers to requests that clients may send again.
type Replies interface {
	// Begin takes a request's key, so that the caller alone serves it, or
	// returns the reply that it had; nil where it had none. It answers Conflict
	// where the key was given to another request, or the first is still being
	// served. What is done under the claim notes its effect; where whoever had
	// it was lost, the next claim knows the effect.
	Begin(ctx context.Context, r account.Request, now time.Time) (claim account.Claim, reply *account.Reply, err error)
	// Renew says that the claim is still worked on. Finish keeps the reply;
	// Abandon lets go of the key instead, but not of what was done.
	Renew(ctx context.Context, c account.Claim, now time.Time) error
	Finish(ctx context.Context, c account.Claim, reply account.Reply) error
	Abandon(ctx context.Context, c account.Claim, now time.Time) error
}

// Repeatable is embedded by inputs of routes that a client may call again with
// the same key, sure that it is done once.
type Repeatable struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"128" pattern:"^[ -~]*$" patternDescription:"printable ASCII" doc:"Kept for 24 hours. The same request with the same key gets the first answer again, marked Idempotent-Replayed: true; another request, or one that comes while the first is served, is 409. A request that failed may be sent again with its key. Sent several times, the header counts as one key, joined by commas."`
}

func (r Repeatable) repeatKey() string { return r.IdempotencyKey }

type repeatable interface{ repeatKey() string }

// respond turns what a handler returns into an answer ready to be written,
// serving a request that bears an Idempotency-Key once.
func respond[I any, A answer](ctx context.Context, s *server, in *I, handle func(context.Context, *I) (A, error)) (encoded, error) {
	if err := faultsOf(ctx, s, in); err != nil {
		return encoded{}, err
	}
	ctx = audit.By(ctx, actorOf(infoOf(ctx)))
	once := func(ctx context.Context) (encoded, error) {
		result, err := handle(ctx, in)
		if err != nil {
			return encoded{}, err
		}
		return s.encodeAnswer(result)
	}
	if r, ok := any(in).(repeatable); ok && r.repeatKey() != "" {
		return s.respondOnce(ctx, r.repeatKey(), once)
	}
	return once(ctx)
}

// replayedHeader marks the answer to a request that was carried out before.
const replayedHeader = "Idempotent-Replayed"

// respondOnce serves a request unless it was served before. The key of one that
// failed is free again; where that one has changed something all the same, or
// its reply was lost, the next is answered from what was noted.
func (s *server) respondOnce(ctx context.Context, key string, serve func(context.Context) (encoded, error)) (out encoded, err error) {
	request := account.Request{UserID: principal(ctx).User.ID, Key: key, Hash: hashRequest(ctx)}
	claim, reply, err := s.Replies.Begin(ctx, request, s.now())
	if err != nil {
		return encoded{}, err
	}
	if reply != nil {
		return encoded{
			status: reply.Status, body: reply.Body,
			header: map[string]string{"Location": reply.Location, "ETag": reply.ETag, replayedHeader: "true"},
		}, nil
	}
	// The client may be gone by the end; its next attempt must find the reply.
	lasting := context.WithoutCancel(ctx)
	finished := false
	stopRenewing := s.renewing(lasting, claim)
	defer func() {
		stopRenewing()
		var failed error
		switch {
		case finished:
			failed = s.Replies.Finish(lasting, claim, account.Reply{
				Status: out.status, Body: out.body, Location: out.header["Location"], ETag: out.header["ETag"],
			})
		default: // an error, or a panic
			failed = s.Replies.Abandon(lasting, claim, s.now())
		}
		if failed != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "reply not kept",
				slog.String("requestId", infoOf(ctx).id), slog.Any("error", failed))
			infoOf(ctx).note(errors.Join(infoOf(ctx).hidden, failed))
		}
	}()
	out, err = serve(account.Claiming(ctx, claim))
	finished = err == nil
	if finished && claim.Effect != nil {
		header := map[string]string{replayedHeader: "true"}
		maps.Copy(header, out.header)
		out.header = header
	}
	return out, err
}

// renewing renews a claim from time to time until it is stopped.
func (s *server) renewing(ctx context.Context, claim account.Claim) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		every := time.NewTicker(account.RenewEvery)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			// One that fails is tried again before the claim is over. Where it is
			// over all the same, nothing can be changed under it.
			_ = s.Replies.Renew(ctx, claim, s.now())
		}
	})
	return func() {
		cancel()
		working.Wait()
	}
}

// committed reads what an attempt before this one at a request has changed into
// effect, which stays as it is where there was none.
func committed(ctx context.Context, effect any) error {
	claim, _ := account.ClaimOf(ctx)
	if claim.Effect == nil {
		return nil
	}
	return json.Unmarshal(claim.Effect, effect)
}

// hashRequest tells requests apart by all that they ask for.
func hashRequest(ctx context.Context) [sha256.Size]byte {
	info := infoOf(ctx)
	return sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", info.method, info.path, intakeOf(ctx).body))
}
