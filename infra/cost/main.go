// Command cost estimates what an installation costs a month, beside three
// services that also call URLs on a schedule. docs/cost.md tells its inputs and
// what of it was not measured.
//
//	go run ./infra/cost -jobs 1000 -every 1m -duration 500ms
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	var l load
	flags := flag.NewFlagSet("cost", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&l.jobs, "jobs", 100, "jobs")
	flags.DurationVar(&l.every, "every", time.Minute, "time between two runs of a job")
	flags.DurationVar(&l.duration, "duration", time.Second, "how long a call takes")
	flags.IntVar(&l.share, "share", 0, "executions that share an invocation, 1 to 1000; 0: all jobs are due at one instant, at most 50 share")
	flags.IntVar(&l.memory, "memory", 512, "the executor's memory in MB")
	flags.StringVar(&l.egress, "egress", "instance", "instance, gateway or gateway-per-az")
	flags.StringVar(&l.database, "database", "micro", "db.t4g: micro, small, medium or large")
	flags.BoolVar(&l.multiAZ, "multi-az", false, "a standby of the database in another zone")
	flags.Float64Var(&l.kilobytes, "kilobytes", 2, "sent and received by a call, in KB")
	flags.Float64Var(&l.requests, "requests", 0.1, "requests to the API, in millions a month")
	flags.IntVar(&l.pollers, "pollers", 0, "provisioned pollers of both lanes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := l.check(); err != nil {
		return err
	}
	report(out, l)
	return nil
}

func report(out io.Writer, l load) {
	runs := l.runs()
	fmt.Fprintf(out, "%d jobs every %v: %.2f million executions a month, %d an invocation, %v each\n\n", l.jobs, l.every, runs/1e6, l.shared(), l.duration)
	var sum float64
	for _, item := range l.items() {
		sum += item.dollars
		fmt.Fprintf(out, "  %-46s %10.2f\n", item.name, item.dollars)
	}
	fmt.Fprintf(out, "  %-46s %10.2f\n", "all of it, dollars a month", sum)
	fmt.Fprintf(out, "  %-46s %10.2f\n\n", "of that, for a million executions", l.variable()/runs*1e6)
	fmt.Fprintln(out, "the same calls elsewhere (list prices, free tiers left out)")
	for _, other := range l.elsewhere() {
		fmt.Fprintf(out, "  %-46s %10.2f\n", other.name, other.dollars)
	}
}
