package sqsserver

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// encodeReceipt makes a receipt handle: opaque to clients, and different for
// every receive of a message.
func encodeReceipt(queue string, number, receipt uint64) string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s", number, receipt, queue))
}

// claimed returns the entry that the handle was given out for, nil when it is
// gone or has been received again since. The caller holds the server's mutex.
func (q *queue) claimed(handle string) (*entry, *Error) {
	if handle == "" {
		return nil, missingParameter("ReceiptHandle")
	}
	decoded, err := base64.URLEncoding.DecodeString(handle)
	if err != nil {
		return nil, invalidHandle()
	}
	parts := strings.Split(string(decoded), " ")
	if len(parts) != 3 || parts[2] != q.name {
		return nil, invalidHandle()
	}
	number, numberErr := strconv.ParseUint(parts[0], 10, 64)
	receipt, receiptErr := strconv.ParseUint(parts[1], 10, 64)
	if numberErr != nil || receiptErr != nil {
		return nil, invalidHandle()
	}
	e, ok := q.entries[number]
	if !ok || e.receipt != receipt {
		return nil, nil
	}
	return e, nil
}

type deleteInput struct {
	QueueURL string `json:"QueueUrl"`
	receiptEntry
}

// receiptEntry names a received message, alone or in a batch.
type receiptEntry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout *int64
}

func (s *Server) deleteMessage(r request, input deleteInput) (any, error) {
	return s.changeOne(r, input, (*queue).deleteClaimed)
}

func (s *Server) changeVisibility(r request, input deleteInput) (any, error) {
	return s.changeOne(r, input, (*queue).changeClaimed)
}

func (s *Server) changeOne(_ request, input deleteInput, change func(*queue, receiptEntry, time.Time) *Error) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(input.QueueURL)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	q.settle(now)
	if refusal := change(q, input.receiptEntry, now); refusal != nil {
		return nil, refusal
	}
	q.serve(now)
	return nil, nil
}

type receiptBatchInput struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []receiptEntry
}

func (s *Server) deleteMessageBatch(r request, input receiptBatchInput) (any, error) {
	return s.changeBatch(r, input, (*queue).deleteClaimed)
}

func (s *Server) changeVisibilityBatch(r request, input receiptBatchInput) (any, error) {
	return s.changeBatch(r, input, (*queue).changeClaimed)
}

func (s *Server) changeBatch(_ request, input receiptBatchInput, change func(*queue, receiptEntry, time.Time) *Error) (any, error) {
	if err := checkBatch(input.Entries, func(e receiptEntry) string { return e.ID }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(input.QueueURL)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	q.settle(now)
	var result batchResult
	for _, entry := range input.Entries {
		if refusal := change(q, entry, now); refusal != nil {
			result.fail(entry.ID, refusal)
			continue
		}
		result.Successful = append(result.Successful, batchSuccess{ID: entry.ID})
	}
	q.serve(now)
	return result, nil
}

// deleteClaimed forgets a message. A receipt that is no longer the message's
// last deletes nothing, and that is no error.
func (q *queue) deleteClaimed(entry receiptEntry, _ time.Time) *Error {
	e, err := q.claimed(entry.ReceiptHandle)
	if err != nil {
		return err
	}
	if e != nil {
		q.remove(e)
	}
	return nil
}

// changeClaimed hides a message in flight for another while, from now on.
func (q *queue) changeClaimed(entry receiptEntry, now time.Time) *Error {
	if entry.VisibilityTimeout == nil {
		return missingParameter("VisibilityTimeout")
	}
	seconds := *entry.VisibilityTimeout
	if seconds < 0 || seconds > maxVisibility {
		return outOfRange("VisibilityTimeout", seconds, 0, maxVisibility)
	}
	e, err := q.claimed(entry.ReceiptHandle)
	if err != nil {
		return err
	}
	if e == nil {
		return invalidParameter("The message does not exist or is not available for a change of its visibility timeout.")
	}
	if e.state != inFlight {
		return notInFlight()
	}
	until := now.Add(time.Duration(seconds) * time.Second)
	if until.Sub(e.receivedAt) > maxVisibility*time.Second {
		return invalidParameter(fmt.Sprintf("The total visibility timeout is beyond the limit of %d seconds.", maxVisibility))
	}
	q.take(e)
	q.hide(e, inFlight, until)
	return nil
}
