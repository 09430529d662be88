package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// How many bytes a request body may have. What strangers may send is no more
// than what the largest sound one needs, a secret of 4,096 characters, each of
// them escaped.
const (
	defaultMaxBody = 64 << 10
	maxJobBody     = 1 << 20
)

// intake is a request as it was strictly read: every fault of its path, query,
// headers and body, and what is left when the faulty parts are taken out.
type intake struct {
	params   map[string]string // "query.limit" → value; sound ones alone
	body     []byte
	bodyLost bool // the body as a whole could not be read
	// raw says that body is as it was sent, of the type media; nothing of it has
	// been checked but that it is UTF-8.
	raw    bool
	media  string
	faults faultList
}

type intakeKey struct{}

func intakeOf(ctx context.Context) *intake {
	in, _ := ctx.Value(intakeKey{}).(*intake)
	return in
}

// readStrictly is the middleware of an operation that runs before huma binds.
// Faults of the input are kept for the handler, which may find more; a body
// that is too large, or no JSON by its type, ends the request here.
func (s *server) readStrictly(hc huma.Context, next func(huma.Context), takesBody bool, o routeOptions) {
	r, w := humachi.Unwrap(hc)
	op := hc.Operation()
	in := &intake{params: map[string]string{}}
	in.readParams(op, hc, r)
	var err error
	switch {
	case o.raw:
		err = in.readRaw(op, w, r, o.maxBody)
	case takesBody:
		err = in.readBody(op, s.validator(&in.faults), w, r, o.maxBody)
	case op.Method != http.MethodGet:
		err = in.readNothing(s.validator(&in.faults), w, r, o.maxBody)
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	next(&soundContext{humaContext: hc, in: in})
}

// readParams checks what the operation documents and refuses the rest. A header
// that was sent several times is one, joined by commas, as API Gateway hands it
// over.
func (in *intake) readParams(op *huma.Operation, hc huma.Context, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		in.faults.add("", "The query string is malformed.")
	}
	known := map[string]bool{}
	for _, p := range op.Parameters {
		switch p.In {
		case "path":
			in.param(p, hc.Param(p.Name))
		case "header":
			in.param(p, strings.Join(r.Header.Values(p.Name), ","))
		case "query":
			known[p.Name] = true
			switch values := query[p.Name]; len(values) {
			case 0:
				if p.Required {
					in.faults.add(p.Name, "is required")
				}
			case 1:
				in.param(p, values[0])
			default:
				in.faults.add(p.Name, "is given more than once")
			}
		}
	}
	unknown := []string{}
	for name := range query {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		in.faults.add(child("", strings.ToValidUTF8(name, "�")), "is not a parameter of this request")
	}
}

// param checks one parameter. An empty filter is no filter, as front ends send
// it; an empty number is a fault where the number has a default.
func (in *intake) param(p *huma.Param, value string) {
	if value == "" && p.In != "path" && p.Schema.Default == nil && p.Schema.MinLength == nil {
		return
	}
	if message := paramFault(p.Schema, value); message != "" {
		in.faults.add(p.Name, message)
		return
	}
	in.params[p.In+"."+p.Name] = plainForm(p.Schema, value)
}

func paramFault(s *huma.Schema, value string) string {
	if !utf8.ValidString(value) {
		return "is not valid UTF-8"
	}
	switch s.Type {
	case huma.TypeInteger:
		return integerFault(s, value)
	case huma.TypeBoolean:
		if value != "true" && value != "false" {
			return "must be true or false"
		}
	case huma.TypeString:
		return textFault(s, value)
	}
	return ""
}

// readBody reads and checks the JSON body. Its error ends the request; faults
// of the content are kept.
func (in *intake) readBody(op *huma.Operation, v validator, w http.ResponseWriter, r *http.Request, maxBody int64) error {
	src, err := readAll(w, r, maxBody)
	if err != nil {
		return err
	}
	if len(src) == 0 && !op.RequestBody.Required {
		return nil
	}
	media := op.RequestBody.Content[jsonType]
	if _, err := bodyType(r.Header, jsonType); err != nil && len(src) > 0 {
		return err
	}
	tree, fault := parseJSON(src)
	if fault != noFaults {
		in.bodyLost = true
		in.faults.add("", string(fault))
		return nil
	}
	before := len(in.faults)
	v.check(media.Schema, tree, "")
	switch {
	case len(in.faults) == before && !v.restated:
		in.body = src
	case tree.faulty:
		in.bodyLost = true
	default:
		var sound bytes.Buffer
		tree.sound(&sound)
		in.body = sound.Bytes()
	}
	return nil
}

