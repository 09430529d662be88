package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cronjobs/cronjobs/internal/account"
)

// public marks a route that needs no token. The other marks are roles: who has
// the role, or one that includes it, may call the route.
const public account.Role = ""

// option changes an operation beyond what every route has.
type option func(*routeOptions)

type routeOptions struct {
	op      *huma.Operation
	maxBody int64 // bytes
	// raw leaves the body, of one of the media types that the operation names,
	// to the handler, which also answers for all faults of the input.
	raw bool
	// text is the media type that the answer is had in too; "": JSON alone.
	text string
	// media is what the answer is instead of JSON; "" where it is JSON.
	media string
	// neverConflicts keeps 409 out of the document.
	neverConflicts bool
	revalidates    bool
}

// takesJob is for routes that take a job, with all that it sends.
func takesJob(o *routeOptions) { o.maxBody = maxJobBody }

// creates makes 201 the documented success.
func creates(o *routeOptions) { o.op.DefaultStatus = http.StatusCreated }

// neverConflicts is for routes that change nothing that could be in the way.
func neverConflicts(o *routeOptions) { o.neverConflicts = true }

// revalidates documents that the answer bears a weak ETag.
func revalidates(o *routeOptions) { o.revalidates = true }

// takesToken documents that a public route looks at a bearer token too.
func takesToken(o *routeOptions) {
	o.op.Security = []map[string][]string{{"bearer": {}}, {}}
}

// explained says in the document what the summary leaves out.
func explained(text string) option {
	return func(o *routeOptions) { o.op.Description = text }
}

// checker is an input that can find faults beyond those of its form.
type checker interface{ Check() error }

// restChecker is an input whose service finds every fault of the domain by
// itself. It is asked only where the form is at fault, for then the service
// is not called.
type restChecker interface{ CheckRest() error }

// timedRestChecker is a restChecker some of whose rules turn on the time.
type timedRestChecker interface{ CheckRestAt(now time.Time) error }

// storedRestChecker is a restChecker some of whose rules turn on what is stored.
type storedRestChecker interface {
	CheckRestIn(ctx context.Context, s *server) error
}

// hidden is what huma knows of an output: we write it ourselves.
type hidden struct {
	Body func(huma.Context)
}

// route registers one operation: who may call it, how its input is read, and
// how what the handler returns is rendered.
func route[I any, A answer](s *server, method, path string, needs account.Role, tag, summary string,
	handle func(context.Context, *I) (A, error), options ...option,
) {
	var a A
	op := &huma.Operation{
		OperationID:        operationID(method, path),
		Method:             method,
		Path:               path,
		Summary:            summary,
		Tags:               []string{tag},
		DefaultStatus:      http.StatusOK,
		SkipValidateParams: true, // readStrictly has done it
		SkipValidateBody:   true,
		BodyReadTimeout:    -1,
		MaxBodyBytes:       -1,
	}
	o := routeOptions{op: op, maxBody: defaultMaxBody}
	for _, apply := range options {
		apply(&o)
	}
	documentation{
		op: op, registry: s.api.OpenAPI().Components.Schemas, needs: needs, scope: scopeOf(method, path),
		input: reflect.TypeFor[I](), success: a.documents(), conflicts: !o.neverConflicts, text: o.text, media: o.media, revalidates: o.revalidates,
	}.write()
	s.accesses = append(s.accesses, access{Method: method, Path: path, Needs: needs, Scope: scopeOf(method, path)})
	_, takesBody := reflect.TypeFor[I]().FieldByName("Body")
	takesBody = takesBody || o.raw

	// huma completes a copy of the operation (its parameters and body) as it
	// registers it, so the strict reader looks at what the adapter was given.
	op.Middlewares = huma.Middlewares{
		s.authorise(needs, scopeOf(method, path)),
		func(hc huma.Context, next func(huma.Context)) { s.readStrictly(hc, next, takesBody, o) },
	}
	huma.Register(s.api, *op, func(ctx context.Context, in *I) (*hidden, error) {
		out, err := respond(ctx, s, in, handle)
		if err != nil { // of a request that was at fault before anybody was charged
			if refused := infoOf(ctx).charge(ctx, 0); refused != nil {
				err = refused
			}
		}
		return &hidden{Body: func(hc huma.Context) {
			r, w := humachi.Unwrap(hc)
			if err != nil {
				s.writeError(w, r, err)
				return
			}
			writeEncoded(w, r, out)
		}}, nil
	})
	s.readTags(reflect.TypeFor[I]())
	documented := s.operation(method, path)
	switch {
	case !takesBody && method == http.MethodPost: // said after registration: huma would bind it
		documented.RequestBody = nothing
	case takesBody:
		documented.RequestBody.Description = "At most " + bytesInWords(o.maxBody) + "."
	}
}

