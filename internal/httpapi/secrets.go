package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/job"
)

// SecretView is a secret of the workspace as admins see it: never its value.
type SecretView struct {
	Name         string    `json:"name" doc:"Jobs write {{secret.NAME}} in url, headers and body." example:"BILLING_TOKEN"`
	AllowedHosts []string  `json:"allowedHosts" doc:"The hosts that it may be sent to: by https, on port 443 or the one that is named; in the clear where an entry begins with http://; *.example.com stands for all below it." example:"[\"api.example.com\"]"`
	UsedByJobs   int       `json:"usedByJobs" doc:"How many jobs name it." example:"3"`
	CreatedAt    Timestamp `json:"createdAt"`
	UpdatedAt    Timestamp `json:"updatedAt"`
}

func newSecretView(w job.WorkspaceSecret) SecretView {
	return SecretView{
		Name: w.Name, AllowedHosts: w.AllowedHosts, UsedByJobs: w.UsedByJobs,
		CreatedAt: Timestamp(w.CreatedAt), UpdatedAt: Timestamp(w.UpdatedAt),
	}
}

type secretListInput struct{ Paging }

func (s *server) listSecrets(ctx context.Context, in *secretListInput) (List[SecretView], error) {
	found, total, err := s.Secrets.ListSecrets(ctx, in.Offset(), in.Limit)
	if err != nil {
		return List[SecretView]{}, err
	}
	views := make([]SecretView, len(found))
	for i, w := range found {
		views[i] = newSecretView(w)
	}
	return List[SecretView]{Data: views, Meta: in.meta(int64(total))}, nil
}

// mayCreateSecret documents the other success: 201 where there was none of that
// name.
func mayCreateSecret(s *server) option {
	return func(o *routeOptions) {
		schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Success[SecretView]](), true, "")
		if o.op.Responses == nil {
			o.op.Responses = map[string]*huma.Response{}
		}
		o.op.Responses[strconv.Itoa(http.StatusCreated)] = &huma.Response{
			Description: "There was no secret of that name.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
		}
	}
}

// BySecretName is the name of a secret in a path.
type BySecretName struct {
	Name string `path:"name" pattern:"^[A-Za-z_][A-Za-z0-9_]{0,63}$" patternDescription:"letters, digits and _, at most 64 and no digit first" example:"BILLING_TOKEN"`
}

func (s *server) getSecret(ctx context.Context, in *BySecretName) (One[SecretView], error) {
	found, err := s.Secrets.GetSecret(ctx, in.Name)
	return One[SecretView]{Data: newSecretView(found)}, err
}

type putSecretInput struct {
	BySecretName
	Body putSecretBody
}

type putSecretBody struct {
	Value        string   `json:"value" minLength:"1" maxLength:"4096" pattern:"^[^\\x00]*$" patternDescription:"text without NUL characters" doc:"Can never be read again. A url gets it percent-encoded, a body JSON-escaped." example:"correct horse battery staple"`
	AllowedHosts []string `json:"allowedHosts" minItems:"1" maxItems:"50" doc:"Hosts that it may be sent to: example.com (https, port 443), example.com:8443, *.example.com for all below it, or http://example.com for plain HTTP. localhost and other loopback addresses may be called by either scheme, without a port on any. A call elsewhere is not made: it fails as blocked_secret." example:"[\"api.example.com\"]"`
}

func (in *putSecretInput) secret() job.WorkspaceSecret {
	return job.WorkspaceSecret{Name: in.Name, Value: in.Body.Value, AllowedHosts: in.Body.AllowedHosts}
}

// CheckRest finds the faults of the domain in a form that is at fault.
func (in *putSecretInput) CheckRest() error { return in.secret().Check() }

func (s *server) putSecret(ctx context.Context, in *putSecretInput) (One[SecretView], error) {
	stored, created, err := s.Secrets.Put(ctx, in.secret(), principal(ctx).User.ID)
	if err != nil {
		return One[SecretView]{}, err
	}
	if created {
		return One[SecretView]{
			Data: newSecretView(stored), Status: http.StatusCreated, Location: "/secrets/" + url.PathEscape(stored.Name),
			Message: "The value cannot be read again.",
		}, nil
	}
	return One[SecretView]{Data: newSecretView(stored), Message: "Calls from now on send the new value."}, nil
}

func (s *server) deleteSecret(ctx context.Context, in *BySecretName) (None, error) {
	err := s.Secrets.DeleteSecret(ctx, in.Name)
	return None{Message: "Jobs that name it fail from now on, and send nothing."}, err
}
