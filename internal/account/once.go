package account

import "time"

// Request names a request that a client may send again: whose it is, the key
// that the client gave it, and a hash of all that it asks for.
type Request struct {
	UserID int64
	Key    string
	Hash   [32]byte
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
	// ServingTime is how long a request may be under way before it is taken
	// for lost. It is longer than any request is let live.
	ServingTime = time.Minute
)
