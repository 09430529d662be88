package kmskey_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/kmskey"
	"github.com/cronjobs/cronjobs/internal/secret"
)

const arn = "arn:aws:kms:eu-central-1:000000000000:key/11111111-2222-3333-4444-555555555555"

// fakeKMS wraps a key by turning its bits round, and counts what it is asked.
func fakeKMS(t *testing.T) (endpoint string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	turn := func(key []byte) []byte {
		turned := make([]byte, len(key))
		for i := range key {
			turned[i] = ^key[i]
		}
		return turned
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var in struct {
			KeyId             string
			KeySpec           string
			CiphertextBlob    []byte
			EncryptionContext map[string]string
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if in.KeyId != arn || in.EncryptionContext["use"] != "cron-jobs-secrets" || !strings.Contains(r.Header.Get("Authorization"), "/kms/") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"AccessDeniedException"}`))
			return
		}
		key := make([]byte, 32)
		if r.Header.Get("X-Amz-Target") == "TrentService.Decrypt" {
			_ = json.NewEncoder(w).Encode(map[string]string{"KeyId": arn, "Plaintext": base64.StdEncoding.EncodeToString(turn(in.CiphertextBlob))})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"KeyId": arn, "Plaintext": base64.StdEncoding.EncodeToString(key), "CiphertextBlob": base64.StdEncoding.EncodeToString(turn(key))})
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestKMSIsAskedOnceForADataKey(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	endpoint, asked := fakeKMS(t)
	key, err := kmskey.New(t.Context(), "eu-central-1", arn, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	place := secret.Place{Table: "secrets", Row: "A", Field: "sealed"}
	writer := secret.NewRing(key, time.Now)
	stored, err := writer.NewDataKey(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := writer.Seal(t.Context(), stored, place, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	if stored.Provider != arn || asked.Load() != 1 {
		t.Errorf("provider %q, asked %d times", stored.Provider, asked.Load())
	}
	reader := secret.NewRing(key, time.Now)
	source := func(context.Context, int) (secret.DataKey, error) { return stored, nil }
	for range 20 {
		if value, err := reader.Open(t.Context(), source, place, sealed); err != nil || string(value) != "value" {
			t.Fatalf("%q, %v", value, err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("KMS was asked %d times", n)
	}
}
