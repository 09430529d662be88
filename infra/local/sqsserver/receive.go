package sqsserver

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

type receiveInput struct {
	QueueURL                    string `json:"QueueUrl"`
	MaxNumberOfMessages         *int64
	VisibilityTimeout           *int64
	WaitTimeSeconds             *int64
	AttributeNames              []string // the older name of the next one
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
}

type receiveResult struct {
	Messages []receivedMessage `json:",omitempty"`
}

type receivedMessage struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string         `json:",omitempty"`
	MessageAttributes      map[string]attributeValue `json:",omitempty"`
	MD5OfMessageAttributes string                    `json:",omitempty"`
}

func (s *Server) receiveMessage(r request, input receiveInput) (any, error) {
	limit := int64(1)
	if input.MaxNumberOfMessages != nil {
		limit = *input.MaxNumberOfMessages
	}
	if limit < 1 || limit > maxBatchEntries {
		return nil, outOfRange("MaxNumberOfMessages", limit, 1, maxBatchEntries)
	}
	if err := checkRange("WaitTimeSeconds", input.WaitTimeSeconds, maxWait); err != nil {
		return nil, err
	}
	if err := checkRange("VisibilityTimeout", input.VisibilityTimeout, maxVisibility); err != nil {
		return nil, err
	}

	s.mu.Lock()
	q, err := s.find(input.QueueURL)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	wait, visibility := q.wait, q.visibility
	if input.WaitTimeSeconds != nil {
		wait = time.Duration(*input.WaitTimeSeconds) * time.Second
	}
	if input.VisibilityTimeout != nil {
		visibility = time.Duration(*input.VisibilityTimeout) * time.Second
	}
	now := s.clock.Now()
	q.settle(now)
	if wait == 0 && q.counts[inFlight] >= maxInFlight {
		s.mu.Unlock()
		return nil, overLimit()
	}
	deliveries := q.receive(int(limit), visibility, now)
	if len(deliveries) > 0 || wait == 0 {
		q.setAlarm(now)
		s.mu.Unlock()
		return s.received(r, q, deliveries, input), nil
	}
	p := &poll{limit: int(limit), visibility: visibility, deliveries: make(chan []delivery, 1)}
	q.join(p, now)
	s.mu.Unlock()
	return s.received(r, q, s.await(r, q, p, wait), input), nil
}

// await returns what the poll is served with: nothing, when the wait is over
// or the receiver is gone first.
func (s *Server) await(r request, q *queue, p *poll, wait time.Duration) []delivery {
	over := make(chan struct{})
	stop := s.clock.AfterFunc(wait, func() { close(over) })
	defer stop()
	select {
	case deliveries := <-p.deliveries:
		return deliveries
	case <-over:
	case <-r.ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.element == nil { // served in the meantime
		return <-p.deliveries
	}
	q.leave(p)
	q.setAlarm(s.clock.Now())
	return nil
}

// received encodes deliveries, or takes them back when the receiver is gone:
// nobody else could have them until their visibility timeout.
func (s *Server) received(r request, q *queue, deliveries []delivery, input receiveInput) any {
	if r.ctx.Err() != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		q.giveBack(deliveries, s.clock.Now())
		return receiveResult{}
	}
	var result receiveResult
	names := append(slices.Clone(input.AttributeNames), input.MessageSystemAttributeNames...)
	for _, d := range deliveries {
		attributes := chosenAttributes(d.attributes, input.MessageAttributeNames)
		result.Messages = append(result.Messages, receivedMessage{
			MessageID: d.id, ReceiptHandle: encodeReceipt(q.name, d.entry.number, d.receipt),
			MD5OfBody: d.bodyMD5, Body: d.body,
			Attributes:        d.systemAttributeValues(names),
			MessageAttributes: attributes, MD5OfMessageAttributes: attributesChecksum(attributes),
		})
	}
	return result
}

// chosenAttributes are those that the receiver asked for, by name, by "All",
// or by a prefix such as "trace.*".
func chosenAttributes(all map[string]attributeValue, names []string) map[string]attributeValue {
	chosen := make(map[string]attributeValue)
	for name, value := range all {
		if slices.ContainsFunc(names, func(wanted string) bool {
			prefix, pattern := strings.CutSuffix(wanted, ".*")
			return wanted == "All" || wanted == name || wanted == ".*" || pattern && strings.HasPrefix(name, prefix)
		}) {
			chosen[name] = value
		}
	}
	return chosen
}

func (d delivery) systemAttributeValues(names []string) map[string]string {
	if len(names) == 0 {
		return nil
	}
	all := map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(d.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(d.firstReceivedAt.UnixMilli(), 10),
		"SentTimestamp":                    strconv.FormatInt(d.sentAt.UnixMilli(), 10),
		"SenderId":                         Account,
	}
	if d.sourceARN != "" {
		all["DeadLetterQueueSourceArn"] = d.sourceARN
	}
	if trace, ok := d.systemAttributes["AWSTraceHeader"]; ok && trace.StringValue != nil {
		all["AWSTraceHeader"] = *trace.StringValue
	}
	if slices.Contains(names, "All") {
		return all
	}
	chosen := make(map[string]string)
	for _, name := range names {
		if value, ok := all[name]; ok {
			chosen[name] = value
		}
	}
	return chosen
}

func checkRange(name string, value *int64, high int64) error {
	if value != nil && (*value < 0 || *value > high) {
		return outOfRange(name, *value, 0, high)
	}
	return nil
}
