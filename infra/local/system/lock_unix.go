//go:build unix

package system

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// dirLock keeps two systems off one data directory. The kernel lets go of it
// when the process ends, however it ends.
type dirLock struct{ file *os.File }

func lockDir(dir string) (*dirLock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "system.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("the data directory %s is in use by another local system; stop that one, or set LOCAL_DATA_DIR", dir)
	}
	return &dirLock{file}, nil
}

func (l *dirLock) release() { _ = l.file.Close() }
