package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// A thing has a field of every kind that the API knows.
type thingBody struct {
	Name     string            `json:"name" minLength:"2" maxLength:"5"`
	Color    string            `json:"color,omitempty" pattern:"^#[0-9A-Fa-f]{6}$" patternDescription:"a colour such as #1A2B3C"`
	Kind     Optional[string]  `json:"kind,omitzero" enum:"red,blue" absent:"red"`
	Parent   int64             `json:"parentId,omitempty" minimum:"1" maximum:"9007199254740991"`
	Retries  Optional[int]     `json:"retries,omitzero" minimum:"0" maximum:"5" absent:"3"`
	Enabled  bool              `json:"enabled,omitempty"`
	Headers  map[string]string `json:"headers,omitempty" nullable:"true" maxProperties:"3"`
	IDs      []int64           `json:"ids,omitempty" minItems:"1" maxItems:"3"`
	Note     Optional[string]  `json:"note,omitzero" nullable:"true"`
	Payload  json.RawMessage   `json:"payload,omitempty"`
	Inner    *innerBody        `json:"inner,omitempty"`
	Children []innerBody       `json:"children,omitempty"`
}

type innerBody struct {
	Name string `json:"name" maxLength:"5"`
}

type thingInput struct {
	ByID
	Paging
	Since string `query:"since" format:"date-time"`
	Flag  bool   `query:"flag"`
	Body  thingBody
}

func (in *thingInput) Check() error {
	var faults apperr.Faults
	if in.Body.Color == "#000000" {
		faults.Add("color", "must not be black")
	}
	if len(in.Body.Name) < 3 {
		faults.Add("name", "is too short for the domain")
	}
	return faults.Err()
}

