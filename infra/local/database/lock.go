package database

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// dirLock is the exclusive right to a data directory.
//
// The server inherits the locked file, so the lock is held for as long as the
// program that took it or its server lives. A lock that is held although its
// owner is dead therefore means a server left behind.
type dirLock struct {
	file *os.File
}

// orphanGrace is how long a server left behind may take to stop by itself
// before it is told to, and again before it is killed.
const orphanGrace = 15 * time.Second

// acquire takes the lock of dir, after stopping a server left behind by a
// program that died.
func acquire(ctx context.Context, dir string, progress func(string)) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	lock := &dirLock{file: f}
	if lock.try() {
		return lock, nil
	}
	last, err := loadState(dir)
	if err != nil {
		lock.release()
		return nil, err
	}
	if last.Owner == 0 || alive(last.Owner) {
		lock.release()
		return nil, fmt.Errorf("%w: %s (process %d)", ErrInUse, dir, last.Owner)
	}
	progress(fmt.Sprintf("stopping the database server that an earlier run left behind (process %d)", last.Server))
	for _, end := range []func(int){terminate, kill} {
		end(last.Server)
		if lock.await(ctx, orphanGrace) {
			return lock, nil
		}
	}
	lock.release()
	return nil, fmt.Errorf("%w: %s, by a server left behind (process %d) that does not stop", ErrInUse, dir, last.Server)
}

// await tries to take the lock until it has it or the time is up.
func (l *dirLock) await(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if l.try() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (l *dirLock) release() { _ = l.file.Close() }
