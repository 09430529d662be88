package database

import (
	"os"
	"os/exec"
	"syscall"
)

// Windows has neither flock nor signals: a data directory is not guarded there
// against a second run, and a server is ended rather than asked to stop, which
// its data survives.

func (l *dirLock) try() bool { return true }

func inherit(*exec.Cmd, *os.File) {}

func alive(int) bool { return false }

func terminate(pid int) { kill(pid) }

func kill(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

func childAttributes() *syscall.SysProcAttr { return nil }
