package executor

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
)

// The headers of Standard Webhooks, in the spelling of http.Header.
const (
	webhookID        = "Webhook-Id"
	webhookTimestamp = "Webhook-Timestamp"
	webhookSignature = "Webhook-Signature"
)

// sign gives a request its signatures, one for each key that signs at the time
// of the attempt: over the execution's id, which is the same in every attempt,
// the time and the body as it is sent. Without keys nothing is added.
func sign(header http.Header, keys []job.SigningKey, id string, at time.Time, body []byte) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	var signatures []string
	for _, key := range keys {
		if !key.Signs(at) {
			continue
		}
		code := hmac.New(sha256.New, key.Key)
		code.Write([]byte(id + "." + timestamp + "."))
		code.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(code.Sum(nil)))
	}
	if len(signatures) == 0 {
		return
	}
	header.Set(webhookID, id)
	header.Set(webhookTimestamp, timestamp)
	header.Set(webhookSignature, strings.Join(signatures, " "))
}

// signAgain signs a request that follows a redirect, whose body may be gone,
// unless it goes to another host: the redirect has taken the signature away
// then, as all that may be a credential.
func signAgain(request *http.Request, work Work, at time.Time) {
	if request.Header.Get(webhookSignature) == "" {
		return
	}
	var body []byte
	if request.ContentLength > 0 {
		body = payload(work.Request.Body)
	}
	sign(request.Header, work.SigningKeys, strconv.FormatInt(work.ID, 10), at, body)
}
