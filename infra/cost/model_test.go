package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestPerMillionExecutions(t *testing.T) {
	t.Parallel()
	base := load{jobs: 1000, every: time.Minute, duration: time.Second, memory: 512, egress: "instance", database: "micro", kilobytes: 2}
	for name, c := range map[string]struct {
		share  int
		egress string
		want   float64
	}{
		// By hand: 20,000 invocations of 3 s and half a GB are 0.40 and 0.004 to
		// begin, 60,000 requests 0.024, 0.3 GB of logs 0.15, 1 GB sent 0.09.
		"fifty an invocation":   {50, "instance", 0.668},
		"ten":                   {10, "instance", 2.38},
		"one":                   {1, "instance", 21.64},
		"fifty, by a gateway":   {50, "gateway", 0.758},
		"fifty, by two of them": {50, "gateway-per-az", 0.758},
	} {
		l := base
		l.share, l.egress = c.share, c.egress
		if got := l.variable() / l.runs() * 1e6; math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s: %.3f dollars, not %.3f", name, got, c.want)
		}
	}
}

// A job that runs every minute runs 43,800 times a month.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	l := load{jobs: 1000, every: time.Minute}
	for i, want := range []float64{96.36, 100, 438} {
		if got := l.elsewhere()[i]; math.Abs(got.dollars-want) > 0.01 {
			t.Errorf("%s: %.2f, not %.2f", got.name, got.dollars, want)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run([]string{"-jobs", "10", "-every", "1h"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.01 million executions", "all of it, dollars a month", "QStash"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	for _, args := range [][]string{
		{"-jobs", "0"},
		{"-every", "1ms"},
		{"-duration", "1h"},
		{"-share", "-1"},
		{"-memory", "1"},
		{"-egress", "none"},
		{"-database", "huge"},
		{"-pollers", "-1"},
		{"-unknown"},
	} {
		if err := run(args, &strings.Builder{}); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