type thingView struct {
	ID      int64           `json:"id"`
	Name    string          `json:"name"`
	Retries int             `json:"retries"`
	Note    string          `json:"note"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

func withThings(t *testing.T) http.Handler {
	t.Helper()
	tr := newTrial(t, nil)
	route(tr.server, "PUT", "/things/{id}", operator, "jobs", "Change a thing",
		func(_ context.Context, in *thingInput) (One[thingView], error) {
			note := "absent"
			switch {
			case in.Body.Note.Null:
				note = "null"
			case in.Body.Note.Set:
				note = in.Body.Note.Value
			}
			return One[thingView]{Data: thingView{
				ID: in.ID, Name: in.Body.Name, Retries: in.Body.Retries.Or(3), Note: note, Payload: in.Body.Payload,
			}}, nil
		}, takesJob)
	return tr.handler()
}

func TestHostileInput(t *testing.T) {
	t.Parallel()
	api := withThings(t)
	deep := strings.Repeat("[", 101) + strings.Repeat("]", 101)
	manyFields := make([]string, 300)
	for i := range manyFields {
		manyFields[i] = `"f` + strconv.Itoa(i) + `":1`
	}
	for name, tc := range map[string]struct {
		target, body string
		headers      []string
		status       int
		fields       []string
	}{
		"fine":                       {body: `{"name":"abc"}`, status: 200},
		"missing field, by its name": {body: `{}`, status: 400, fields: []string{"name"}},
		"unknown field":              {body: `{"name":"abc","nope":1}`, status: 400, fields: []string{"nope"}},
		"other casing is unknown":    {body: `{"name":"abc","NAME":"x"}`, status: 400, fields: []string{"NAME"}},
		"repeated name":              {body: `{"name":"abc","name":"abd"}`, status: 400, fields: []string{"name"}},
		"repeated name, escaped":     {body: `{"name":"abc","n\u0061me":"abd"}`, status: 400, fields: []string{"name"}},
		"repeated in a map":          {body: `{"name":"abc","headers":{"A":"1","A":"2"}}`, status: 400, fields: []string{"headers.A"}},
		"a dot in a name leaves later paths alone": {
			body: `{"name":"abc","headers":{"X.Foo[1]":1,"Y":2}}`, status: 400, fields: []string{"headers.X.Foo[1]", "headers.Y"},
		},
		"all faults at once": {
			target: "/things/0?limit=101&page=x&flag=yes&what=1", body: `{"color":"red","retries":9}`, status: 400,
			fields: []string{"id", "page", "limit", "flag", "what", "color", "retries", "name"},
		},
		"form and domain together":           {body: `{"name":"ab","color":"#000000","retries":-1}`, status: 400, fields: []string{"retries", "color", "name"}},
		"a fault of form hides the domain's": {body: `{"name":"a","color":"#000000"}`, status: 400, fields: []string{"name", "color"}},
		"null where it has no meaning":       {body: `{"name":null,"kind":null,"enabled":null,"parentId":null}`, status: 400, fields: []string{"name", "kind", "enabled", "parentId"}},
		"null where it has":                  {body: `{"name":"abc","headers":null,"note":null}`, status: 200},
		"number from a string":               {body: `{"name":"abc","parentId":"1","retries":"2"}`, status: 400, fields: []string{"parentId", "retries"}},
		"string from a number":               {body: `{"name":5}`, status: 400, fields: []string{"name"}},
		"boolean from a number":              {body: `{"name":"abc","enabled":1}`, status: 400, fields: []string{"enabled"}},
		"fraction":                           {body: `{"name":"abc","retries":1.5}`, status: 400, fields: []string{"retries"}},
		"exponent":                           {body: `{"name":"abc","retries":1e0}`, status: 400, fields: []string{"retries"}},
		"largest id":                         {body: `{"name":"abc","parentId":9007199254740991}`, status: 200},
		"an id too large":                    {body: `{"name":"abc","parentId":9007199254740992}`, status: 400, fields: []string{"parentId"}},
		"an id beyond 64 bits":               {body: `{"name":"abc","parentId":99999999999999999999}`, status: 400, fields: []string{"parentId"}},
		"length in code points":              {body: `{"name":"äöü€😀"}`, status: 200},
		"one code point too many":            {body: `{"name":"äöü€😀x"}`, status: 400, fields: []string{"name"}},
		"enum":                               {body: `{"name":"abc","kind":"green"}`, status: 400, fields: []string{"kind"}},
		"array item":                         {body: `{"name":"abc","ids":[1,"2",3]}`, status: 400, fields: []string{"ids[1]"}},
		"empty array":                        {body: `{"name":"abc","ids":[]}`, status: 400, fields: []string{"ids"}},
		"nested":                             {body: `{"name":"abc","inner":{"name":"longer"},"children":[{"name":"a"},{"nam":1}]}`, status: 400, fields: []string{"inner.name", "children[1].nam", "children[1].name"}},
		"body is an array":                   {body: `[]`, status: 400, fields: []string{""}},
		"body is null":                       {body: `null`, status: 400, fields: []string{""}},
		"body is a string":                   {body: `"x"`, status: 400, fields: []string{""}},
		"no body":                            {body: ``, status: 400, fields: []string{""}},
		"blank body":                         {body: `  `, status: 400, fields: []string{""}},
		"broken":                             {body: `{"name":"abc"`, status: 400, fields: []string{""}},
		"something after it":                 {body: `{"name":"abc"} {}`, status: 400, fields: []string{""}},
		"single quotes":                      {body: `{'name':'abc'}`, status: 400, fields: []string{""}},
		"NaN":                                {body: `{"name":"abc","retries":NaN}`, status: 400, fields: []string{""}},
		"byte order mark":                    {body: "\ufeff" + `{"name":"abc"}`, status: 400, fields: []string{""}},
		"invalid UTF-8":                      {body: "{\"name\":\"ab\xff\"}", status: 400, fields: []string{""}},
		"half a surrogate pair":              {body: `{"name":"ab\ud800"}`, status: 400, fields: []string{"name"}},
		"a real replacement character":       {body: `{"name":"ab\ufffd"}`, status: 200},
		"nested too deeply":                  {body: `{"name":"abc","payload":` + deep + `}`, status: 400, fields: []string{""}},
		"deep and endless":                   {body: strings.Repeat(`{"a":`, 200_000), status: 400, fields: []string{""}},
		"other content type":                 {body: `{"name":"abc"}`, headers: []string{"Content-Type", "text/plain"}, status: 415},
		"form":                               {body: `name=abc`, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415},
		"other charset":                      {body: `{"name":"abc"}`, headers: []string{"Content-Type", "application/json; charset=latin1"}, status: 415},
		"utf-8 charset":                      {body: `{"name":"abc"}`, headers: []string{"Content-Type", "application/json; charset=UTF-8"}, status: 200},
		"compressed":                         {body: `{"name":"abc"}`, headers: []string{"Content-Encoding", "gzip"}, status: 415},
		"exactly 1 MiB":                      {body: `{"name":"abc","payload":"` + strings.Repeat("x", 1<<20-27) + `"}`, status: 200},
		"one byte more":                      {body: `{"name":"abc","payload":"` + strings.Repeat("x", 1<<20-26) + `"}`, status: 413},
		"id 0":                               {target: "/things/0", body: `{"name":"abc"}`, status: 400, fields: []string{"id"}},
		"id negative":                        {target: "/things/-1", body: `{"name":"abc"}`, status: 400, fields: []string{"id"}},
		"id is text":                         {target: "/things/abc", body: `{"name":"abc"}`, status: 400, fields: []string{"id"}},
		"id with a sign":                     {target: "/things/+1", body: `{"name":"abc"}`, status: 400, fields: []string{"id"}},
		"id too large":                       {target: "/things/9007199254740992", body: `{"name":"abc"}`, status: 400, fields: []string{"id"}},
		"id beyond 64 bits":                  {target: "/things/99999999999999999999", body: `{"name":"abc"}`, status: 400, fields: []string{"id"}},
		"id escaped":                         {target: "/things/%31", body: `{"name":"abc"}`, status: 200},
		"id with a fraction":                 {target: "/things/1.0", body: `{"name":"abc"}`, status: 400, fields: []string{"id"}},
		"repeated parameter":                 {target: "/things/1?limit=1&limit=2", body: `{"name":"abc"}`, status: 400, fields: []string{"limit"}},
		"empty number":                       {target: "/things/1?page=", body: `{"name":"abc"}`, status: 400, fields: []string{"page"}},
		"empty filter":                       {target: "/things/1?since=", body: `{"name":"abc"}`, status: 200},
		"limit 0":                            {target: "/things/1?limit=0", body: `{"name":"abc"}`, status: 400, fields: []string{"limit"}},
		"page huge":                          {target: "/things/1?page=99999999999999999999", body: `{"name":"abc"}`, status: 400, fields: []string{"page"}},
		"time":                               {target: "/things/1?since=yesterday", body: `{"name":"abc"}`, status: 400, fields: []string{"since"}},
		"malformed escape":                   {target: "/things/1?limit=5&x=%zz", body: `{"name":"abc"}`, status: 400, fields: []string{""}},
		"time in small letters":              {target: "/things/1?since=2026-01-31t09:30:00.5z", body: `{"name":"abc"}`, status: 200},
		"time with an offset":                {target: "/things/1?since=2026-01-31T09:30:00%2B23:59", body: `{"name":"abc"}`, status: 200},
		"time with an offset of a day":       {target: "/things/1?since=2026-01-31T09:30:00%2B24:00", body: `{"name":"abc"}`, status: 400, fields: []string{"since"}},
		"time with one digit":                {target: "/things/1?since=2026-01-31T9:30:00Z", body: `{"name":"abc"}`, status: 400, fields: []string{"since"}},
		"time with a comma":                  {target: "/things/1?since=2026-01-31T09:30:00,5Z", body: `{"name":"abc"}`, status: 400, fields: []string{"since"}},
		"day that there is not":              {target: "/things/1?since=2026-02-30T09:30:00Z", body: `{"name":"abc"}`, status: 400, fields: []string{"since"}},
		"parameter that is no UTF-8":         {target: "/things/1?since=%ff", body: `{"name":"abc"}`, status: 400, fields: []string{"since"}},
		"faults are bounded": {body: `{` + strings.Join(manyFields, ",") + `}`, status: 400, fields: func() (f []string) {
			for i := range 100 {
				f = append(f, "f"+strconv.Itoa(i))
			}
			return f
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := tc.target
			if target == "" {
				target = "/things/1"
			}
			got := send(t, api, "PUT", target, tc.body, append([]string{"Authorization", as(account.Operator)}, tc.headers...)...)
			if got.StatusCode != tc.status {
				t.Fatalf("status = %d, want %d\n%s", got.StatusCode, tc.status, got.raw)
			}
			if diff := cmp.Diff(tc.fields, got.fields()); diff != "" {
				t.Errorf("fields (-want +got):\n%s\n%s", diff, got.raw)
			}
			if (got.StatusCode == 200) != (got.body["success"] == true) {
				t.Errorf("success = %v with status %d", got.body["success"], got.StatusCode)
			}
		})
	}
}

func TestFaultsTellWhatToDo(t *testing.T) {
	t.Parallel()
	api := withThings(t)
	for name, tc := range map[string]struct{ target, body, want string }{
		"a + that became a space": {"?since=2026-01-31T09:30:00+01:00", `{"name":"abc"}`, "%2B"},
		"a byte order mark":       {"", "\ufeff" + `{"name":"abc"}`, "byte order mark"},
	} {
		got := send(t, api, "PUT", "/things/1"+tc.target, tc.body, "Authorization", as(account.Operator))
		if got.StatusCode != 400 || !strings.Contains(got.raw, tc.want) {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.raw)
		}
	}
}

func TestValuesAreNeverEchoed(t *testing.T) {
	t.Parallel()
	api := withThings(t)
	const secret = "hunter2hunter2"
	for name, body := range map[string]string{
		"too long":    `{"name":"` + secret + `"}`,
		"wrong type":  `{"name":"abc","retries":"` + secret + `"}`,
		"not allowed": `{"name":"abc","kind":"` + secret + `"}`,
		"pattern":     `{"name":"abc","color":"` + secret + `"}`,
		"in a map":    `{"name":"abc","headers":{"A":["` + secret + `"]}}`,
		"whole body":  `"` + secret + `"`,
		"broken":      `{"name":"` + secret,
		"missing":     `{"note":"` + secret + `"}`,
	} {
		got := send(t, api, "PUT", "/things/1", body, "Authorization", as(account.Operator))
		if got.StatusCode != 400 || strings.Contains(got.raw, secret) {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.raw)
		}
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	api := withThings(t)
	for name, tc := range map[string]struct {
		body string
		want map[string]any
	}{
		"absent":           {`{"name":"abc"}`, map[string]any{"retries": 3.0, "note": "absent"}},
		"an explicit zero": {`{"name":"abc","retries":0}`, map[string]any{"retries": 0.0, "note": "absent"}},
		"null":             {`{"name":"abc","note":null}`, map[string]any{"retries": 3.0, "note": "null"}},
		"value":            {`{"name":"abc","note":""}`, map[string]any{"retries": 3.0, "note": ""}},
	} {
		got := send(t, api, "PUT", "/things/7", tc.body, "Authorization", as(account.Operator))
		tc.want["id"], tc.want["name"] = 7.0, "abc"
		if diff := cmp.Diff(tc.want, got.body["data"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", name, diff, got.raw)
		}
	}
}

func TestRawJSONKeepsItsBytes(t *testing.T) {
	t.Parallel()
	const payload = `{"b":1.0,"a":[1e2,"\u00e9<&>"],"a2":12345678901234567890}`
	got := send(t, withThings(t), "PUT", "/things/1", `{"name":"abc","payload":`+payload+`}`, "Authorization", as(account.Operator))
	if !strings.Contains(got.raw, `"payload":`+payload) {
		t.Errorf("the payload changed: %s", got.raw)
	}
}
