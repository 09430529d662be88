//go:build !unix

package system

// dirLock does nothing where there is no flock: two systems on one data
// directory are then not told apart.
type dirLock struct{}

func lockDir(string) (*dirLock, error) { return &dirLock{}, nil }

func (*dirLock) release() {}
