package executor_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

func signedBy(keys ...job.SigningKey) func(*executor.Work) {
	return func(w *executor.Work) { w.SigningKeys = keys }
}

// verifies holds a request against a key by a published library, as a target
// would.
func verifies(t *testing.T, request sent, key []byte) bool {
	t.Helper()
	library, err := standardwebhooks.NewWebhook("whsec_" + base64.StdEncoding.EncodeToString(key))
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	for name, value := range request.header {
		header.Set(name, value)
	}
	return library.Verify([]byte(request.body), header) == nil
}

func TestRequestsAreSigned(t *testing.T) {
	t.Parallel()
	present, previous, gone, foreign := []byte("the present key"), []byte("the key before"), []byte("the one before that"), []byte("another's key")
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	keys := signedBy(job.SigningKey{Key: present}, job.SigningKey{Key: previous, Until: &soon}, job.SigningKey{Key: gone, Until: &past})
	for name, change := range map[string][]func(*executor.Work){
		"an object":       {method("POST"), body("{ \"a\" : \"é\" }")},
		"a text":          {method("POST"), body(`"plain text"`)},
		"an empty text":   {method("POST"), body(`""`)},
		"without a body":  {method("GET")},
		"a later attempt": {method("PUT"), body(`1`), func(w *executor.Work) { w.Attempt = 3 }},
	} {
		server := site(t, map[string]string{"/": fine})
		call(t, newClient(t), work("http://"+server.addr+"/", append(change, keys)...))
		request := parse(t, server.requests()[0])
		for key, want := range map[string]bool{string(present): true, string(previous): true, string(gone): false, string(foreign): false} {
			if got := verifies(t, request, []byte(key)); got != want {
				t.Errorf("%s, %s: verified %t, want %t\n%v", name, key, got, want, request.header)
			}
		}
		if request.header["webhook-id"] != request.header["x-cron-execution-id"] || strings.Count(request.header["webhook-signature"], "v1,") != 2 {
			t.Errorf("%s: %v", name, request.header)
		}
		request.body += " "
		if verifies(t, request, present) {
			t.Errorf("%s: another body is verified", name)
		}
	}
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Second)
	for _, keys := range [][]job.SigningKey{nil, {{Key: []byte("k"), Until: &past}}} {
		server := site(t, map[string]string{"/": fine})
		call(t, newClient(t), work("http://"+server.addr+"/", signedBy(keys...)))
		for name := range parse(t, server.requests()[0]).header {
			if strings.HasPrefix(name, "webhook-") {
				t.Errorf("the header %s is sent", name)
			}
		}
	}
}

// TestSignaturesAndRedirects signs what is sent on to the same host anew, and
// sends no signature to another.
func TestSignaturesAndRedirects(t *testing.T) {
	t.Parallel()
	key := []byte("the present key")
	for status, sameHost := range map[int]string{303: "", 307: `{"a":1}`} {
		server := site(t, map[string]string{"/": redirect(status, "/end"), "/end": fine})
		call(t, newClient(t), work("http://"+server.addr+"/", method("POST"), body(`{"a":1}`), redirects(1), signedBy(job.SigningKey{Key: key})))
		last := parse(t, server.requests()[1])
		if last.body != sameHost || !verifies(t, last, key) {
			t.Errorf("%d: %q is not verified: %v", status, last.body, last.header)
		}
		other := site(t, map[string]string{"/": fine})
		first := site(t, map[string]string{"/": redirect(status, "http://"+other.addr+"/")})
		call(t, newClient(t), work("http://"+first.addr+"/", method("POST"), body(`{"a":1}`), redirects(1), signedBy(job.SigningKey{Key: key})))
		for name := range parse(t, other.requests()[0]).header {
			if strings.HasPrefix(name, "webhook-") {
				t.Errorf("%d: %s is sent to another host", status, name)
			}
		}
	}
}
