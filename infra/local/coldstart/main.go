// Command coldstart measures how the built functions start: each in a process of
// its own, under a stand-in for the Lambda Runtime API, with a real database and
// a queue that speaks SQS, and no container. It fails when a function does not
// start, answers wrongly, or has grown over what may be uploaded.
//
//	make bench-cold-start                     builds them for this machine first
//	make bench-cold-start ARGS='-starts 1'    once each, as CI does
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

func main() {
	starts := flag.Int("starts", 20, "how often each function is started; medians are printed")
	directory := flag.String("dir", filepath.Join(".build", runtime.GOARCH), "where make build put the functions")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := measure(ctx, *starts, *directory); err != nil {
		fmt.Fprintln(os.Stderr, "coldstart:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be undone
	}
}

func measure(ctx context.Context, starts int, directory string) error {
	if starts < 1 {
		return errors.New("-starts must be at least 1")
	}
	at, err := whereFromEnvironment()
	if err != nil {
		return err
	}
	stage, err := newStage(at)
	if err != nil {
		return err
	}
	defer stage.close()
	binary := func(name string) string { return filepath.Join(directory, name, "bootstrap") }
	j := &journey{
		stage: stage, starts: starts, root: ".",
		commands: func(name string) []string { return []string{binary(name)} },
	}
	if err := j.run(ctx); err != nil {
		return err
	}
	sizes := map[string]size{}
	for _, f := range []function{api, tick, executor, migrate} {
		if sizes[f.name], err = sizeOf(binary(f.name)); err != nil {
			return err
		}
	}
	fmt.Print(table(j.results, sizes))
	return tooLarge(sizes)
}
