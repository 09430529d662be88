package account

import (
	"context"
	"encoding/json"
	"time"
)

// Request names a request that a client may send again: whose it is, the key
// that the client gave it, and a hash of all that it asks for.
type Request struct {
	UserID int64
	Key    string
	Hash   [32]byte
}

// Claim is an attempt at serving a request. One at a time holds it.
type Claim struct {
	Request
	Token [16]byte // tells attempts apart
	// Effect is what an attempt before this one has changed, as the store that
	// changed it says it; nil where nothing was.
	Effect json.RawMessage
}

// Reply is the answer that a request got the first time.
type Reply struct {
	Status   int
	Location string
	ETag     string
	Body     []byte
}

const (
	// ReplyLifetime is how long a reply is kept.
	ReplyLifetime = 24 * time.Hour
	// ServingTime is how long a claim holds that is not renewed: whoever served
	// the request is lost then.
	ServingTime = 10 * time.Second
	// RenewEvery is how often a claim is renewed.
	RenewEvery = 3 * time.Second
)

type claimKey struct{}

// Claiming says which claim what is done is done under. Stores note what they
// change under it in the transaction of the change.
func Claiming(ctx context.Context, claim Claim) context.Context {
	return context.WithValue(ctx, claimKey{}, claim)
}

// ClaimOf is the claim that something is done under; false where there is none.
func ClaimOf(ctx context.Context) (Claim, bool) {
	claim, ok := ctx.Value(claimKey{}).(Claim)
	return claim, ok
}
