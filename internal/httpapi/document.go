package httpapi

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/account"
)

// documentation writes into the document what a route can answer, as far as
// its kind tells. 422 is not among it: what is invalid is 400.
type documentation struct {
	op        *huma.Operation
	registry  huma.Registry
	needs     account.Role
	scope     account.Scope
	input     reflect.Type
	success   reflect.Type
	conflicts bool
	text      string // the media type that the answer is had in too; "": JSON alone
	// revalidates says that answers other than lists bear a weak ETag too.
	revalidates bool
	// media is what the answer is instead of JSON.
	media string
}

func (d documentation) write() {
	if d.op.Responses == nil {
		d.op.Responses = map[string]*huma.Response{}
	}
	if d.needs != public {
		d.op.Security = []map[string][]string{{"bearer": {}}}
		if d.scope != signedIn {
			d.op.Security = append(d.op.Security, map[string][]string{"apiToken": {string(d.scope)}})
		}
	}
	if d.op.Security == nil { // said, lest it look forgotten
		d.op.Security = []map[string][]string{}
	}
	d.op.Responses[strconv.Itoa(d.op.DefaultStatus)] = &huma.Response{
		Description: http.StatusText(d.op.DefaultStatus), Content: d.content(d.success),
	}
	if d.media != "" {
		d.op.Responses[strconv.Itoa(d.op.DefaultStatus)].Content = map[string]*huma.MediaType{d.media: {Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	if d.has("Ticket") {
		d.op.Security = append(d.op.Security, map[string][]string{"ticket": {}})
	}
	if d.text != "" {
		d.op.Responses[strconv.Itoa(d.op.DefaultStatus)].Content[d.text] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	for _, status := range d.failures() {
		d.op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status), Content: d.content(reflect.TypeFor[ErrorEnvelope]()),
		}
	}
	if d.weaklyTagged() {
		d.op.Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{Description: "The client has this as it is."}
		d.op.Parameters = append(d.op.Parameters, &huma.Param{
			Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(8000)},
			Description: "The ETag of what the client has; 304 where it is still the same.",
		})
	}
	for status, response := range d.op.Responses {
		response.Headers = d.headers(status)
	}
}

func (d documentation) content(t reflect.Type) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: d.registry.Schema(t, true, "")}}
}

func (d documentation) has(field string) bool {
	_, ok := d.input.FieldByName(field)
	return ok
}

// weaklyTagged reports whether answers bear a weak ETag.
func (d documentation) weaklyTagged() bool {
	_, list := d.success.FieldByName("Meta")
	return list || d.revalidates
}

// failures are the statuses of the errors.
func (d documentation) failures() []int {
	failures := []int{http.StatusBadRequest, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if !exempt(d.op.Path) {
		failures = append(failures, http.StatusTooManyRequests)
	}
	if d.needs != public || d.op.Tags[0] == "auth" {
		failures = append(failures, http.StatusUnauthorized)
	}
	// A token may lack the scope, whatever the role; whoever has no account may
	// not be allowed to make one.
	if d.needs != public || d.op.DefaultStatus == http.StatusCreated {
		failures = append(failures, http.StatusForbidden)
	}
	if strings.Contains(d.op.Path, "{") {
		failures = append(failures, http.StatusNotFound)
	}
	if d.op.Method != http.MethodGet && d.conflicts {
		failures = append(failures, http.StatusConflict)
	}
	if d.has("IfMatch") {
		failures = append(failures, http.StatusPreconditionFailed)
	}
	if d.op.Method != http.MethodGet {
		failures = append(failures, http.StatusRequestEntityTooLarge)
	}
	if d.has("Body") || d.op.RequestBody != nil {
		failures = append(failures, http.StatusUnsupportedMediaType)
	}
	return failures
}

// versioned are the answers that bear the version of what they show.
var versioned = map[reflect.Type]bool{
	reflect.TypeFor[Success[userView]]():       true,
	reflect.TypeFor[Success[CategoryItem]]():   true,
	reflect.TypeFor[Success[categoryDetail]](): true,
	reflect.TypeFor[Success[jobView]]():        true,
}

// headers are those of an answer with the status.
func (d documentation) headers(status string) map[string]*huma.Param {
	headers := map[string]*huma.Param{"X-Request-Id": textHeader("Names the request in the logs; the client's own where it sent one.")}
	if !exempt(d.op.Path) {
		headers["RateLimit-Limit"] = numberHeader("How many requests the window takes.")
		headers["RateLimit-Remaining"] = numberHeader("How many it still takes.")
		headers["RateLimit-Reset"] = numberHeader("The seconds until the next window.")
	}
	succeeded := status[0] == '2'
	switch {
	case d.weaklyTagged() && (succeeded || status == "304"):
		headers["ETag"] = textHeader("Weak; for If-None-Match.")
	case versioned[d.success] && succeeded:
		headers["ETag"] = textHeader("The version; for If-Match.")
	}
	if succeeded && d.has("IdempotencyKey") {
		headers["Idempotent-Replayed"] = textHeader("true where this is the answer to an earlier request with the same key.")
	}
	switch status {
	case "201":
		headers["Location"] = textHeader("The path of what was created.")
	case "202":
		headers["Location"] = textHeader("Where the outcome will be.")
	case "401":
		headers["WWW-Authenticate"] = textHeader("Bearer")
	case "429", "503":
		headers["Retry-After"] = numberHeader("The seconds to wait.")
	}
	return headers
}

func textHeader(description string) *huma.Param {
	return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
}

func numberHeader(description string) *huma.Param {
	return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeInteger}}
}
