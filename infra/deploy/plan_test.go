package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	micro := map[string]string{
		"Environment": "dev", "FastConcurrency": "20", "SlowConcurrency": "6",
		"ApiReservedConcurrency": "10", "TickReservedConcurrency": "2",
	}
	with := func(base map[string]string, changes ...string) map[string]string {
		values := map[string]string{}
		for name, value := range base {
			values[name] = value
		}
		for i := 0; i < len(changes); i += 2 {
			values[changes[i]] = changes[i+1]
		}
		return values
	}
	cases := map[string]struct {
		parameters map[string]string
		limit      int
		reserved   int // by others
		want       map[string]string
		advice     string
	}{
		"enough": {micro, 1000, 0, with(micro, "AccountConcurrency", "1000"), ""},
		"enough to run, not to reserve": {
			micro, 100, 0,
			with(micro, "AccountConcurrency", "100", "ApiReservedConcurrency", "0", "TickReservedConcurrency", "0"),
			"leave none to reserve",
		},
		"a new account": {
			micro, 10, 0,
			with(micro, "AccountConcurrency", "10", "ApiReservedConcurrency", "0", "TickReservedConcurrency", "0",
				"FastPollers", "0", "SlowPollers", "0", "FastConcurrency", "4", "SlowConcurrency", "2"),
			"cut to 4 and 2",
		},
		"others leave enough": {micro, 1000, 888, with(micro, "AccountConcurrency", "1000"), ""},
		"others leave too little to reserve": {
			micro, 1000, 889,
			with(micro, "AccountConcurrency", "1000", "ApiReservedConcurrency", "0", "TickReservedConcurrency", "0"),
			"the account's 1000 concurrent executions, of which others have reserved 889, leave none to reserve",
		},
		"others leave too little to run": {
			micro, 130, 100,
			with(micro, "AccountConcurrency", "130", "ApiReservedConcurrency", "0", "TickReservedConcurrency", "0",
				"FastPollers", "0", "SlowPollers", "0", "FastConcurrency", "17", "SlowConcurrency", "4"),
			"ask for 1000 or more",
		},
		"pollers do not fit": {
			with(micro, "FastPollers", "10"), 100, 0,
			with(micro, "AccountConcurrency", "100", "ApiReservedConcurrency", "0", "TickReservedConcurrency", "0",
				"FastPollers", "0", "SlowPollers", "0"),
			"made for 119 concurrent executions",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, advice, err := plan(c.parameters, c.limit, c.limit-c.reserved)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			text := strings.Join(advice, "\n")
			if (c.advice == "") != (text == "") || !strings.Contains(text, c.advice) {
				t.Errorf("advice %q lacks %q", text, c.advice)
			}
		})
	}
}

// However small the account is, both lanes run and the sum fits.
func TestPlanFitsEveryAccount(t *testing.T) {
	t.Parallel()
	parameters := map[string]string{
		"FastConcurrency": "60", "SlowConcurrency": "20", "ApiReservedConcurrency": "40", "TickReservedConcurrency": "2",
	}
	for limit := 10; limit <= 300; limit++ {
		got, _, err := plan(parameters, limit, limit)
		if err != nil {
			t.Fatal(err)
		}
		sum := migrateInstances + 1
		for _, name := range []string{"FastConcurrency", "SlowConcurrency"} {
			n := atoi(t, got[name])
			if n < leastLane || n > atoi(t, parameters[name]) {
				t.Errorf("limit %d: %s = %d", limit, name, n)
			}
			sum += n
		}
		if sum >= limit {
			t.Errorf("limit %d: the lanes, a tick and a migration take %d and leave the API nothing", limit, sum)
		}
		reserved := atoi(t, got["ApiReservedConcurrency"]) + atoi(t, got["TickReservedConcurrency"])
		if reserved > 0 && limit-reserved < unreserved {
			t.Errorf("limit %d: %d reserved, which AWS refuses", limit, reserved)
		}
	}
}

func TestPlanNamesABadNumber(t *testing.T) {
	t.Parallel()
	if _, _, err := plan(map[string]string{"FastConcurrency": "many"}, 1000, 1000); err == nil || !strings.Contains(err.Error(), "FastConcurrency") {
		t.Errorf("error = %v", err)
	}
}
