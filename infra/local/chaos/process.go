package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// childVariable marks a child process in its environment.
const childVariable = "CHAOS_CHILD"

// IsChild reports whether this process is to be a system, not a scenario.
func IsChild() bool { return os.Getenv(childVariable) != "" }

// Process is a system in a process of its own. Its log is Dir/system.log.
type Process struct {
	// URL is where its API is.
	URL string
	// Settings are what it was started with, and can be started with again.
	Settings Settings

	cmd    *exec.Cmd
	orders io.WriteCloser
	encode *json.Encoder
	exited chan struct{}
	once   sync.Once
}

// startTimeout bounds a child's start.
const startTimeout = 60 * time.Second

// StartProcess runs this program again as a system, and returns once it serves.
func StartProcess(ctx context.Context, settings Settings) (_ *Process, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(settings.Dir, "system.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	// Not CommandContext: the context bounds the start alone.
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = log
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Settings: settings, cmd: cmd, orders: orders, encode: json.NewEncoder(orders), exited: make(chan struct{})}
	greeted := make(chan greeting, 1)
	go func() {
		var hello greeting
		if err := json.NewDecoder(out).Decode(&hello); err != nil {
			hello.Err = fmt.Sprintf("the system ended before it served: %v", err)
		}
		greeted <- hello
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		close(p.exited)
	}()
	if err := p.encode.Encode(settings); err != nil {
		p.Kill()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case hello := <-greeted:
		if hello.Err != "" {
			p.Kill()
			return nil, errors.New(hello.Err)
		}
		p.URL = hello.URL
		return p, nil
	case <-ctx.Done():
		p.Kill()
		return nil, fmt.Errorf("the system does not start: %w", ctx.Err())
	}
}

// SetQueue replaces the queue's faults. A process that has died is past caring.
func (p *Process) SetQueue(faults QueueFaults) { _ = p.encode.Encode(faults) }

// Kill ends the process as a crash does (SIGKILL), and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Exited is closed when the process has ended, whoever ended it.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop ends the process in order, or kills it after a while.
func (p *Process) Stop() {
	p.once.Do(func() { _ = p.orders.Close() })
	select {
	case <-p.exited:
	case <-time.After(25 * time.Second):
		p.Kill()
	}
}
