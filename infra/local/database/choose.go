package database

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// choose picks the engine that opts asks for.
func choose(ctx context.Context, opts Options) (engine, error) {
	switch opts.Choice {
	case Embedded:
		return &tidb{}, nil
	case Installed:
		found, unusable := findInstalled(ctx)
		if len(found) == 0 {
			return nil, fmt.Errorf("no usable mysqld or mariadbd found%s", unusable)
		}
		return found[0], nil
	case Auto, "":
		return chooseAuto(ctx, opts)
	default:
		if !strings.ContainsRune(opts.Choice, filepath.Separator) {
			return nil, fmt.Errorf("unknown choice %q: want %s, %s, %s or the path of a server", opts.Choice, Auto, Installed, Embedded)
		}
		return identify(ctx, opts.Choice)
	}
}

// chooseAuto stays with the engine whose data the directory holds: another one
// would come up empty, as if everything had been lost.
func chooseAuto(ctx context.Context, opts Options) (engine, error) {
	last, err := loadState(opts.DataDir)
	if err != nil {
		return nil, err
	}
	if opts.Throwaway {
		last.Kind = ""
	}
	if last.Kind == embeddedKind {
		return &tidb{}, nil
	}
	found, unusable := findInstalled(ctx)
	if last.Kind == "" {
		if len(found) > 0 {
			return found[0], nil
		}
		if unusable != "" {
			opts.Progress("passing over an installed server" + unusable)
		}
		return &tidb{}, nil
	}
	for _, server := range found {
		if server.kind() == last.Kind {
			return server, nil
		}
	}
	return nil, fmt.Errorf("%s holds data of a %s server, and none is installed any more%s: install it again, or move the directory away to begin anew",
		opts.DataDir, last.Kind, unusable)
}

// The oldest versions that the product's SQL was tried on.
var (
	oldestMySQL   = version{8, 0, 22}
	oldestMariaDB = version{10, 11, 0}
)

// systemDirs are searched after PATH, which for people other than root often
// leaves them out.
var systemDirs = []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/opt/homebrew/bin"}

// findInstalled lists the usable servers on this machine, MySQL before MariaDB
// since it is what production runs; unusable tells of those that are too old.
func findInstalled(ctx context.Context) (found []*installed, unusable string) {
	for _, name := range []string{"mysqld", "mariadbd"} {
		for _, path := range lookup(name) {
			server, err := identify(ctx, path)
			switch {
			case err != nil:
				unusable += fmt.Sprintf(" (%s: %v)", path, err)
			case !slices.ContainsFunc(found, func(s *installed) bool { return s.name == server.name }):
				found = append(found, server)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *installed) int { return strings.Compare(b.name, a.name) })
	return found, unusable
}

// lookup finds a program on PATH and in the system's directories.
func lookup(name string) []string {
	var paths []string
	if path, err := exec.LookPath(name); err == nil {
		paths = append(paths, path)
	}
	for _, dir := range systemDirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// identify asks a server binary what it is.
func identify(ctx context.Context, path string) (*installed, error) {
	out, err := exec.CommandContext(ctx, path, "--no-defaults", "--version").Output()
	if err != nil {
		return nil, err
	}
	return parseVersion(path, string(out))
}

// versionLine finds the version in lines such as
//
//	mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)
//	mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)
var versionLine = regexp.MustCompile(`Ver (\d+)\.(\d+)\.(\d+)`)

func parseVersion(path, line string) (*installed, error) {
	m := versionLine.FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("cannot tell its version from %q", strings.TrimSpace(line))
	}
	var v version
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1]) // the pattern admits digits alone
	}
	server, oldest := &installed{name: "MySQL", path: path, version: v}, oldestMySQL
	if strings.Contains(line, "MariaDB") {
		server.name, oldest = "MariaDB", oldestMariaDB
	}
	if slices.Compare(v[:], oldest[:]) < 0 {
		return nil, fmt.Errorf("%s %s is older than %s", server.name, v, oldest)
	}
	return server, nil
}

// version is major, minor, patch.
type version [3]int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }
