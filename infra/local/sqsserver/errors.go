package sqsserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Error is an answer that refuses a call or a batch entry.
type Error struct {
	// Status is the HTTP status: 4xx blames the sender, 5xx the service.
	Status int
	// Type is the shape's name, such as "QueueDoesNotExist".
	Type string
	// Code is the name of the error in the older query protocol, which is
	// what clients and batch entries report; empty means the same as Type.
	Code string
	// Message is meant for people.
	Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.code() + ": " + e.Message }

func (e *Error) code() string {
	if e.Code != "" {
		return e.Code
	}
	return e.Type
}

func (e *Error) senderFault() bool { return e.Status < http.StatusInternalServerError }

func writeError(w http.ResponseWriter, err error) {
	var refusal *Error
	if !errors.As(err, &refusal) {
		refusal = internalError(err.Error())
	}
	fault := "Sender"
	if !refusal.senderFault() {
		fault = "Receiver"
	}
	w.Header().Set("X-Amzn-Query-Error", refusal.code()+";"+fault)
	body, err := json.Marshal(map[string]string{
		"__type":  "com.amazonaws.sqs#" + refusal.Type,
		"message": refusal.Message,
	})
	if err != nil {
		// A map of strings always encodes; the status still tells.
		body = nil
	}
	w.WriteHeader(refusal.Status)
	_, _ = w.Write(body)
}

func badRequest(shape, code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: shape, Code: code, Message: message}
}

// Throttled is the answer of a service that is asked too much.
func Throttled() *Error {
	return badRequest("RequestThrottled", "RequestThrottled", "Rate exceeded.")
}

// Unavailable is the answer of a service that is down.
func Unavailable() *Error {
	return &Error{Status: http.StatusServiceUnavailable, Type: "ServiceUnavailable", Message: "The service cannot answer now."}
}

func internalError(message string) *Error {
	return &Error{Status: http.StatusInternalServerError, Type: "InternalError", Message: message}
}

func malformed(message string) *Error {
	return badRequest("MalformedInput", "MalformedInput", message)
}

func invalidAction(message string) *Error {
	return badRequest("InvalidAction", "InvalidAction", message)
}

func missingParameter(name string) *Error {
	return badRequest("MissingParameter", "MissingParameter", fmt.Sprintf("The request must contain the parameter %s.", name))
}

func invalidParameter(message string) *Error {
	return badRequest("InvalidParameterValue", "InvalidParameterValue", message)
}

func outOfRange(name string, value, low, high int64) *Error {
	return invalidParameter(fmt.Sprintf("Value %d for parameter %s is invalid. Reason: Must be between %d and %d, if provided.", value, name, low, high))
}

func noSuchQueue() *Error {
	return badRequest("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
}

func queueNameExists(attribute string) *Error {
	return badRequest("QueueNameExists", "QueueAlreadyExists",
		fmt.Sprintf("A queue already exists with the same name and a different value for attribute %s.", attribute))
}

func purgeInProgress(queue string) *Error {
	return &Error{
		Status: http.StatusForbidden, Type: "PurgeQueueInProgress", Code: "AWS.SimpleQueueService.PurgeQueueInProgress",
		Message: fmt.Sprintf("Only one purge of %s is allowed every 60 seconds.", queue),
	}
}

func emptyBatch() *Error {
	return badRequest("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", "A batch needs at least one entry.")
}

func tooManyEntries(count int) *Error {
	return badRequest("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
		fmt.Sprintf("A batch holds at most %d entries, not %d.", maxBatchEntries, count))
}

func repeatedEntry(id string) *Error {
	return badRequest("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", fmt.Sprintf("Id %s repeated.", id))
}

func invalidEntryID() *Error {
	return badRequest("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId",
		"An entry's id consists of 1 to 80 letters, digits, hyphens and underscores.")
}

func batchTooLong(size int) *Error {
	return badRequest("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong",
		fmt.Sprintf("A batch is at most %d bytes long, not %d.", maxMessageBytes, size))
}

func invalidContents() *Error {
	return badRequest("InvalidMessageContents", "InvalidMessageContents", "The body holds characters outside the allowed set.")
}

func invalidHandle() *Error {
	return &Error{
		Status: http.StatusNotFound, Type: "ReceiptHandleIsInvalid", Code: "ReceiptHandleIsInvalid",
		Message: "The receipt handle is not a valid one of this queue.",
	}
}

func notInFlight() *Error {
	return badRequest("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "The message is not in flight.")
}

func overLimit() *Error {
	return &Error{
		Status: http.StatusForbidden, Type: "OverLimit", Code: "OverLimit",
		Message: fmt.Sprintf("At most %d messages of a queue can be in flight.", maxInFlight),
	}
}

func unknownAttribute(name string) *Error {
	return badRequest("InvalidAttributeName", "InvalidAttributeName", fmt.Sprintf("Unknown Attribute %s.", name))
}

func invalidAttributeValue(name string) *Error {
	return badRequest("InvalidAttributeValue", "InvalidAttributeValue", fmt.Sprintf("Invalid value for the parameter %s.", name))
}
