package database

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// installed is a MySQL or MariaDB server found on this machine.
type installed struct {
	// name is MySQL or MariaDB.
	name    string
	path    string
	version version
}

func (s *installed) kind() string { return strings.ToLower(s.name) }

func (s *installed) String() string { return fmt.Sprintf("%s %s (%s)", s.name, s.version, s.path) }

// noFileExports stands in for MySQL's built-in directory of file exports, on
// which it insists, and which is often not there or not for everyone.
const noFileExports = "--secure-file-priv=NULL"

// prepare makes the server's own tables in a new data directory.
func (s *installed) prepare(ctx context.Context, opts Options) error {
	dir := s.dataDir(opts)
	if _, err := os.Stat(dir); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	opts.Progress("preparing a database directory for " + s.String())
	// Made elsewhere and renamed, so that an interrupted attempt leaves nothing
	// that looks complete.
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	init, args := s.path, []string{"--no-defaults", "--initialize-insecure", "--datadir=" + part, noFileExports}
	if s.name == "MariaDB" {
		script, err := s.installScript()
		if err != nil {
			return err
		}
		// The script trips over spaces, so it is given a path of our own making.
		link, err := linkTo(opts.DataDir)
		if err != nil {
			return err
		}
		defer os.RemoveAll(filepath.Dir(link))
		init, args = script, []string{
			"--no-defaults", "--datadir=" + filepath.Join(link, filepath.Base(part)),
			"--skip-test-db", "--skip-name-resolve",
			"--auth-root-authentication-method=socket",
		}
	}
	args = append(args, asRoot()...)
	cmd := exec.CommandContext(ctx, init, args...)
	temp, err := ownTemp(opts)
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", init, err, lastLines(string(out), 20))
	}
	return os.Rename(part, dir)
}

// ownTemp is a directory for a server's temporary tables: a MariaDB that starts
// removes those that it finds, another server's included.
func ownTemp(opts Options) (string, error) {
	dir := filepath.Join(opts.DataDir, "tmp")
	return dir, os.MkdirAll(dir, 0o700)
}

// linkTo makes a link to a directory, in a new temporary directory.
func linkTo(dir string) (string, error) {
	temp, err := os.MkdirTemp("", "cron-jobs-")
	if err != nil {
		return "", err
	}
	link := filepath.Join(temp, "link")
	return link, os.Symlink(dir, link)
}

// installScript finds MariaDB's script that makes a data directory.
func (s *installed) installScript() (string, error) {
	for _, name := range []string{"mariadb-install-db", "mysql_install_db"} {
		for _, path := range append(lookup(name), filepath.Join(filepath.Dir(s.path), "..", "bin", name)) {
			if found, err := exec.LookPath(path); err == nil {
				return found, nil
			}
		}
	}
	return "", errors.New("mariadb-install-db is not installed")
}

// command runs the server with what the production parameter group sets, and
// with the memory of a guest.
func (s *installed) command(opts Options, at state) (command, error) {
	temp, err := ownTemp(opts)
	if err != nil {
		return command{}, err
	}
	init := filepath.Join(opts.DataDir, "init.sql")
	if err := replaceFile(init, []byte(accountSQL(at.Password))); err != nil {
		return command{}, err
	}
	c := command{
		path: s.path,
		args: []string{
			"--no-defaults", // first, or it is not understood
			"--datadir=" + s.dataDir(opts),
			"--tmpdir=" + temp,
			"--bind-address=127.0.0.1",
			"--port=" + strconv.Itoa(at.Port),
			"--socket=" + socketPath(opts.DataDir),
			"--pid-file=" + filepath.Join(opts.DataDir, "server.pid"),
			"--init-file=" + init,
			"--skip-name-resolve",
			"--character-set-server=utf8mb4",
			"--collation-server=utf8mb4_unicode_ci",
			"--default-time-zone=+00:00",
			"--transaction-isolation=READ-COMMITTED",
			"--innodb-lock-wait-timeout=5",
			"--max-allowed-packet=64M",
			"--max-connections=400",
			"--innodb-buffer-pool-size=" + strconv.Itoa(opts.MemoryMB) + "M",
			"--performance-schema=OFF",
			"--skip-log-bin",
		},
		dir:     opts.DataDir,
		logFile: filepath.Join(opts.DataDir, s.kind()+".log"),
	}
	if s.name == "MySQL" {
		c.args = append(c.args, "--mysqlx=OFF", "--log-error-verbosity=1", noFileExports)
	} else {
		c.args = append(c.args, "--log-warnings=1")
	}
	if opts.Throwaway {
		c.args = append(c.args, "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF")
		if runtime.GOOS != "windows" {
			c.args = append(c.args, "--innodb-flush-method=nosync")
		}
	}
	c.args = append(c.args, asRoot()...)
	return c, nil
}

func (s *installed) settle(context.Context, *Server) error { return nil }

func (s *installed) discard(opts Options) error { return os.RemoveAll(s.dataDir(opts)) }

func (s *installed) dataDir(opts Options) string { return filepath.Join(opts.DataDir, s.kind()) }

// accountSQL makes the account of Server at every start: one file serves new
// directories and those whose state file was lost.
func accountSQL(password string) string {
	account := "'" + user + "'@'%'"
	return "CREATE USER IF NOT EXISTS " + account + " IDENTIFIED BY '" + password + "';\n" +
		"ALTER USER " + account + " IDENTIFIED BY '" + password + "';\n" +
		"GRANT ALL PRIVILEGES ON *.* TO " + account + " WITH GRANT OPTION;\n"
}

// asRoot is the argument without which a server refuses to run as root.
func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// maxSocketPath is what every system's socket addresses hold.
const maxSocketPath = 100

// socketPath is where the server puts the socket that it insists on.
func socketPath(dataDir string) string {
	path := filepath.Join(dataDir, "server.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(dataDir))
	return filepath.Join(os.TempDir(), fmt.Sprintf("cron-jobs-%x.sock", h.Sum64()))
}

// lastLines is the end of a text, on one line.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