// readAll reads a body of at most so many bytes.
func readAll(w http.ResponseWriter, r *http.Request, maxBody int64) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errBodyTooLarge
	}
	src, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errBodyTooLarge
	case err != nil:
		return nil, apperr.Wrap(apperr.Invalid, err, "The body could not be read.")
	}
	return src, nil
}

// readRaw reads a body for a handler that takes it as it is.
func (in *intake) readRaw(op *huma.Operation, w http.ResponseWriter, r *http.Request, maxBody int64) error {
	src, err := readAll(w, r, maxBody)
	if err != nil {
		return err
	}
	in.raw, in.bodyLost = true, true
	if len(src) == 0 {
		in.faults.add("", "A body is required.")
		return nil
	}
	if in.media, err = bodyType(r.Header, slices.Sorted(maps.Keys(op.RequestBody.Content))...); err != nil {
		return err
	}
	if !utf8.Valid(src) {
		in.faults.add("", string(notUTF8))
		return nil
	}
	in.body, in.bodyLost = src, false
	return nil
}

// nothing is the body of requests that have nothing to say in one.
var nothing = &huma.RequestBody{
	Description: "Nothing, or an empty object.",
	Content: map[string]*huma.MediaType{"application/json": {
		Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false},
	}},
}

// readNothing refuses a body that says something where nobody listens: whoever
// sent it expects an effect. Some clients send an empty object of their own
// accord, and under any type.
func (in *intake) readNothing(v validator, w http.ResponseWriter, r *http.Request, maxBody int64) error {
	src, err := readAll(w, r, maxBody)
	if err != nil || len(src) == 0 {
		return err
	}
	tree, fault := parseJSON(src)
	if fault != noFaults {
		in.faults.add("", "must be empty, or an empty object")
		return nil
	}
	v.check(nothing.Content["application/json"].Schema, tree, "")
	return nil
}

const jsonType = "application/json"

var errBodyTooLarge = apperr.New(apperr.TooLarge, "The body is too large.")

// bodyType refuses a body that says it is something else than what is accepted.
// A body that says nothing is taken as the first of the types.
func bodyType(header http.Header, accepted ...string) (string, error) {
	refused := apperr.Newf(apperr.UnsupportedMedia, "The body must be sent as %s in UTF-8, without compression.", strings.Join(accepted, " or "))
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", refused
	}
	declared := header.Get("Content-Type")
	if declared == "" {
		return accepted[0], nil
	}
	media, params, err := mime.ParseMediaType(declared)
	if err != nil || !slices.Contains(accepted, media) {
		return "", refused
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", refused
	}
	return media, nil
}

// soundContext shows huma what is left of the request once the faulty parts
// are taken out.
type soundContext struct {
	humaContext
	in *intake
}

// humaContext renames huma.Context, whose method Context would otherwise clash
// with the embedded field.
type humaContext huma.Context

func (c *soundContext) Unwrap() huma.Context { return c.humaContext }

func (c *soundContext) Context() context.Context {
	return context.WithValue(c.humaContext.Context(), intakeKey{}, c.in)
}

func (c *soundContext) Param(name string) string { return c.in.params["path."+name] }
func (c *soundContext) Query(name string) string { return c.in.params["query."+name] }
func (c *soundContext) Header(name string) string {
	if value, ok := c.in.params["header."+name]; ok {
		return value
	}
	// huma picks the reader of the body by its type, which has been checked.
	if name == "Content-Type" {
		return "application/json"
	}
	return ""
}

// BodyReader gives null, which binds to nothing, for a body that was lost.
func (c *soundContext) BodyReader() io.Reader {
	if c.in.bodyLost {
		return strings.NewReader("null")
	}
	return bytes.NewReader(c.in.body)
}

// SetReadDeadline does nothing: the body has been read.
func (c *soundContext) SetReadDeadline(time.Time) error { return nil }
