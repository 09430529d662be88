package system_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// TestAnOperatorCannotSendASecretToAHostOfHisOwn tries what an operator can do with
// secrets that he may use and not read: name another host, have the secret's host
// redirect there, move or copy a job, and read what the secret's host repeats.
func TestAnOperatorCannotSendASecretToAHostOfHisOwn(t *testing.T) {
	t.Parallel()
	const ofWorkspace, ofJob = "pa ss/w+rd1-SENTINEL", "SENTINEL-of-a-job"
	var stolen safeLog
	own := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(&stolen, "%s %v %s\n", r.URL, r.Header, body)
	}))
	t.Cleanup(own.Close)
	var reached safeLog
	allowed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(&reached, r.URL, r.Header)
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", strings.ReplaceAll(to, " ", "%20"))
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		_, _ = fmt.Fprint(w, r.URL.Query(), r.Header, url.QueryEscape(r.URL.Query().Get("k")))
	}))
	t.Cleanup(allowed.Close)

	s := start(t, mysqltest.Options(t), t.TempDir())
	defer stop(t, s)
	admin := signIn(t, s)
	host := strings.TrimPrefix(allowed.URL, "http://")
	admin.do("PUT", "/secrets/TOKEN", map[string]any{"value": ofWorkspace, "allowedHosts": []string{host}}, 201, nil)
	with := func(more map[string]any) map[string]any {
		all := map[string]any{"status": "inactive", "retryAttempts": 0}
		maps.Copy(all, more)
		return all
	}
	keeper := admin.createJob("Keeper", "@yearly", allowed.URL, with(map[string]any{"headers": map[string]string{"Authorization": "Bearer " + ofJob}, "body": map[string]string{"p": ofJob}, "bodySecret": true, "method": "POST"}))
	admin.do("POST", "/users", map[string]any{"email": "operator@example.com", "name": "O", "password": "operator-password", "role": "operator"}, 201, nil)
	operator := &client{t: t, url: s.URL}
	var signedIn struct{ AccessToken string }
	operator.do("POST", "/auth/login", map[string]any{"email": "operator@example.com", "password": "operator-password"}, 200, &signedIn)
	operator.token = signedIn.AccessToken

	// He may neither read a secret nor say where it goes.
	operator.do("PUT", "/secrets/TOKEN", map[string]any{"value": "x", "allowedHosts": []string{"127.0.0.1"}}, 403, nil)
	operator.do("GET", "/secrets/TOKEN", nil, 403, nil)
	redirect := allowed.URL + "/?to=" + url.QueryEscape(own.URL+"/?s=") + "{{secret.TOKEN}}"
	for name, tc := range map[string]struct {
		url  string
		more map[string]any
		want string // "": the call is made
	}{
		"Address":   {own.URL + "/?s={{secret.TOKEN}}", nil, "blocked_secret"},
		"Header":    {own.URL, map[string]any{"headers": map[string]string{"X-Any": "{{secret.TOKEN}}"}}, "blocked_secret"},
		"Body":      {own.URL, map[string]any{"body": "{{secret.TOKEN}}", "method": "POST"}, "blocked_secret"},
		"Redirect":  {redirect, map[string]any{"maxRedirects": 3}, "blocked_secret"},
		"Escape":    {redirect + "%26p%3D%25zz", map[string]any{"maxRedirects": 3}, "blocked_secret"},
		"Carried":   {allowed.URL + "/?to=" + url.QueryEscape(own.URL), map[string]any{"maxRedirects": 3, "body": "{{secret.TOKEN}}", "method": "POST"}, "blocked_secret"},
		"Dropped":   {allowed.URL + "/?to=" + url.QueryEscape(own.URL), map[string]any{"maxRedirects": 3, "headers": map[string]string{"X-Any": "{{secret.TOKEN}}"}}, ""},
		"Permitted": {allowed.URL + "/?k={{secret.TOKEN}}", map[string]any{"headers": map[string]string{"X-Any": "{{secret.TOKEN}}"}}, ""},
	} {
		id := operator.createJob(name, "@yearly", tc.url, with(tc.more))
		var ran struct {
			Status       string
			Error        *struct{ Kind string }
			ResponseBody string
		}
		operator.do("POST", fmt.Sprintf("/jobs/%d/execute", id), nil, 200, &ran)
		kind := ""
		if ran.Error != nil {
			kind = ran.Error.Kind
		}
		if kind != tc.want {
			t.Errorf("%s: %+v, %q", name, ran, kind)
		}
		if strings.Contains(ran.ResponseBody, "SENTINEL") {
			t.Errorf("%s: the operator reads %s", name, ran.ResponseBody)
		}
	}

	// A job's own secrets stay where they were entered for.
	path := fmt.Sprintf("/jobs/%d", keeper)
	operator.do("PATCH", path, map[string]any{"url": own.URL}, 400, nil)
	operator.do("PATCH", path, map[string]any{"url": own.URL, "headers": map[string]string{"Authorization": "********"}, "body": "********"}, 400, nil)
	operator.do("PATCH", path, map[string]any{"secretHeaders": []string{}, "bodySecret": false}, 400, nil)
	var copied struct{ ID int64 }
	operator.do("POST", path+"/duplicate", nil, 201, &copied)
	operator.do("PATCH", fmt.Sprintf("/jobs/%d", copied.ID), map[string]any{"url": own.URL}, 400, nil)
	operator.do("POST", fmt.Sprintf("/jobs/%d/execute", copied.ID), nil, 200, nil)

	if got := stolen.String(); strings.Contains(got, "SENTINEL") {
		t.Errorf("the operator's host was sent %s", got)
	}
	if got := reached.String(); !strings.Contains(got, "SENTINEL-of-a-job") || !strings.Contains(got, "w+rd1-SENTINEL") {
		t.Errorf("the secrets' host was not sent both: %s", got)
	}
}
