// Package chaos breaks the whole local system for real, and checks what the
// delivery protocol promises: systems are child processes that are killed in
// mid-work, the database is a real server that is killed, cut off or made to
// swallow its answers, and the queue loses, doubles and delays messages.
//
// It looks at the system from outside: people's API, what a target receives,
// and the rows that are left in the end. It knows none of the product's code
// but the way to start it and the states of a row.
//
// The faults and the checks are here; the scenarios are tests. "make test" runs
// the short ones, "make chaos" all of them, with a table.
package chaos

import "time"

// The account that every system of a scenario is made with.
const (
	email    = "chaos@example.com"
	password = "correct horse battery"
)

// Settings are what a child process is started with.
type Settings struct {
	// Dir is the system's data directory; two systems need two.
	Dir string
	// DB is the database, or the proxy in front of it.
	DB Database
	// TickEvery is the time between ticks.
	TickEvery time.Duration
	// Limited makes the pollers as slow to scale as AWS's mappings are, up to the
	// template's defaults or MostInvocations of each lane.
	Limited         bool
	MostInvocations int
	// Queue is how the queue misbehaves from the start.
	Queue QueueFaults
}

// Database is where a system's database is.
type Database struct {
	Host           string
	Port           int
	User, Password string
	Name           string
}
