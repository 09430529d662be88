package sqsserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// The service's limits.
const (
	maxBatchEntries = 10
	maxMessageBytes = 1 << 20
	maxDelay        = 900
	maxVisibility   = 43_200
	maxWait         = 20
	maxInFlight     = 120_000
	purgeInterval   = 60 * time.Second
)

// numericAttributes are the settable attributes that are numbers, with their
// bounds and defaults.
var numericAttributes = map[string]struct{ low, high, initial int64 }{
	"DelaySeconds":                  {0, maxDelay, 0},
	"MaximumMessageSize":            {1024, maxMessageBytes, maxMessageBytes},
	"MessageRetentionPeriod":        {60, 1_209_600, 345_600},
	"ReceiveMessageWaitTimeSeconds": {0, maxWait, 0},
	"VisibilityTimeout":             {0, maxVisibility, 30},
}

// storedAttributes are settable, kept and given back, but mean nothing here.
var storedAttributes = map[string]bool{
	"Policy": true, "KmsMasterKeyId": true, "KmsDataKeyReusePeriodSeconds": true,
	"SqsManagedSseEnabled": true, "RedriveAllowPolicy": true,
}

// settings are a queue's attributes, as given and as understood.
type settings struct {
	attributes map[string]string

	delay, retention, wait, visibility time.Duration
	maxMessageSize                     int
	deadLetterQueue                    string // its name; empty for none
	maxReceiveCount                    int
}

// withAttributes returns the settings with some attributes changed. The caller
// holds s.mu.
func (s *Server) withAttributes(base map[string]string, changes map[string]string) (settings, error) {
	result := settings{attributes: maps.Clone(base)}
	if result.attributes == nil {
		result.attributes = map[string]string{"SqsManagedSseEnabled": "true"}
		for name, bounds := range numericAttributes {
			result.attributes[name] = strconv.FormatInt(bounds.initial, 10)
		}
	}
	for name, value := range changes {
		bounds, numeric := numericAttributes[name]
		switch {
		case numeric:
			number, err := strconv.ParseInt(value, 10, 64)
			if err != nil || number < bounds.low || number > bounds.high {
				return settings{}, invalidAttributeValue(name)
			}
			result.attributes[name] = strconv.FormatInt(number, 10)
		case name == "RedrivePolicy" && value == "":
			delete(result.attributes, name)
		case name == "RedrivePolicy" || storedAttributes[name]:
			result.attributes[name] = value
		default:
			return settings{}, unknownAttribute(name)
		}
	}

	result.delay = result.seconds("DelaySeconds")
	result.retention = result.seconds("MessageRetentionPeriod")
	result.wait = result.seconds("ReceiveMessageWaitTimeSeconds")
	result.visibility = result.seconds("VisibilityTimeout")
	result.maxMessageSize = int(result.seconds("MaximumMessageSize") / time.Second)
	if policy, ok := result.attributes["RedrivePolicy"]; ok {
		if err := s.readRedrivePolicy(&result, policy); err != nil {
			return settings{}, err
		}
	}
	return result, nil
}

// seconds reads an attribute that withAttributes has found to be a number.
func (s *settings) seconds(name string) time.Duration {
	number, err := strconv.ParseInt(s.attributes[name], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(number) * time.Second
}

func (s *Server) readRedrivePolicy(into *settings, policy string) error {
	refuse := func(reason string) error {
		return invalidParameter(fmt.Sprintf("Value %s for parameter RedrivePolicy is invalid. Reason: %s", policy, reason))
	}
	var parsed struct {
		DeadLetterTargetArn string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"` // a number, or a number in quotes
	}
	if err := json.Unmarshal([]byte(policy), &parsed); err != nil {
		return refuse("It is not a JSON object.")
	}
	count, err := strconv.Atoi(strings.Trim(string(parsed.MaxReceiveCount), `"`))
	if err != nil || count < 1 || count > 1000 {
		return refuse("maxReceiveCount must be between 1 and 1000.")
	}
	name, found := strings.CutPrefix(parsed.DeadLetterTargetArn, s.QueueARN(""))
	if !found || s.queues[name] == nil {
		return refuse("The dead-letter target does not exist.")
	}
	into.deadLetterQueue, into.maxReceiveCount = name, count
	return nil
}
