// Package secretsserver stands in for AWS Secrets Manager, as far as the product
// uses it: it answers GetSecretValue with what it was given. For tests and local
// runs; clients find it by AWS_ENDPOINT_URL_SECRETS_MANAGER.
package secretsserver

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server holds secrets. It is an http.Handler, safe for concurrent use. The zero
// value holds none.
type Server struct {
	mu      sync.Mutex
	secrets map[string]secret
	refused string
	reads   map[string]int
}

type secret struct {
	text  string
	since time.Time
}

// Put gives a secret its present value, since a moment.
func (s *Server) Put(arn string, since time.Time, value map[string]string) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // texts always encode
	}
	s.PutText(arn, since, string(text))
}

// PutText is Put for any text.
func (s *Server) PutText(arn string, since time.Time, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = map[string]secret{}
	}
	s.secrets[arn] = secret{text, since}
}

// Refuse answers every read with an error code of AWS's from now on; "" none.
func (s *Server) Refuse(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = code
}

// Reads is how often a secret has been asked for.
func (s *Server) Reads(arn string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads[arn]
}

// ServeHTTP answers in AWS's JSON 1.1.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var asked struct{ SecretId string }
	if operation != "GetSecretValue" || json.NewDecoder(r.Body).Decode(&asked) != nil {
		answer(w, http.StatusBadRequest, map[string]any{"__type": "InvalidParameterException", "message": "not understood"})
		return
	}
	s.mu.Lock()
	held, ok := s.secrets[asked.SecretId]
	refused := s.refused
	if s.reads == nil {
		s.reads = map[string]int{}
	}
	s.reads[asked.SecretId]++
	s.mu.Unlock()
	if refused == "" && !ok {
		refused = "ResourceNotFoundException"
	}
	if refused != "" {
		answer(w, http.StatusBadRequest, map[string]any{"__type": refused, "message": "refused"})
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"ARN": asked.SecretId, "Name": asked.SecretId, "SecretString": held.text, "VersionStages": []string{"AWSCURRENT"},
		"CreatedDate": float64(held.since.UnixMilli()) / 1000,
	})
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
