package app

import (
	"encoding/json"
	"testing"
)

func TestTickEvents(t *testing.T) {
	t.Parallel()
	for text, resend := range map[string]bool{
		`{}`: false, `null`: false, `[]`: false, `"now"`: false, `7`: false,
		`{"version":"0","source":"aws.scheduler","detail":{}}`: false,
		`{"resendWaiting":true}`:                               true,
	} {
		var event TickEvent
		if err := json.Unmarshal([]byte(text), &event); err != nil || event.ResendWaiting != resend {
			t.Errorf("%s: %+v, %v", text, event, err)
		}
	}
	// A person's slip is not passed over.
	if json.Unmarshal([]byte(`{"resendWaiting":"yes"}`), new(TickEvent)) == nil {
		t.Error("a text was taken for a truth value")
	}
}
