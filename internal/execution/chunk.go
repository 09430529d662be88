package execution

import (
	"encoding/json"
	"fmt"
	"time"
)

// Lane is one of the two ways through the queue.
type Lane string

// The lanes: slow targets must not hold up quick ones.
const (
	Fast Lane = "fast"
	Slow Lane = "slow"
)

// Waiting is an execution that waits for its instant, as much of it as is
// needed to bring it to a worker.
type Waiting struct {
	ID        int64
	Attempt   int
	NotBefore time.Time
	Lane      Lane
	// Host is the target's host and port. Executions of one host travel
	// together, so that a host that hangs holds few workers.
	Host string
}

// Ref names one attempt of one execution.
type Ref struct {
	ID      int64 `json:"id"`
	Attempt int   `json:"attempt"`
}

// Chunk is the message that wakes a worker: executions of one instant. It is
// only a wake-up: it may be lost, late or doubled, holds no secret, and
// everything it says is checked against the rows.
type Chunk struct {
	At time.Time `json:"at"`
	// Lane is the lane that the message was sent by; none means the fast one.
	Lane       Lane  `json:"lane,omitempty"`
	Executions []Ref `json:"executions"`
}

// MaxChunk is the most executions that one message may name.
const MaxChunk = 100

// Encode writes the chunk as a message body.
func (c Chunk) Encode() (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode chunk: %w", err)
	}
	return string(body), nil
}

// ParseChunk reads a message body.
func ParseChunk(body string) (Chunk, error) {
	var c Chunk
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		return Chunk{}, fmt.Errorf("message is not a chunk: %w", err)
	}
	if c.At.IsZero() || len(c.Executions) == 0 || len(c.Executions) > MaxChunk {
		return Chunk{}, fmt.Errorf("message is not a chunk: an instant and 1 to %d executions are expected", MaxChunk)
	}
	return c, nil
}
