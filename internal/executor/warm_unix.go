//go:build unix

package executor

import (
	"errors"
	"net"
	"syscall"
)

// stillOpen looks whether the other side has closed the connection, without
// waiting and without taking data off it. Under TLS the other side may speak
// before it is asked, for it sends session tickets; otherwise whatever it says
// is no answer to us.
func stillOpen(conn net.Conn, underTLS bool) bool {
	system, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := system.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		// Nothing to read is as it should be; an end or an error is not.
		open = errors.Is(err, syscall.EAGAIN) || (err == nil && n > 0 && underTLS)
		return true
	})
	return err == nil && open
}

// openFiles is how many files this process may have open at once.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 256
	}
	return int(min(limit.Cur, 1<<14))
}
