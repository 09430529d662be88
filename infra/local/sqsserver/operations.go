package sqsserver

import (
	"context"
	"encoding/json"
	"regexp"
)

// request is what an operation gets to see.
type request struct {
	ctx   context.Context
	host  string // as the client named it
	body  []byte
	hooks *Hooks
}

type operation func(*Server, request) (any, error)

// operations is everything that the server can do.
var operations = map[string]operation{
	"ChangeMessageVisibility":      decoded((*Server).changeVisibility),
	"ChangeMessageVisibilityBatch": decoded((*Server).changeVisibilityBatch),
	"CreateQueue":                  decoded((*Server).createQueue),
	"DeleteMessage":                decoded((*Server).deleteMessage),
	"DeleteMessageBatch":           decoded((*Server).deleteMessageBatch),
	"GetQueueAttributes":           decoded((*Server).getQueueAttributes),
	"GetQueueUrl":                  decoded((*Server).getQueueURL),
	"ListQueues":                   decoded((*Server).listQueues),
	"PurgeQueue":                   decoded((*Server).purgeQueue),
	"ReceiveMessage":               decoded((*Server).receiveMessage),
	"SendMessage":                  decoded((*Server).sendMessage),
	"SendMessageBatch":             decoded((*Server).sendMessageBatch),
	"SetQueueAttributes":           decoded((*Server).setQueueAttributes),
}

// decoded makes an operation of a method that takes its input decoded.
func decoded[Input any](method func(*Server, request, Input) (any, error)) operation {
	return func(s *Server, r request) (any, error) {
		var input Input
		if err := json.Unmarshal(r.body, &input); err != nil {
			return nil, malformed(err.Error())
		}
		return method(s, r, input)
	}
}

// find returns the queue of that URL. The caller holds s.mu.
func (s *Server) find(url string) (*queue, error) {
	if url == "" {
		return nil, missingParameter("QueueUrl")
	}
	q, ok := s.queues[queueName(url)]
	if !ok {
		return nil, noSuchQueue()
	}
	return q, nil
}

// batchResult answers every batch operation.
type batchResult struct {
	Successful []batchSuccess
	Failed     []batchFailure
}

type batchSuccess struct {
	ID                           string `json:"Id"`
	MessageID                    string `json:"MessageId,omitempty"`
	MD5OfMessageBody             string `json:",omitempty"`
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
}

type batchFailure struct {
	ID          string `json:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

func (r *batchResult) fail(id string, err *Error) {
	r.Failed = append(r.Failed, batchFailure{ID: id, SenderFault: err.senderFault(), Code: err.code(), Message: err.Message})
}

var entryIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch applies the rules that hold for every batch.
func checkBatch[Entry any](entries []Entry, id func(Entry) string) error {
	if len(entries) == 0 {
		return emptyBatch()
	}
	if len(entries) > maxBatchEntries {
		return tooManyEntries(len(entries))
	}
	seen := make(map[string]bool, len(entries))
	for _, entry := range entries {
		name := id(entry)
		if !entryIDPattern.MatchString(name) {
			return invalidEntryID()
		}
		if seen[name] {
			return repeatedEntry(name)
		}
		seen[name] = true
	}
	return nil
}
