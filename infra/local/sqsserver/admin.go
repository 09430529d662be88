package sqsserver

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
}

type queueURLResult struct {
	QueueURL string `json:"QueueUrl"`
}

var queueNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (s *Server) createQueue(r request, input createQueueInput) (any, error) {
	if err := s.CreateQueue(input.QueueName, input.Attributes); err != nil {
		return nil, err
	}
	return queueURLResult{QueueURL: QueueURL("http://"+r.host, input.QueueName)}, nil
}

// CreateQueue makes a standard queue with the service's attributes (such as
// "VisibilityTimeout": "30"). Doing so twice is an error, of type *Error, only
// if an attribute differs; a dead-letter queue must exist before its source.
func (s *Server) CreateQueue(name string, attributes map[string]string) error {
	if name == "" {
		return missingParameter("QueueName")
	}
	if !queueNamePattern.MatchString(name) {
		return invalidParameter("A queue's name consists of 1 to 80 letters, digits, hyphens and underscores; there are no FIFO queues here.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if existing, ok := s.queues[name]; ok {
		for attribute, value := range attributes {
			if existing.attributes[attribute] != value {
				return queueNameExists(attribute)
			}
		}
		return nil
	}
	settings, err := s.withAttributes(nil, attributes)
	if err != nil {
		return err
	}
	s.queues[name] = newQueue(s, name, settings, s.clock.Now())
	return nil
}

type setAttributesInput struct {
	QueueURL   string `json:"QueueUrl"`
	Attributes map[string]string
}

func (s *Server) setQueueAttributes(_ request, input setAttributesInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(input.QueueURL)
	if err != nil {
		return nil, err
	}
	settings, err := s.withAttributes(q.attributes, input.Attributes)
	if err != nil {
		return nil, err
	}
	q.settings, q.modifiedAt = settings, s.clock.Now()
	return nil, nil
}

type getAttributesInput struct {
	QueueURL       string `json:"QueueUrl"`
	AttributeNames []string
}

type attributesResult struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Server) getQueueAttributes(_ request, input getAttributesInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(input.QueueURL)
	if err != nil {
		return nil, err
	}
	q.serve(s.clock.Now())
	all := maps.Clone(q.attributes)
	all["QueueArn"] = s.QueueARN(q.name)
	all["CreatedTimestamp"] = strconv.FormatInt(q.createdAt.Unix(), 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(q.modifiedAt.Unix(), 10)
	all["ApproximateNumberOfMessages"] = strconv.Itoa(q.counts[visible])
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(q.counts[inFlight])
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(q.counts[delayed])

	chosen := make(map[string]string)
	for _, name := range input.AttributeNames {
		value, set := all[name]
		switch {
		case name == "All":
			return attributesResult{Attributes: all}, nil
		case set:
			chosen[name] = value
		case name == "RedrivePolicy" || storedAttributes[name]: // known, but not set
		default:
			return nil, unknownAttribute(name)
		}
	}
	return attributesResult{Attributes: chosen}, nil
}

type getQueueURLInput struct{ QueueName string }

func (s *Server) getQueueURL(r request, input getQueueURLInput) (any, error) {
	if input.QueueName == "" {
		return nil, missingParameter("QueueName")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queues[input.QueueName] == nil {
		return nil, noSuchQueue()
	}
	return queueURLResult{QueueURL: QueueURL("http://"+r.host, input.QueueName)}, nil
}

type listQueuesInput struct {
	QueueNamePrefix string
	MaxResults      *int64
	NextToken       string // the last name of the page before
}

type listQueuesResult struct {
	QueueURLs []string `json:"QueueUrls,omitempty"`
	NextToken string   `json:",omitempty"`
}

func (s *Server) listQueues(r request, input listQueuesInput) (any, error) {
	limit := int64(1000)
	if input.MaxResults != nil {
		if limit = *input.MaxResults; limit < 1 || limit > 1000 {
			return nil, outOfRange("MaxResults", limit, 1, 1000)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var result listQueuesResult
	last := ""
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		if !strings.HasPrefix(name, input.QueueNamePrefix) || name <= input.NextToken {
			continue
		}
		if int64(len(result.QueueURLs)) == limit {
			if input.MaxResults != nil { // without it the service gives one page and no token
				result.NextToken = last
			}
			break
		}
		result.QueueURLs = append(result.QueueURLs, QueueURL("http://"+r.host, name))
		last = name
	}
	return result, nil
}

type purgeInput struct {
	QueueURL string `json:"QueueUrl"`
}

func (s *Server) purgeQueue(_ request, input purgeInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(input.QueueURL)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	if !q.purgedAt.IsZero() && now.Sub(q.purgedAt) < purgeInterval {
		return nil, purgeInProgress(q.name)
	}
	q.purge(now)
	return nil, nil
}
