package system

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// echoPath is an address for trying jobs without the internet; it is not part
// of the API.
const echoPath = "/local/echo"

// echo answers what it was sent. Credentials are not repeated.
type echo struct{}

func (echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	headers := map[string]string{}
	for name, values := range r.Header {
		if name != "Authorization" && name != "Cookie" {
			headers[name] = strings.Join(values, ", ")
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "path": r.URL.Path, "headers": headers, "body": string(body),
		"receivedAt": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
	})
}
