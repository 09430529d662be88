package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/system"
)

const tableHead = `
| request | requests/s | p50 ms | p99 ms | bar ms | p99 ÷ bar | alone: p50 ms | p99 ms |
|---|---|---|---|---|---|---|---|`

// bencher asks the system as its first admin.
type bencher struct {
	url, token  string
	client      *http.Client
	connections int
}

func newBencher(s *system.System, connections int) (*bencher, error) {
	b := &bencher{url: s.URL, connections: connections, client: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}}
	body, err := json.Marshal(map[string]string{"email": s.AdminEmail, "password": s.AdminPassword})
	if err != nil {
		return nil, err
	}
	answer, err := b.client.Post(b.url+"/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var signedIn struct {
		Data struct {
			AccessToken string `json:"accessToken"`
		} `json:"data"`
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("signing in answered %d: of a database that has users already, ADMIN_EMAIL and ADMIN_PASSWORD must name an admin", answer.StatusCode)
	}
	if err := json.NewDecoder(answer.Body).Decode(&signedIn); err != nil {
		return nil, err
	}
	b.token = signedIn.Data.AccessToken
	return b, nil
}

func (b *bencher) ask(ctx context.Context, path string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	// As a browser asks. What is named here is not unpacked by the client, which
	// would be measured with it.
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := b.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// warmUps are the requests before the first round.
const warmUps = 3

// measure makes a line of the table.
func (b *bencher) measure(ctx context.Context, r request, rounds int, spent time.Duration) (string, error) {
	random := rand.New(rand.NewPCG(1, 2))
	for range warmUps {
		path := r.path(random)
		status, err := b.ask(ctx, path)
		if err != nil {
			return "", err
		}
		if status == http.StatusNotFound && !missing(r) {
			return fmt.Sprintf("| %s | not there (404) | | | | |", r.name), nil
		}
		if !fine(r, status) {
			return "", fmt.Errorf("GET %s answered %d", path, status)
		}
	}
	together, err := b.rounds(ctx, r, b.connections, rounds, spent)
	if err != nil {
		return "", err
	}
	alone, err := b.rounds(ctx, r, 1, 1, spent)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("| %s | %.0f | %.1f | %.1f | %.0f | %.2f | %.1f | %.1f |",
		r.name, together.rate, together.p50, together.p99, r.bar, together.p99/r.bar, alone.p50, alone.p99), nil
}

// figures are the medians of some rounds; the times are milliseconds.
type figures struct{ rate, p50, p99 float64 }

func (b *bencher) rounds(ctx context.Context, r request, connections, rounds int, spent time.Duration) (figures, error) {
	var rates, medians, worst []float64
	for round := range rounds {
		took, whole, err := b.round(ctx, r, connections, spent, uint64(round))
		if err != nil {
			return figures{}, err
		}
		slices.Sort(took)
		rates = append(rates, float64(len(took))/whole.Seconds())
		medians = append(medians, took[len(took)/2])
		worst = append(worst, took[len(took)*99/100])
	}
	return figures{middle(rates), middle(medians), middle(worst)}, nil
}

// missing reports requests for one job, of which some are deleted.
func missing(r request) bool {
	return r.name == "job" || r.name == "stats of a job" || r.name == "history of a busy job, failed"
}

func fine(r request, status int) bool {
	return status == http.StatusOK || status == http.StatusNotFound && missing(r)
}

// round asks on some connections at once for a while; the times are milliseconds.
func (b *bencher) round(ctx context.Context, r request, connections int, spent time.Duration, seed uint64) ([]float64, time.Duration, error) {
	var mu sync.Mutex
	var all []float64
	var failed error
	var group sync.WaitGroup
	began := time.Now()
	for i := range connections {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			var mine []float64
			for time.Since(began) < spent {
				path := r.path(random)
				asked := time.Now()
				status, err := b.ask(ctx, path)
				if err == nil && !fine(r, status) {
					err = fmt.Errorf("GET %s answered %d", path, status)
				}
				if err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				mine = append(mine, float64(time.Since(asked).Microseconds())/1000)
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	group.Wait()
	return all, time.Since(began), failed
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
