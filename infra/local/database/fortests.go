package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// maxTestServers bounds the servers that StartForTests runs side by side.
const maxTestServers = 32

// StartForTests starts a throwaway server of the given choice in the user's
// cache. The directories there are used again by later runs, so only the first
// has to prepare one; programs that run at the same time get one each. Schemas
// of earlier runs may still be there.
func StartForTests(ctx context.Context, choice string, progress func(string)) (*Server, error) {
	cache, err := cacheDir(os.TempDir())
	if err != nil {
		return nil, err
	}
	for n := range maxTestServers {
		server, err := Start(ctx, Options{
			DataDir:   filepath.Join(cache, "test-servers", strconv.Itoa(n)),
			Choice:    choice,
			Throwaway: true,
			MemoryMB:  256,
			Progress:  progress,
		})
		if !errors.Is(err, ErrInUse) {
			return server, err
		}
	}
	return nil, fmt.Errorf("database: %d test servers are running already", maxTestServers)
}
