package sqsserver

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"
)

type sendInput struct {
	QueueURL string `json:"QueueUrl"`
	sendEntry
}

// sendEntry is a message to send, alone or in a batch.
type sendEntry struct {
	ID                      string `json:"Id"`
	MessageBody             string
	DelaySeconds            *int64
	MessageAttributes       map[string]attributeValue
	MessageSystemAttributes map[string]attributeValue
}

type sendResult struct {
	MessageID                    string `json:"MessageId"`
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
}

func (s *Server) sendMessage(r request, input sendInput) (any, error) {
	sent, err := s.send(r, input.QueueURL, []sendEntry{input.sendEntry})
	if err != nil {
		return nil, err
	}
	if sent[0].err != nil {
		return nil, sent[0].err
	}
	return sent[0].result, nil
}

type sendBatchInput struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []sendEntry
}

func (s *Server) sendMessageBatch(r request, input sendBatchInput) (any, error) {
	if err := checkBatch(input.Entries, func(e sendEntry) string { return e.ID }); err != nil {
		return nil, err
	}
	total := 0
	for _, entry := range input.Entries {
		total += entry.size()
		if entry.MessageBody == "" {
			return nil, missingParameter("MessageBody")
		}
	}
	if total > maxMessageBytes {
		return nil, batchTooLong(total)
	}
	sent, err := s.send(r, input.QueueURL, input.Entries)
	if err != nil {
		return nil, err
	}
	var result batchResult
	for i, entry := range input.Entries {
		if sent[i].err != nil {
			result.fail(entry.ID, sent[i].err)
			continue
		}
		result.Successful = append(result.Successful, batchSuccess{
			ID: entry.ID, MessageID: sent[i].result.MessageID,
			MD5OfMessageBody:             sent[i].result.MD5OfMessageBody,
			MD5OfMessageAttributes:       sent[i].result.MD5OfMessageAttributes,
			MD5OfMessageSystemAttributes: sent[i].result.MD5OfMessageSystemAttributes,
		})
	}
	return result, nil
}

// outcome is what became of one message: err, or else result.
type outcome struct {
	result sendResult
	err    *Error
}

// send checks the messages and queues the good ones. Whatever can be done
// without the lock is: hooks may block, and checksums cost time.
func (s *Server) send(r request, url string, entries []sendEntry) ([]outcome, error) {
	s.mu.Lock()
	q, err := s.find(url)
	var rules settings
	if err == nil {
		rules = q.settings
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}

	outcomes := make([]outcome, len(entries))
	var accepted []arrival
	for i, entry := range entries {
		if outcomes[i].err = entry.check(rules); outcomes[i].err != nil {
			continue
		}
		fate := r.hooks.fate(q.name, entry.MessageBody)
		if outcomes[i].err = fate.Reject; outcomes[i].err != nil {
			continue
		}
		m := &message{
			id: newMessageID(), body: entry.MessageBody, bodyMD5: checksum(entry.MessageBody),
			attributes: entry.MessageAttributes, systemAttributes: entry.MessageSystemAttributes,
		}
		outcomes[i].result = sendResult{
			MessageID:                    m.id,
			MD5OfMessageBody:             m.bodyMD5,
			MD5OfMessageAttributes:       attributesChecksum(entry.MessageAttributes),
			MD5OfMessageSystemAttributes: attributesChecksum(entry.MessageSystemAttributes),
		}
		if !fate.Drop {
			accepted = append(accepted, arrival{message: m, delay: entry.delay(rules) + fate.Late, times: 1 + fate.Copies})
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for _, a := range accepted {
		a.message.sentAt = now
		for range a.times {
			q.send(a.message, a.delay, now)
		}
	}
	q.serve(now)
	return outcomes, nil
}

// arrival is a message on its way into the queue.
type arrival struct {
	message *message
	delay   time.Duration
	times   int
}

// delay is the entry's own, or else the queue's.
func (e sendEntry) delay(rules settings) time.Duration {
	if e.DelaySeconds == nil {
		return rules.delay
	}
	return time.Duration(*e.DelaySeconds) * time.Second
}

// forbidden tells the characters that a body may not hold.
func forbidden(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return false
	default:
		return r < ' ' || r == 0xFFFE || r == 0xFFFF
	}
}

func (e sendEntry) check(rules settings) *Error {
	if e.MessageBody == "" {
		return missingParameter("MessageBody")
	}
	if e.size() > rules.maxMessageSize {
		return invalidParameter(fmt.Sprintf("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", rules.maxMessageSize))
	}
	if strings.ContainsFunc(e.MessageBody, forbidden) {
		return invalidContents()
	}
	if e.DelaySeconds != nil && (*e.DelaySeconds < 0 || *e.DelaySeconds > maxDelay) {
		return outOfRange("DelaySeconds", *e.DelaySeconds, 0, maxDelay)
	}
	if len(e.MessageAttributes) > 10 {
		return invalidParameter("A message has at most 10 attributes.")
	}
	for _, attributes := range []map[string]attributeValue{e.MessageAttributes, e.MessageSystemAttributes} {
		for name, value := range attributes {
			if err := value.check(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// size is what counts towards the limits: the body and the attributes.
func (e sendEntry) size() int {
	size := len(e.MessageBody)
	for name, value := range e.MessageAttributes {
		size += len(name) + value.size()
	}
	return size
}

var dataTypePattern = regexp.MustCompile(`^(String|Number|Binary)(\..+)?$`)

func (v attributeValue) check(name string) *Error {
	if !dataTypePattern.MatchString(v.DataType) {
		return invalidParameter(fmt.Sprintf("The type of message (system) attribute %q is invalid.", name))
	}
	if v.binary() == (v.StringValue != nil) || v.binary() == (len(v.BinaryValue) == 0) {
		return invalidParameter(fmt.Sprintf("The message (system) attribute %q must contain a value of its type.", name))
	}
	return nil
}

func newMessageID() string {
	var b [16]byte
	// Never fails: rand.Read ends the program when the system has no entropy.
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
