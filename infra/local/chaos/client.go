package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Client speaks to a system's API as a person does.
type Client struct {
	url, token string
}

// SignIn signs the first admin in.
func SignIn(ctx context.Context, url string) (*Client, error) {
	c := &Client{url: url}
	var signedIn struct{ AccessToken string }
	err := c.Do(ctx, http.MethodPost, "/auth/login", map[string]any{"email": email, "password": password}, &signedIn)
	c.token = signedIn.AccessToken
	return c, err
}

// Job is what a scenario knows of a job: who it is, and when it must run.
type Job struct {
	ID     int64
	Period time.Duration // its instants are the multiples of this, whole seconds,
	Offset time.Duration // and so much later
	// From and Until bound the instants for which the job certainly was active.
	From, Until time.Time
	// Settled is until when all that was due had ended before the job was
	// stopped. What was due later may have been waiting then, and be cancelled.
	Settled time.Time
	// Endings are the states, other than success and missed, in which a due
	// instant may end.
	Endings []execution.Status
}

// CreateJob makes a job that calls a URL every period, which divides a minute, or
// as another cronPattern says that has this period.
func (c *Client) CreateJob(ctx context.Context, name, url string, period time.Duration, more map[string]any) (Job, error) {
	in := map[string]any{
		"name": name, "description": "A job of the chaos tests", "cronPattern": fmt.Sprintf("*/%d * * * * *", int(period.Seconds())),
		"categoryId": 1, "url": url, "timeout": 2000, "retryAttempts": 3, "retryDelay": 200,
	}
	for key, value := range more {
		in[key] = value
	}
	var created struct{ ID int64 }
	err := c.Do(ctx, http.MethodPost, "/jobs", in, &created)
	return Job{ID: created.ID, Period: period, From: time.Now()}, err
}

// Pause stops a job and notes since when it may be stopped: the first try of
// several may have done it, whatever it answered.
func (c *Client) Pause(ctx context.Context, j *Job) error {
	if j.Until.IsZero() {
		j.Until = time.Now()
	}
	return c.Do(ctx, http.MethodPost, fmt.Sprintf("/jobs/%d/pause", j.ID), nil, nil)
}

// Do makes a request and reads the data of its answer into out. An answer that
// is not a success is an error.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	return c.DoOnce(ctx, "", method, path, in, out)
}

// DoOnce is Do with an Idempotency-Key, unless that is "".
func (c *Client) DoOnce(ctx context.Context, key, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %d: %s", method, path, response.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, &struct{ Data any }{out})
}
