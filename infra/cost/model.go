package main

import (
	"fmt"
	"time"
)

// List prices of us-east-1 in dollars, late 2026, without free tiers.
const (
	hours = 730.0

	lambdaGBSecond = 0.0000133334 // arm64
	lambdaRequest  = 0.20e-6
	sqsRequest     = 0.40e-6
	httpRequest    = 1.00e-6
	logGB          = 0.50
	natGatewayHour = 0.045
	natGatewayGB   = 0.045
	natNanoHour    = 0.0042
	publicAddress  = 0.005 * hours
	internetGB     = 0.09
	diskGB         = 0.08
	databaseGB     = 0.115
	secret         = 0.40
	masterKey      = 1.00
	metric         = 0.30
	alarm          = 0.10
	dashboard      = 3.00
	poller         = 7.00 // not measured
)

// databaseHour is the price of an instance of RDS MySQL, by the end of its
// class, db.t4g.….
var databaseHour = map[string]float64{"micro": 0.016, "small": 0.032, "medium": 0.065, "large": 0.129}

// What the templates make.
const (
	tickMemory    = 0.5 // GB
	tickSeconds   = 0.3 // not measured on AWS
	waitSeconds   = 2.0 // a message arrives before its instant
	logBytes      = 300 // a line of an execution
	secrets       = 4
	ownMetrics    = 17
	alarms        = 17
	databaseDisk  = 20
	emptyReceives = 2 * 5 * 3 * 60 * hours // 2 queues, 5 long polls of 20 s
)

// load is what an installation has to do in a month.
type load struct {
	jobs            int
	every, duration time.Duration
	share           int
	memory          int // MB
	egress          string
	database        string
	multiAZ         bool
	kilobytes       float64
	requests        float64 // millions
	pollers         int
}

type item struct {
	name    string
	dollars float64
}

func (l load) check() error {
	switch {
	case l.jobs < 1:
		return fmt.Errorf("jobs: must be 1 or more")
	case l.every < time.Second:
		return fmt.Errorf("every: must be a second or more")
	case l.duration <= 0 || l.duration > 5*time.Minute:
		return fmt.Errorf("duration: must be longer than 0 and at most 5m")
	case l.share < 0 || l.share > 1000:
		return fmt.Errorf("share: must be 0 to 1000")
	case l.memory < 128 || l.memory > 10240:
		return fmt.Errorf("memory: must be 128 to 10240")
	case l.egress != "instance" && l.egress != "gateway" && l.egress != "gateway-per-az":
		return fmt.Errorf("egress: must be instance, gateway or gateway-per-az")
	case databaseHour[l.database] == 0:
		return fmt.Errorf("database: must be micro, small, medium or large")
	case l.kilobytes < 0 || l.requests < 0 || l.pollers < 0:
		return fmt.Errorf("kilobytes, requests and pollers: must be 0 or more")
	}
	return nil
}

// runs is how many executions there are in a month.
func (l load) runs() float64 { return float64(l.jobs) * hours * 3600 / l.every.Seconds() }

// shared is how many executions an invocation makes. Cost follows it more than
// anything else: they share the wait and the time of the slowest.
func (l load) shared() int {
	if l.share > 0 {
		return l.share
	}
	return min(l.jobs, 50)
}

// bytesGB is what calls move, in GB.
func (l load) bytesGB() float64 { return l.runs() * l.kilobytes / 1e6 }

func (l load) executor() float64 {
	invocations := l.runs() / float64(l.shared())
	return invocations*lambdaRequest + invocations*(waitSeconds+l.duration.Seconds())*float64(l.memory)/1024*lambdaGBSecond
}

// messages are sent, received and deleted.
func (l load) queue() float64 { return 3 * l.runs() / float64(l.shared()) * sqsRequest }

func (l load) logs() float64 { return l.runs() * logBytes / 1e9 * logGB }

func (l load) traffic() float64 {
	dollars := l.bytesGB() / 2 * internetGB // what is sent
	if l.egress != "instance" {
		dollars += l.bytesGB() * natGatewayGB
	}
	return dollars
}

// variable is what grows with executions.
func (l load) variable() float64 { return l.executor() + l.queue() + l.logs() + l.traffic() }

func (l load) nat() float64 {
	switch l.egress {
	case "gateway":
		return natGatewayHour*hours + publicAddress
	case "gateway-per-az":
		return 2 * (natGatewayHour*hours + publicAddress)
	default:
		return natNanoHour*hours + 8*diskGB + publicAddress
	}
}

func (l load) databaseCost() float64 {
	dollars := databaseHour[l.database]*hours + databaseDisk*databaseGB
	if l.multiAZ {
		dollars *= 2
	}
	return dollars
}

func (l load) items() []item {
	return []item{
		{"database (db.t4g." + l.database + ", 20 GB)", l.databaseCost()},
		{"way out (" + l.egress + ")", l.nat()},
		{"secrets and key", secrets*secret + masterKey},
		{"metrics, alarms, dashboard", ownMetrics*metric + alarms*alarm + dashboard},
		{"ticks and waiting for messages", 60*hours*(lambdaRequest+tickMemory*tickSeconds*lambdaGBSecond) + emptyReceives*sqsRequest},
		{"provisioned pollers", float64(l.pollers) * poller},
		{"API", l.requests * 1e6 * (httpRequest + lambdaRequest + 0.02*lambdaGBSecond)},
		{"calls: executor", l.executor()},
		{"calls: queue", l.queue()},
		{"calls: logs", l.logs()},
		{"calls: traffic", l.traffic()},
	}
}

// elsewhere is what others ask for the same calls.
func (l load) elsewhere() []item {
	millions := l.runs() / 1e6
	return []item{
		{"EventBridge Scheduler + API destination", 2.2 * millions}, // calls of 5 s at most, no history
		{"Cloud Scheduler", 0.10 * float64(l.jobs)},                 // by the job, however often it runs
		{"QStash", 10 * millions},
	}
}
