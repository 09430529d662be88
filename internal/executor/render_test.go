package executor_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// vaultValue holds what every place of a request writes in its own way.
const vaultValue = `se"cr&et/Value+1 <x>`

func namingWork(target string) executor.Work {
	host, _ := url.Parse(target)
	return executor.Work{ID: 1, JobID: 2, Attempt: 1, Request: job.Request{
		Method: "POST", URL: target + "/hook/{{secret.TOKEN}}?key={{secret.TOKEN}}", Timeout: 5 * time.Second,
		Headers: map[string]string{"Authorization": "Bearer {{secret.TOKEN}}", "X-Plain": "{{secret.TOKEN}}-end"},
		Body:    []byte(`{"token": "{{secret.TOKEN}}"}`),
	}, Vault: map[string]executor.VaultSecret{"TOKEN": {Value: vaultValue, AllowedHosts: []string{host.Host}}}}
}

func TestSecretsAreSentInTheirPlaces(t *testing.T) {
	t.Parallel()
	var path, query, auth, plain, body string
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, query, auth, plain = r.URL.Path, r.URL.Query().Get("key"), r.Header.Get("Authorization"), r.Header.Get("X-Plain")
		var in struct{ Token string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		body = in.Token
		// Given back in every way that an answer may write it.
		pair := base64.StdEncoding.EncodeToString([]byte("user:" + vaultValue))
		for i := range 3 {
			fmt.Fprintln(w, base64.URLEncoding.EncodeToString([]byte(strings.Repeat("x", i)+vaultValue+"tail")))
		}
		text, _ := json.Marshal(vaultValue)
		fmt.Fprintln(w, vaultValue, url.QueryEscape(vaultValue), url.PathEscape(vaultValue), string(text), pair, hex.EncodeToString([]byte(vaultValue)), smallEscapes(url.QueryEscape(vaultValue)))
		w.Header().Set("X-Late", vaultValue)
	}))
	t.Cleanup(target.Close)
	work := namingWork(target.URL)
	client := executor.NewClient(http.DefaultTransport, executor.WallClock{})
	attempt, _ := client.Call(t.Context(), executor.Call{Work: work})
	if attempt.Failure != nil {
		t.Fatal(attempt.Failure)
	}
	for where, got := range map[string]string{"path": strings.TrimPrefix(path, "/hook/"), "query": query, "header": strings.TrimPrefix(auth, "Bearer "), "plain header": strings.TrimSuffix(plain, "-end"), "body": body} {
		if got != vaultValue {
			t.Errorf("%s: %q", where, got)
		}
	}
	answer := string(attempt.Response.Body)
	text, _ := json.Marshal(vaultValue)
	middle := base64.StdEncoding.EncodeToString([]byte(vaultValue[3:15]))
	for _, never := range []string{vaultValue, url.QueryEscape(vaultValue), url.PathEscape(vaultValue), string(text[1 : len(text)-1]), hex.EncodeToString([]byte(vaultValue)), middle, "se%22cr", "cr%26et%2fValue"} {
		if strings.Contains(answer, never) {
			t.Errorf("the answer still holds %q:\n%s", never, answer)
		}
	}
}

// smallEscapes writes percent escapes with small letters.
func smallEscapes(text string) string {
	return strings.NewReplacer("%2F", "%2f", "%2B", "%2b", "%3C", "%3c", "%3E", "%3e").Replace(text)
}

func TestSecretsGoWhereTheyMayAlone(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(target.Close)
	tests := map[string]struct {
		vault map[string]executor.VaultSecret
		want  execution.ErrorKind
	}{
		"no such secret":         {nil, execution.ErrBlockedSecret},
		"another host":           {map[string]executor.VaultSecret{"TOKEN": {Value: "v", AllowedHosts: []string{"example.com"}}}, execution.ErrBlockedSecret},
		"another port":           {map[string]executor.VaultSecret{"TOKEN": {Value: "v", AllowedHosts: []string{"127.0.0.1:1"}}}, execution.ErrBlockedSecret},
		"cannot be decrypted":    {map[string]executor.VaultSecret{"TOKEN": {AllowedHosts: []string{"127.0.0.1"}, Broken: io.EOF}}, execution.ErrInternal},
		"a line break in header": {map[string]executor.VaultSecret{"TOKEN": {Value: "a\r\nX-Evil: 1", AllowedHosts: []string{"127.0.0.1"}}}, execution.ErrInternal},
	}
	for name, test := range tests {
		work := namingWork(target.URL)
		work.Vault = test.vault
		attempt, _ := executor.NewClient(http.DefaultTransport, executor.WallClock{}).Call(t.Context(), executor.Call{Work: work})
		if attempt.Failure == nil || attempt.Failure.Kind != test.want || strings.Contains(attempt.Failure.Message, "Evil") {
			t.Errorf("%s: %v", name, attempt.Failure)
		}
	}
	// A short request that becomes megabytes by naming a long secret often.
	work := namingWork(target.URL)
	work.Vault["TOKEN"] = executor.VaultSecret{Value: strings.Repeat("v", job.MaxSecretValue), AllowedHosts: []string{"127.0.0.1"}}
	work.Request.Body = []byte(`"` + strings.Repeat("{{secret.TOKEN}}", 4000) + `"`)
	attempt, _ := executor.NewClient(http.DefaultTransport, executor.WallClock{}).Call(t.Context(), executor.Call{Work: work})
	if attempt.Failure == nil || attempt.Failure.Kind != execution.ErrInternal || !strings.Contains(attempt.Failure.Message, "too large") {
		t.Errorf("too large: %v", attempt.Failure)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestSecretsOfTheWorkspaceFollowNoRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	var stolen atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stolen.Store(fmt.Sprint(r.Header, r.URL))
	}))
	t.Cleanup(other.Close)
	target := httptest.NewServer(http.RedirectHandler(other.URL+"/there", http.StatusFound))
	t.Cleanup(target.Close)
	work := namingWork(target.URL)
	work.Request.MaxRedirects = 1
	work.Request.Headers["User-Agent"] = "agent {{secret.TOKEN}}"
	work.Request.Headers["Accept"] = "{{secret.TOKEN}}"
	client := executor.NewClient(http.DefaultTransport, executor.WallClock{})
	if attempt, _ := client.Call(t.Context(), executor.Call{Work: work}); attempt.Failure != nil {
		t.Fatal(attempt.Failure)
	}
	if got, _ := stolen.Load().(string); got == "" || strings.Contains(got, "cr&et") {
		t.Errorf("the other host saw %s", got)
	}
	target.Config.Handler = http.RedirectHandler(other.URL+"/there", http.StatusTemporaryRedirect)
	if attempt, _ := client.Call(t.Context(), executor.Call{Work: work}); attempt.Failure == nil || attempt.Failure.Kind != execution.ErrBlockedSecret {
		t.Errorf("the body went along: %v", attempt.Failure)
	}
}