// operation is what the document says of a route.
func (s *server) operation(method, path string) *huma.Operation {
	item := s.api.OpenAPI().Paths[path]
	switch method {
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	case http.MethodDelete:
		return item.Delete
	default:
		return item.Get
	}
}

func bytesInWords(n int64) string {
	if n >= 1<<20 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n>>10, 10) + " KiB"
}

// faultsOf is all faults of the input at once; nil where there are none.
func faultsOf[I any](ctx context.Context, s *server, in *I) error {
	taken := intakeOf(ctx)
	if taken.raw {
		return nil
	}
	if c, ok := any(in).(checker); ok && !taken.bodyLost {
		if err := taken.faults.merge(c.Check()); err != nil {
			return err
		}
	}
	if c, ok := any(in).(restChecker); ok && !taken.bodyLost && len(taken.faults) > 0 {
		if err := taken.faults.merge(c.CheckRest()); err != nil {
			return err
		}
	}
	if c, ok := any(in).(timedRestChecker); ok && !taken.bodyLost && len(taken.faults) > 0 {
		if err := taken.faults.merge(c.CheckRestAt(s.now())); err != nil {
			return err
		}
	}
	if c, ok := any(in).(storedRestChecker); ok && !taken.bodyLost && len(taken.faults) > 0 {
		if err := taken.faults.merge(c.CheckRestIn(ctx, s)); err != nil {
			return err
		}
	}
	return taken.faults.err()
}

// operationID names an operation by its method and path: get-jobs-by-id-history.
func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '-' })
	for i, w := range words {
		if strings.HasPrefix(w, "{") {
			words[i] = "by-" + strings.Trim(w, "{}")
		}
	}
	return strings.ToLower(method) + "-" + strings.Join(words, "-")
}

// readTags obeys our own tags of body fields. absent:"…" goes into the document
// as their default; huma's own default tag is not used in bodies, since it also
// replaces a zero that was sent on purpose. checked:"later" leaves what the
// document says of a text to the domain, which finds the faults of other fields
// in the same go.
func (s *server) readTags(input reflect.Type) {
	body, ok := input.FieldByName("Body")
	if !ok {
		return
	}
	t := body.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s.readTagsOf(t)
}

// readTagsOf is readTags for the type of a body, or of a part of one.
func (s *server) readTagsOf(t reflect.Type) {
	if t.Kind() != reflect.Struct || t.Name() == "" {
		return
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(t, false, "")
	for _, field := range reflect.VisibleFields(t) {
		text, ok := field.Tag.Lookup("absent")
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := schema.Properties[name]
		if property != nil && field.Tag.Get("checked") == "later" {
			s.checkedLater[property] = true
		}
		if !ok || property == nil {
			continue
		}
		switch property.Type {
		case huma.TypeInteger:
			number, err := strconv.Atoi(text)
			if err != nil {
				panic("httpapi: the absent tag of " + field.Name + " is no number")
			}
			property.Default = number
		case huma.TypeBoolean:
			property.Default = text == "true"
		default:
			property.Default = text
		}
	}
}
