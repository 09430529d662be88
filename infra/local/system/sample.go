package system

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// seedSample makes a job that calls the system's own echo endpoint every
// minute, so that a new system has something to show. It goes the way of a
// client: it signs in as the admin that was just made.
func (s *System) seedSample(ctx context.Context, api lambda.Handler) error {
	var signedIn struct {
		Data struct {
			AccessToken string `json:"accessToken"`
		} `json:"data"`
	}
	login := map[string]any{"email": s.AdminEmail, "password": s.AdminPassword}
	if err := post(ctx, api, "/auth/login", "", login, http.StatusOK, &signedIn); err != nil {
		return err
	}
	return post(ctx, api, "/jobs", signedIn.Data.AccessToken, map[string]any{
		"name":        "Sample echo",
		"description": "Calls this system's own echo endpoint every minute. Pause, edit or delete it as you like.",
		"cronPattern": "* * * * *",
		"categoryId":  3, // Maintenance, of the seeds
		"url":         s.URL + echoPath,
		"method":      "POST",
		"body":        map[string]string{"hello": "world"},
	}, http.StatusCreated, nil)
}

// post invokes the API with a JSON body and reads the answer into out.
func post(ctx context.Context, api lambda.Handler, path, token string, in any, want int, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	event := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: path, Body: string(body),
		Headers: map[string]string{"content-type": "application/json", "host": "localhost"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			Stage: "$default", DomainName: "localhost", TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: http.MethodPost, Path: path, SourceIP: "127.0.0.1"},
		},
	}
	if token != "" {
		event.Headers["authorization"] = "Bearer " + token
	}
	var response events.APIGatewayV2HTTPResponse
	if err := invoke(ctx, api, event, &response); err != nil {
		return err
	}
	if response.StatusCode != want {
		return fmt.Errorf("POST %s answered %d: %s", path, response.StatusCode, response.Body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal([]byte(response.Body), out)
}
