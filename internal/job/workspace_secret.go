package job

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// WorkspaceSecret is a value that jobs name as {{secret.NAME}}. Whoever keeps
// jobs uses it without knowing it, and only towards its hosts.
type WorkspaceSecret struct {
	Name string
	// Value is empty in what a SecretStore reads for people.
	Value string
	// AllowedHosts are the hosts that the value may be sent to, by https:
	// "example.com", "example.com:8443", or "*.example.com" for all below it; in
	// the clear where the entry says so, "http://example.com". Without a port the
	// scheme's own is meant. This machine itself, "localhost" or "127.0.0.1", is
	// reached by either scheme, and without a port on any.
	AllowedHosts []string
	UsedByJobs   int // jobs not deleted that name it; filled by reads
	CreatedAt    time.Time
	UpdatedAt    time.Time
	UpdatedBy    int64
}

// Bounds of a secret of the workspace.
const (
	MaxSecretValue  = 4096 // characters
	MaxAllowedHosts = 50
)

// SecretStore keeps the workspace's secrets. Its errors are apperr's: NotFound
// for one that does not exist, Unavailable when the database or the key that
// seals is away.
type SecretStore interface {
	// PutSecret stores a secret, in the place of one of that name; created says
	// that there was none.
	PutSecret(ctx context.Context, secret WorkspaceSecret) (created bool, err error)
	// GetSecret reads a secret without its value.
	GetSecret(ctx context.Context, name string) (WorkspaceSecret, error)
	// ListSecrets reads a page of secrets by name, without their values, and
	// the number of all.
	ListSecrets(ctx context.Context, offset, limit int) ([]WorkspaceSecret, int, error)
	DeleteSecret(ctx context.Context, name string) error
}

// Secrets is what admins do with the workspace's secrets.
type Secrets struct {
	SecretStore
	now func() time.Time
}

// NewSecrets makes the service.
func NewSecrets(store SecretStore, now func() time.Time) *Secrets {
	return &Secrets{SecretStore: store, now: now}
}

// Put stores a secret under its name, and tells whether it is a new one. by is
// the user.
func (s *Secrets) Put(ctx context.Context, secret WorkspaceSecret, by int64) (stored WorkspaceSecret, created bool, err error) {
	if secret, err = secret.check(); err != nil {
		return WorkspaceSecret{}, false, err
	}
	secret.CreatedAt, secret.UpdatedAt, secret.UpdatedBy = s.now(), s.now(), by
	if created, err = s.PutSecret(ctx, secret); err != nil {
		return WorkspaceSecret{}, false, err
	}
	stored, err = s.GetSecret(ctx, secret.Name)
	return stored, created, err
}

// Check names the faults of a secret.
func (w WorkspaceSecret) Check() error {
	_, err := w.check()
	return err
}

func (w WorkspaceSecret) check() (WorkspaceSecret, error) {
	var f apperr.Faults
	if !isSecretName(w.Name) {
		f.Add("name", "must be of letters, digits and _, at most 64 and no digit first")
	}
	switch {
	case w.Value == "":
		f.Add("value", "must not be empty")
	case !utf8.ValidString(w.Value) || strings.ContainsRune(w.Value, 0):
		f.Add("value", "must be text without NUL characters")
	case utf8.RuneCountInString(w.Value) > MaxSecretValue:
		f.Addf("value", "must have at most %d characters", MaxSecretValue)
	case w.Value == Mask:
		f.Add("value", "is the mask that stands for a value; enter the value itself")
	case strings.Contains(w.Value, nameOpens):
		f.Add("value", "must not name another secret")
	}
	if n := len(w.AllowedHosts); n == 0 || n > MaxAllowedHosts {
		f.Addf("allowedHosts", "must have 1 to %d entries", MaxAllowedHosts)
		return w, f.Err()
	}
	hosts := make([]string, 0, len(w.AllowedHosts))
	for i, entry := range w.AllowedHosts {
		host, ok := allowedHost(entry)
		if !ok {
			f.Add(index("allowedHosts", i), "must be a host such as example.com, example.com:8443, *.example.com or http://example.com")
			continue
		}
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	w.AllowedHosts = slices.Compact(hosts)
	return w, f.Err()
}

// inTheClear begins an entry that allows plain HTTP.
const inTheClear = "http://"

// allowedHost is an entry in its one form.
func allowedHost(entry string) (string, bool) {
	scheme, host, named := strings.Cut(strings.TrimSpace(entry), "://")
	switch {
	case !named:
		scheme, host = "", scheme
	case strings.EqualFold(scheme, "http"):
		scheme = inTheClear
	case strings.EqualFold(scheme, "https"):
		scheme = "" // as without it
	default:
		return "", false
	}
	name, below := strings.CutPrefix(host, "*.")
	host, err := canonicalHost(name)
	if err != nil || strings.ContainsAny(host, "/?#") {
		return "", false
	}
	if !below {
		return scheme + host, true
	}
	bare, _, _ := strings.Cut(host, ":")
	_, notAnAddress := netip.ParseAddr(bare)
	if notAnAddress == nil || strings.HasPrefix(host, "[") || !strings.Contains(strings.TrimSuffix(bare, "."), ".") {
		return "", false // "*.com" would be everybody
	}
	return scheme + "*." + host, true
}

// HostAllowed reports whether a secret with these hosts may be sent to a URL.
func HostAllowed(allowed []string, target *url.URL) bool {
	name := strings.TrimSuffix(strings.ToLower(target.Hostname()), ".")
	for _, entry := range allowed {
		rest, plain := strings.CutPrefix(entry, inTheClear)
		rest, below := strings.CutPrefix(rest, "*.")
		pattern := &url.URL{Scheme: "https", Host: rest}
		if plain {
			pattern.Scheme = "http"
		}
		host := strings.TrimSuffix(pattern.Hostname(), ".")
		if host == "" || below && !strings.HasSuffix(name, "."+host) || !below && name != host {
			continue
		}
		local := isThisMachine(host)
		schemeFits := target.Scheme == pattern.Scheme || local && !plain
		portFits := portOf(target) == portOf(pattern) || local && pattern.Port() == ""
		if schemeFits && portFits {
			return true
		}
	}
	return false
}

// isThisMachine reports a host that no network is between.
func isThisMachine(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
