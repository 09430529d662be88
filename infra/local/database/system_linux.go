package database

import "syscall"

// childAttributes puts the server into a process group of its own, so that an
// interrupt typed at a terminal reaches this program alone and the server is
// stopped last; and has the system stop the server when this program dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
