package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tidb is the embedded engine: TiDB on its single-process store, built from
// source by the go command.
type tidb struct {
	binary string
}

const embeddedKind = "tidb"

func (t *tidb) kind() string { return embeddedKind }

func (t *tidb) String() string { return "TiDB (embedded)" }

// prepare builds the server where that has not been done, and removes a data
// directory whose first start was interrupted.
func (t *tidb) prepare(ctx context.Context, opts Options) error {
	binary, err := buildTiDB(ctx, opts)
	if err != nil {
		return err
	}
	t.binary = binary
	_, err = os.Stat(tidbReady(opts.DataDir))
	if errors.Is(err, fs.ErrNotExist) || opts.Throwaway {
		return t.discard(opts)
	}
	return err
}

func (t *tidb) discard(opts Options) error { return os.RemoveAll(tidbData(opts)) }

// tidbConfig leaves out what serves a cluster; %s and %d are filled by command.
// auto-tls costs a key generation at each start, and nothing leaves loopback.
const tidbConfig = `host = "127.0.0.1"
port = %d
store = "unistore"
path = %s
socket = ""
temp-dir = %s
tmp-storage-path = %s
initialize-sql-file = %s
lease = "1s"
new_collations_enabled_on_first_bootstrap = true
split-table = false
enable-telemetry = false

[log]
level = "error"
slow-query-file = %s

[security]
auto-tls = false

[status]
report-status = false

[performance]
server-memory-quota = 0
txn-total-size-limit = 1073741824
gogc = 50

[instance]
tidb_enable_slow_log = false
max_connections = 400
`

func (t *tidb) command(opts Options, at state) (command, error) {
	in := func(name string) string { return filepath.Join(opts.DataDir, name) }
	config := fmt.Sprintf(tidbConfig, at.Port, strconv.Quote(tidbData(opts)), strconv.Quote(in("tidb-temp")),
		strconv.Quote(in("tidb-temp")), strconv.Quote(in("init.sql")), strconv.Quote(in("tidb-slow.log")))
	first := accountSQL(at.Password) + "ALTER USER 'root'@'%' IDENTIFIED BY '" + at.Password + "';\n"
	err := errors.Join(
		replaceFile(in("init.sql"), []byte(first)),
		replaceFile(in("tidb.toml"), []byte(config)),
	)
	return command{
		path:    t.binary,
		args:    []string{"-config", in("tidb.toml")},
		env:     []string{"TZ=UTC"},
		dir:     opts.DataDir, // where it leaves records of its own
		logFile: in("tidb.log"),
	}, err
}

// tidbSettings are stored by the server, and set at every start for the sake of
// directories made before one was added. They mirror the production parameter
// group, and switch on what MySQL has and TiDB leaves off: shared locks (taken
// as exclusive ones) and CHECK constraints.
var tidbSettings = []string{
	"tidb_enable_shared_lock_promotion = ON",
	"tidb_enable_check_constraint = ON",
	"transaction_isolation = 'READ-COMMITTED'",
	"innodb_lock_wait_timeout = 5",
	"time_zone = '+00:00'",
	// Made for a machine of its own: it let garbage grow to five times the data.
	"tidb_enable_gogc_tuner = OFF",
	"tidb_memory_usage_alarm_ratio = 0",
}

// settle applies the settings and marks the directory as complete.
func (t *tidb) settle(ctx context.Context, s *Server) error {
	db, err := open(s.DSN(""), nil)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, setting := range tidbSettings {
		if _, err := db.ExecContext(ctx, "SET GLOBAL "+setting); err != nil {
			return fmt.Errorf("set %s: %w", setting, err)
		}
	}
	return replaceFile(tidbReady(filepath.Dir(s.LogFile)), nil)
}

func tidbReady(dataDir string) string { return filepath.Join(dataDir, "tidb.ready") }

// tidbData is the directory of the store. One under this name is kept in memory
// by the store, which is what a throwaway server is given.
func tidbData(opts Options) string {
	if opts.Throwaway {
		return filepath.Join(os.TempDir(), "tidb-unistore-temp-"+strings.Trim(strings.Map(plain, opts.DataDir), "-"))
	}
	return filepath.Join(opts.DataDir, "tidb")
}

// plain maps a path's characters to those of a file name.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}
