package database

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// tidbPackage is the program of the module in infra/local/tidb, which pins
	// its version and is apart so that nothing else depends on it.
	tidbPackage = "github.com/pingcap/tidb/cmd/tidb-server"
	tidbModule  = "infra/local/tidb"
)

// buildTiDB builds the server into the user's cache and returns its path; a
// later call finds it there. Programs that build at the same time take turns.
func buildTiDB(ctx context.Context, opts Options) (string, error) {
	module, err := findModule()
	if err != nil {
		return "", err
	}
	version, err := moduleHash(module)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir(opts.DataDir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(cache, "tidb-server-"+version)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	lock, err := os.OpenFile(filepath.Join(cache, "build.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	turn := &dirLock{file: lock}
	defer turn.release()
	if !turn.try() {
		opts.Progress("waiting for another program that is building the embedded database")
		if !turn.await(ctx, time.Hour) {
			return "", errors.New("another program's build of the embedded database does not end")
		}
	}
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := compile(ctx, module, binary, opts.Progress); err != nil {
		return "", fmt.Errorf("build the embedded database: %w", err)
	}
	return binary, nil
}

// compile downloads and builds the server, telling how far it is.
func compile(ctx context.Context, module, binary string, progress func(string)) error {
	began := time.Now()
	progress("building the embedded database (TiDB) from source: once, about 4 minutes on 2 idle cores, and 4 GB of disk for Go's caches")

	deps, err := goCommand(ctx, module, "list", "-deps", tidbPackage)
	if err != nil {
		return err
	}
	stopDownload := every(10*time.Second, func() {
		progress(fmt.Sprintf("downloading modules, %s so far", elapsed(began)))
	})
	out, err := deps.Output()
	stopDownload()
	if err != nil {
		return describe(err)
	}
	total := strings.Count(string(out), "\n")

	part := binary + ".part"
	build, err := goCommand(ctx, module, "build", "-v", "-ldflags=-s -w", "-o", part, tidbPackage)
	if err != nil {
		return err
	}
	stderr, err := build.StderrPipe()
	if err != nil {
		return err
	}
	var done atomic.Int64
	stopBuild := every(10*time.Second, func() {
		progress(fmt.Sprintf("compiling, %d of at most %d packages, %s so far", done.Load(), total, elapsed(began)))
	})
	defer stopBuild()
	if err := build.Start(); err != nil {
		return err
	}
	complaints := count(stderr, &done)
	if err := build.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, complaints)
	}
	if err := os.Rename(part, binary); err != nil {
		return err
	}
	progress(fmt.Sprintf("built the embedded database in %s: %s", elapsed(began), binary))
	return nil
}

// goCommand prepares a run of the go command inside the module.
func goCommand(ctx context.Context, module string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return nil, fmt.Errorf("the go command is needed: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=")
	return cmd, nil
}

// count counts the package names that a verbose build prints and returns the
// lines that are none.
func count(r io.Reader, done *atomic.Int64) string {
	var other []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if line := lines.Text(); strings.ContainsAny(line, " #:") {
			other = append(other, line)
		} else {
			done.Add(1)
		}
	}
	return lastLines(strings.Join(other, "\n"), 10)
}

// every calls f at an interval until the returned function is called.
func every(interval time.Duration, f func()) (stop func()) {
	ticker, done := time.NewTicker(interval), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}

func elapsed(since time.Time) time.Duration { return time.Since(since).Round(time.Second) }

// describe adds what a command printed to its error.
func describe(err error) error {
	if exit := new(exec.ExitError); errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, lastLines(string(exit.Stderr), 10))
	}
	return err
}

// findModule finds the directory of the pinned server: above the working
// directory, or above this file where it was compiled.
func findModule() (string, error) {
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	for _, dir := range starts {
		for ; ; dir = filepath.Dir(dir) {
			module := filepath.Join(dir, filepath.FromSlash(tidbModule))
			if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
				return module, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("%s not found: the embedded database is built in a checkout of the repository", tidbModule)
}

// moduleHash names one exact set of sources and the compiler that reads it.
func moduleHash(module string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	fmt.Fprint(h, runtime.GOOS, runtime.GOARCH)
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// cacheDir is where a built server is kept: the user's cache, or another
// directory for a user who has none.
func cacheDir(otherwise string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = otherwise
	}
	dir = filepath.Join(dir, "cron-jobs")
	return dir, os.MkdirAll(dir, 0o700)
}
