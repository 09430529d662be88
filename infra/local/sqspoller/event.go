package sqspoller

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const eventSource = "aws:sqs"

// encodeEvent returns the JSON of the event that carries the messages.
func encodeEvent(messages []types.Message, queueARN, region string) ([]byte, error) {
	event := events.SQSEvent{Records: make([]events.SQSMessage, len(messages))}
	for i, message := range messages {
		attributes := make(map[string]events.SQSMessageAttribute, len(message.MessageAttributes))
		for name, value := range message.MessageAttributes {
			attributes[name] = events.SQSMessageAttribute{
				DataType: aws.ToString(value.DataType), StringValue: value.StringValue, BinaryValue: value.BinaryValue,
				StringListValues: []string{}, BinaryListValues: [][]byte{},
			}
		}
		event.Records[i] = events.SQSMessage{
			MessageId: aws.ToString(message.MessageId), ReceiptHandle: aws.ToString(message.ReceiptHandle),
			Body: aws.ToString(message.Body), Md5OfBody: aws.ToString(message.MD5OfBody),
			Md5OfMessageAttributes: aws.ToString(message.MD5OfMessageAttributes),
			Attributes:             message.Attributes, MessageAttributes: attributes,
			EventSource: eventSource, EventSourceARN: queueARN, AWSRegion: region,
		}
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encoding the event: %w", err)
	}
	return payload, nil
}

// failedMessages reads the function's answer. No answer, null, and an absent,
// null or empty list mean that all messages succeeded. Anything that cannot be
// understood, and an identifier that is missing, empty or of no message of the
// batch, mean that all of them failed: that is the error.
func failedMessages(response []byte, messages []types.Message) (map[string]bool, error) {
	if len(bytes.TrimSpace(response)) == 0 {
		return nil, nil
	}
	// Maps and not structs, for AWS minds the case of the names.
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(response, &answer); err != nil {
		return nil, fmt.Errorf("the function's response is no object: %w", err)
	}
	var list []map[string]any
	if raw, ok := answer["batchItemFailures"]; ok {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("the function's batchItemFailures: %w", err)
		}
	}
	known := make(map[string]bool, len(messages))
	for _, message := range messages {
		known[aws.ToString(message.MessageId)] = true
	}
	failed := make(map[string]bool, len(list))
	for _, item := range list {
		id, isText := item["itemIdentifier"].(string)
		if !isText || !known[id] {
			return nil, fmt.Errorf("the function reports the failure of %v, which is not in its batch", item["itemIdentifier"])
		}
		failed[id] = true
	}
	return failed, nil
}
