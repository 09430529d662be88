package database

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// command is how a server is run.
type command struct {
	path string
	args []string
	// env is added to this program's environment.
	env []string
	// dir is the working directory.
	dir string
	// logFile receives what the server prints and logs.
	logFile string
}

// process is a running server.
type process struct {
	cmd *exec.Cmd
	// exited is closed when the server has stopped.
	exited chan struct{}
}

// errExitedEarly says that a server stopped before it answered.
var errExitedEarly = errors.New("the server stopped at once")

// maxLog is the size in bytes at which a log file is begun anew.
const maxLog = 10 << 20

// run starts a server that holds lock for as long as it lives.
func run(c command, lock *os.File) (*process, error) {
	if info, err := os.Stat(c.logFile); err == nil && info.Size() > maxLog {
		if err := os.Rename(c.logFile, c.logFile+".old"); err != nil {
			return nil, err
		}
	}
	log, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	cmd := exec.Command(c.path, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Dir = c.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	inherit(cmd, lock)

	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The system ties the server's life to the thread that started it, so
		// this one is kept until the server is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the server to shut down, kills it when ctx ends first, and waits.
func (p *process) stop(ctx context.Context) {
	select {
	case <-p.exited:
		return
	default:
	}
	terminate(p.pid())
	// A server that is still starting up may miss the first request.
	again := time.NewTicker(3 * time.Second)
	defer again.Stop()
	for {
		select {
		case <-p.exited:
			return
		case <-again.C:
			terminate(p.pid())
		case <-ctx.Done():
			kill(p.pid())
			<-p.exited
			return
		}
	}
}

// tail is the end of a log, for an error message; empty when there is none.
func tail(logFile string) string {
	data, err := os.ReadFile(logFile)
	if err != nil || len(data) == 0 {
		return ""
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	if len(lines) > 8 {
		lines = lines[len(lines)-8:]
	}
	return fmt.Sprintf("\n%s ends with:\n  %s", logFile, strings.Join(lines, "\n  "))
}
