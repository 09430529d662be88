package httpapi

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSigningKeysAreToldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	home := h.make("/categories", `{"name":"home","color":"#123456"}`)
	path := "/jobs/" + h.make("/jobs", houseJob("signed", home))
	shown := func(token string) any { return h.call(token, "GET", path, "").data()["signing"] }
	if diff := cmp.Diff(map[string]any{"enabled": false, "keys": 0.0}, shown(h.token)); diff != "" {
		t.Error(diff)
	}
	var secrets []string
	for n, want := range []float64{1, 2, 2} { // the one before the last no longer signs
		got := h.call(h.token, "POST", path+"/signing-key", "")
		secret, _ := got.data()["secret"].(string)
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if got.StatusCode != 201 || !strings.HasPrefix(secret, "whsec_") || err != nil || len(key) != 32 {
			t.Fatalf("%d: %d %v", n, got.StatusCode, err)
		}
		secrets = append(secrets, secret)
		if diff := cmp.Diff(map[string]any{"enabled": true, "keys": want}, shown(h.token)); diff != "" {
			t.Error(diff)
		}
	}
	if secrets[0] == secrets[1] || secrets[1] == secrets[2] {
		t.Error("a key comes again")
	}
	for _, secret := range secrets {
		for _, target := range []string{path, "/jobs", "/audit?limit=100"} {
			if got := h.call(h.token, "GET", target, ""); strings.Contains(got.raw, secret[6:]) {
				t.Errorf("%s tells a key", target)
			}
		}
		key, _ := base64.StdEncoding.DecodeString(secret[6:])
		var plain int
		if err := h.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM signing_keys WHERE INSTR(sealed, ?) OR INSTR(sealed, ?)", key, secret[6:]).Scan(&plain); err != nil || plain != 0 {
			t.Errorf("a key is stored in the clear: %d %v", plain, err)
		}
	}
	version := h.call(h.token, "GET", path, "").Header.Get("ETag")
	if got := h.call(h.token, "DELETE", path+"/signing-key", ""); got.StatusCode != 200 {
		t.Fatal(got.raw)
	}
	if diff := cmp.Diff(map[string]any{"enabled": false, "keys": 0.0}, shown(h.token)); diff != "" {
		t.Error(diff)
	}
	if h.call(h.token, "GET", path, "").Header.Get("ETag") == version {
		t.Error("the version stays")
	}
	if got := h.call(h.token, "DELETE", path+"/signing-key", ""); got.StatusCode != 200 || len(h.entries()) != 0 {
		t.Errorf("without a key: %d, %v", got.StatusCode, h.entries())
	}
}
