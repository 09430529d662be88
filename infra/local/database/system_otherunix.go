//go:build unix && !linux

package database

import "syscall"

// childAttributes puts the server into a process group of its own, so that an
// interrupt typed at a terminal reaches this program alone and the server is
// stopped last. Should this program be killed, the next start stops the server.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
