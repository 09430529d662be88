//go:build unix

package database

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// try takes the lock if it is free.
func (l *dirLock) try() bool {
	return syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// inherit lets the child hold the lock too.
func inherit(cmd *exec.Cmd, lock *os.File) {
	if lock != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, lock)
	}
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func terminate(pid int) { signal(pid, syscall.SIGTERM) }

func kill(pid int) { signal(pid, syscall.SIGKILL) }

func signal(pid int, sig syscall.Signal) {
	if pid > 1 {
		_ = syscall.Kill(pid, sig)
	}
}
