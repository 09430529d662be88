package main

import (
	"fmt"
	"maps"
	"strconv"
)

const (
	// unreserved are the concurrent executions that AWS keeps free of
	// reservations in an account.
	unreserved = 100
	// pollerInvocations are the concurrent invocations that one provisioned
	// poller carries.
	pollerInvocations = 10
	// leastLane is the smallest cap that a queue's mapping takes.
	leastLane = 2
	// migrations run beside the application.
	migrateInstances = 1
)

// plan fits an environment's parameters to the concurrent executions that the
// account allows, of which a new account has 10, less what others have reserved
// of them. The advice says what was cut and what to ask for.
func plan(parameters map[string]string, limit, free int) (map[string]string, []string, error) {
	var faults error
	number := func(name string, fallback int) int {
		text, ok := parameters[name]
		if !ok {
			return fallback
		}
		n, err := strconv.Atoi(text)
		if err != nil && faults == nil {
			faults = fmt.Errorf("parameter %s: %w", name, err)
		}
		return n
	}
	fast, slow := number("FastConcurrency", 20), number("SlowConcurrency", 6)
	fastPollers, slowPollers := number("FastPollers", 0), number("SlowPollers", 0)
	api, tick := number("ApiReservedConcurrency", 0), number("TickReservedConcurrency", 0)
	if faults != nil {
		return nil, nil, faults
	}

	planned := maps.Clone(parameters)
	set := func(name string, n int) { planned[name] = strconv.Itoa(n) }
	set("AccountConcurrency", limit)
	var advice []string

	lanes := fast + slow
	if fastPollers > 0 {
		lanes += fastPollers*pollerInvocations - fast
	}
	if slowPollers > 0 {
		lanes += slowPollers*pollerInvocations - slow
	}
	wanted := lanes + api + tick + migrateInstances
	have := fmt.Sprintf("the account's %d concurrent executions", limit)
	if free < limit {
		have += fmt.Sprintf(", of which others have reserved %d,", limit-free)
	}
	if api+tick > 0 && free-api-tick < unreserved {
		set("ApiReservedConcurrency", 0)
		set("TickReservedConcurrency", 0)
		advice = append(advice, fmt.Sprintf(
			"%s leave none to reserve for the API and the tick: their database connections are not bounded", have))
	}
	if wanted > free {
		set("FastPollers", 0)
		set("SlowPollers", 0)
		// What is left beside one tick, the migration and a quarter for the API.
		left := free - migrateInstances - 1 - max(leastLane, min(api, free/4))
		newSlow := max(leastLane, left*slow/(fast+slow))
		newFast := max(leastLane, left-newSlow)
		set("FastConcurrency", min(fast, newFast))
		set("SlowConcurrency", min(slow, newSlow))
		advice = append(advice, fmt.Sprintf(
			"this environment is made for %d concurrent executions, more than %s allow: the lanes are cut to %s and %s",
			wanted, have, planned["FastConcurrency"], planned["SlowConcurrency"]))
	}
	if len(advice) > 0 {
		advice = append(advice, fmt.Sprintf(
			"ask for %d or more: Service Quotas, AWS Lambda, \"Concurrent executions\" (L-B99A9384)",
			max(1000, limit-free+wanted+unreserved)))
	}
	return planned, advice, nil
}
