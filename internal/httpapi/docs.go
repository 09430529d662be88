package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

const (
	apiTitle = "Cron Jobs Management API"
	docsPath = "/api/docs"
)

// aboutTokens is what the document says of API tokens.
const aboutTokens = "A token of POST /auth/tokens, for scripts. What an operation asks of it stands beside it here: " +
	"read is reading, and previews; write is changing categories and jobs; execute is running, replaying, pausing and resuming. " +
	"No scope adds to what its owner's role allows at the time, and none includes another. " +
	"Operations that do not name this scheme take no API token: users, sessions, passwords, tokens and what else only people do.\n\n" +
	"A token ends when it is deleted or expires, when its owner is deactivated, and when an admin sets its owner a new password; " +
	"it stays, and follows the role, when its owner is given another, and stays when its owner changes the password. " +
	"Its requests count against its owner's rate limit."

// apiConfig is huma's configuration: JSON alone, no routes of its own, no
// $schema in answers.
func apiConfig() huma.Config {
	config := huma.DefaultConfig(apiTitle, "1.0.0")
	config.Info.Description = "Keeps scheduled HTTP calls, makes them on time, and shows what happened.\n\n" +
		"HEAD works where GET does. A method that an address does not take is answered 405, with those that it takes in the header Allow."
	config.Info.License = &huma.License{Name: "MIT", Identifier: "MIT"}
	config.CreateHooks = nil
	config.DocsPath, config.OpenAPIPath, config.SchemasPath = "", "", ""
	config.Servers = []*huma.Server{{URL: "/"}}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":   {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The accessToken of POST /auth/login."},
		"ticket":   {Type: "apiKey", In: "query", Name: "ticket", Description: "Of POST /history/stream/ticket; for a browser's EventSource, which sends no header."},
		"apiToken": {Type: "http", Scheme: "bearer", BearerFormat: "cj_…", Description: aboutTokens},
	}
	for _, tag := range [][2]string{
		{"auth", "Signing in, and one's own account"},
		{"users", "User management"},
		{"categories", "Category management"},
		{"jobs", "Job management"},
		{"secrets", "Values that jobs use and nobody reads"},
		{"history", "Execution history"},
		{"dashboard", "Dashboard and analytics"},
		{"audit", "Who changed what"},
		{"health", "Health checks"},
	} {
		config.Tags = append(config.Tags, &huma.Tag{Name: tag[0], Description: tag[1]})
	}
	return config
}

// serveDocs serves the OpenAPI document and a page to read and try it with,
// from embedded files.
func (s *server) serveDocs() {
	document := sync.OnceValues(func() ([]byte, error) {
		written, err := json.Marshal(s.api.OpenAPI())
		if err != nil {
			return nil, err
		}
		return finishDocument(written)
	})
	s.router.Get(docsPath+"-json", func(w http.ResponseWriter, r *http.Request) {
		body, err := document()
		if err != nil {
			s.writeError(w, r, err)
			return
		}
		writeBody(w, http.StatusOK, body)
	})
	ui := sync.OnceValues(newDocsUI)
	serve := func(w http.ResponseWriter, r *http.Request) {
		page, policy := ui()
		h := w.Header()
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("Content-Security-Policy", policy)
		page.ServeHTTP(&missingFile{ResponseWriter: w, onMissing: func() { s.notFound(w, r) }}, r)
	}
	s.router.Get(docsPath, serve)
	s.router.Get(docsPath+"/*", serve)
}

// inlineScript finds the scripts that a page holds itself.
var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// newDocsUI makes the page, and the policy that lets it run its own scripts,
// known by their hashes, and call this API; nothing from elsewhere.
func newDocsUI() (page http.Handler, policy string) {
	page = v5emb.NewHandlerWithConfig(swgui.Config{
		Title:       apiTitle,
		SwaggerJSON: docsPath + "-json",
		BasePath:    docsPath,
		SettingsUI:  map[string]string{"persistAuthorization": "true"},
	})
	seen := &pageWriter{header: http.Header{}}
	page.ServeHTTP(seen, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: docsPath}})
	scripts := "'self'"
	for _, script := range inlineScript.FindAllSubmatch(seen.body.Bytes(), -1) {
		sum := sha256.Sum256(script[1])
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return page, "default-src 'self'; script-src " + scripts + "; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
}

// pageWriter keeps a page.
type pageWriter struct {
	header http.Header
	body   bytes.Buffer
}

func (p *pageWriter) Header() http.Header         { return p.header }
func (p *pageWriter) WriteHeader(int)             {}
func (p *pageWriter) Write(b []byte) (int, error) { return p.body.Write(b) }

// missingFile replaces the file server's own 404 by ours.
type missingFile struct {
	http.ResponseWriter
	onMissing func()
	missing   bool
}

func (m *missingFile) WriteHeader(status int) {
	if status == http.StatusNotFound {
		m.missing = true
		m.Header().Set("Cache-Control", "no-store")
		m.onMissing()
		return
	}
	m.ResponseWriter.WriteHeader(status)
}

func (m *missingFile) Write(p []byte) (int, error) {
	if m.missing {
		return len(p), nil
	}
	return m.ResponseWriter.Write(p)
}
