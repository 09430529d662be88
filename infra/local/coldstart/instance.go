package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/runtimeapi"
)

// instanceTime bounds one start and all that is asked of it: far more than it
// takes on a busy machine.
const instanceTime = 60 * time.Second

// measurement is what one start took.
type measurement struct {
	ready    time.Duration // from the process's start until it asked for an event
	answered time.Duration // until its first answer was there
	peak     int64         // bytes of memory that were resident at most; 0 where that is not known
}

// instance is one process of a function under a Runtime API of its own.
type instance struct {
	function function
	api      *runtimeapi.Server
	command  *exec.Cmd
	log      bytes.Buffer  // read after done alone
	done     chan struct{} // closed when the process has ended
	alive    context.Context
	began    time.Time
	ready    time.Duration
}

// start starts a function and waits until it asks for an event.
func start(ctx context.Context, f function, command []string, environment []string) (*instance, error) {
	api, err := runtimeapi.Start()
	if err != nil {
		return nil, err
	}
	i := &instance{function: f, api: api, command: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
	i.command.Env = append(environment, "AWS_LAMBDA_RUNTIME_API="+api.Address())
	i.command.Stdout, i.command.Stderr = &i.log, &i.log
	i.began = time.Now()
	if err := i.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.name, err), api.Close())
	}
	alive, ended := context.WithCancelCause(ctx)
	i.alive = alive
	go func() {
		err := i.command.Wait()
		ended(fmt.Errorf("the process ended: %w", err))
		close(i.done)
	}()
	waiting, cancel := i.within(ctx)
	defer cancel()
	if err := api.AwaitReady(waiting); err != nil {
		return nil, i.failed(err)
	}
	i.ready = time.Since(i.began)
	return i, nil
}

// within bounds what is waited for: by ctx, by the process's life and by
// instanceTime.
func (i *instance) within(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithTimeoutCause(ctx, instanceTime, fmt.Errorf("%s are over", instanceTime))
	bounded, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(i.alive, func() { end(context.Cause(i.alive)) })
	return bounded, func() { stop(); end(nil); cancel() }
}

// invoke sends an event and returns the answer.
func (i *instance) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := i.within(ctx)
	defer cancel()
	answer, err := i.api.Invoke(ctx, runtimeapi.Event{
		Payload: payload, ARN: "arn:aws:lambda:" + region + ":000000000000:function:" + i.function.name,
		Trace: trace, Deadline: time.Now().Add(i.function.timeout),
	})
	if err != nil {
		return nil, i.failed(err)
	}
	return answer, nil
}

// first is invoke for the first event, and what the start took until its answer.
func (i *instance) first(ctx context.Context, payload []byte) ([]byte, measurement, error) {
	answer, err := i.invoke(ctx, payload)
	took := measurement{ready: i.ready, answered: time.Since(i.began)}
	if err != nil {
		return nil, took, err
	}
	took.peak = i.peak()
	return answer, took, nil
}

// peak is the most memory that was resident. The kernel's account of an ended
// process would count what its parent held when it was forked as well.
func (i *instance) peak() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.command.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// failed ends the process and adds what it logged to an error.
func (i *instance) failed(err error) error {
	return fmt.Errorf("%s: %w; it logged:\n%s", i.function.name, err, i.stop())
}

// stop ends the process, as Lambda does one that it no longer needs, and returns
// what it logged.
func (i *instance) stop() string {
	_ = i.command.Process.Kill()
	<-i.done
	_ = i.api.Close()
	return i.log.String()
}
