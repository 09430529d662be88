package app

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/cronjobs/cronjobs/infra/local/secretsserver"
)

// secrets stands in for AWS Secrets Manager in all tests; each has names of its
// own.
var secrets secretsserver.Server

func TestMain(m *testing.M) {
	server := httptest.NewServer(&secrets)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL,
		"AWS_ACCESS_KEY_ID":                "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	server.Close()
	os.Exit(code)
}
