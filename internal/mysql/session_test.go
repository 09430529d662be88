package mysql_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/templatetest"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// parameterGroup is what the template gives every session on AWS, and what is
// MySQL's own default beside.
func parameterGroup(t *testing.T) map[string]string {
	t.Helper()
	template, err := templatetest.Load(filepath.Join("..", "..", "infra", "data.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	properties := template.Resources["DatabaseParameters"].(templatetest.Object)["Properties"].(templatetest.Object)
	group := map[string]string{"auto_increment_increment": "1"}
	for name, value := range properties["Parameters"].(templatetest.Object) {
		group[name] = fmt.Sprint(value)
	}
	return group
}

// A session that sets a variable has a connection of RDS Proxy to itself.
func TestAServerWithTheParameterGroupIsToldNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		differs map[string]string
		set     string
	}{
		"as in production":       {},
		"modes in another order": {differs: map[string]string{"sql_mode": "NO_ZERO_DATE,NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_IN_DATE"}},
		"UTC by its offset":      {differs: map[string]string{"time_zone": "+00:00"}},
		"the machine's zone":     {differs: map[string]string{"time_zone": "SYSTEM"}, set: "SET SESSION time_zone = '+00:00'"},
		"less strict": {
			differs: map[string]string{"sql_mode": "NO_ENGINE_SUBSTITUTION"},
			set:     "SET SESSION sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
		},
		"defaults of a server": {
			differs: map[string]string{"transaction_isolation": "REPEATABLE-READ", "innodb_lock_wait_timeout": "50"},
			set:     "SET SESSION innodb_lock_wait_timeout = 5, SESSION transaction_isolation = 'READ-COMMITTED'",
		},
		"ids with gaps": {differs: map[string]string{"auto_increment_increment": "2"}, set: "SET SESSION auto_increment_increment = 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := parameterGroup(t)
			for variable, value := range tc.differs {
				variables[variable] = value
			}
			db, server := variableServer(t, variables)
			want := []string{"SELECT @@time_zone, @@sql_mode, @@innodb_lock_wait_timeout, @@auto_increment_increment, @@transaction_isolation"}
			if tc.set != "" {
				want = append(want, tc.set)
			}
			connect(t, db)
			if diff := cmp.Diff(want, server.told()); diff != "" {
				t.Errorf("statements of a new connection (-want +sent):\n%s", diff)
			}
		})
	}
}

// The old name of the isolation level is found once, and not anew for each
// connection.
func TestTheNameOfTheIsolationLevelIsRemembered(t *testing.T) {
	t.Parallel()
	variables := parameterGroup(t)
	variables["tx_isolation"] = "REPEATABLE-READ"
	delete(variables, "transaction_isolation")
	db, server := variableServer(t, variables)
	connect(t, db)
	connect(t, db)
	read := "SELECT @@time_zone, @@sql_mode, @@innodb_lock_wait_timeout, @@auto_increment_increment, @@"
	set := "SET SESSION tx_isolation = 'READ-COMMITTED'"
	want := []string{read + "transaction_isolation", read + "tx_isolation", set, read + "tx_isolation", set}
	if diff := cmp.Diff(want, server.told()); diff != "" {
		t.Errorf("statements of two connections (-want +sent):\n%s", diff)
	}
}

// connect makes one connection of a pool that keeps none.
func connect(t *testing.T, db *sql.DB) {
	t.Helper()
	db.SetMaxIdleConns(0)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// What a server may have is put right, on every engine.
func TestEverySessionIsAsInProduction(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	isolation := "@@transaction_isolation"
	if _, err := db.ExecContext(t.Context(), "SELECT @@transaction_isolation"); err != nil {
		isolation = "@@tx_isolation"
	}
	// More than one, held at once: none is the first one used again.
	for range 3 {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		var zone, mode, wait, increment, level string
		if err := conn.QueryRowContext(t.Context(), "SELECT @@time_zone, @@sql_mode, @@innodb_lock_wait_timeout, @@auto_increment_increment, "+isolation).
			Scan(&zone, &mode, &wait, &increment, &level); err != nil {
			t.Fatal(err)
		}
		modes := strings.Split(mode, ",")
		wanted := strings.Split(parameterGroup(t)["sql_mode"], ",")
		slices.Sort(modes)
		slices.Sort(wanted)
		if diff := cmp.Diff(wanted, modes); diff != "" {
			t.Errorf("modes (-production +session):\n%s", diff)
		}
		if zone != "+00:00" && zone != "UTC" || wait != "5" || increment != "1" || level != "READ-COMMITTED" {
			t.Errorf("time zone %s, lock wait %s, increment %s, isolation %s", zone, wait, increment, level)
		}
		// Still so after a transaction.
		tx, err := conn.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(tx.Commit(), conn.QueryRowContext(t.Context(), "SELECT "+isolation).Scan(&level))
		if err != nil || level != "READ-COMMITTED" {
			t.Errorf("isolation %s after a transaction, %v", level, err)
		}
	}
}

// variables is a server that has session variables and nothing else: whoever logs
// in is let in, and what is said is written down.
type variables struct {
	values map[string]string

	mu         sync.Mutex
	statements []string
}

func variableServer(t *testing.T, values map[string]string) (*sql.DB, *variables) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &variables{values: values}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() { _ = errors.Join(server.serve(conn), conn.Close()) })
		}
	})
	db, err := mysql.Open(mysql.Options{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(db.Close(), listener.Close()); served.Wait() })
	return db, server
}

func (s *variables) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statements)
}

func (s *variables) serve(conn net.Conn) error {
	const nonce = "0123456789abcdefghij"
	const capabilities = 1 | 1<<3 | 1<<9 | 1<<13 | 1<<15 | 1<<19 // 4.1, a database, plugins
	greeting := "\x0a8.4.0\x00\x01\x00\x00\x00" + nonce[:8] + "\x00" + string([]byte{capabilities & 0xff, capabilities >> 8 & 0xff}) +
		"\x2d\x02\x00" + string([]byte{capabilities >> 16 & 0xff, capabilities >> 24}) + "\x15" + strings.Repeat("\x00", 10) + nonce[8:] +
		"\x00mysql_native_password\x00"
	if err := send(conn, 0, greeting); err != nil {
		return err
	}
	if _, err := receive(conn); err != nil {
		return err
	}
	if err := send(conn, 2, ok); err != nil {
		return err
	}
	for {
		command, err := receive(conn)
		if err != nil {
			return err
		}
		if command == "" || command[0] != 3 { // no query: it is over
			return nil
		}
		for i, packet := range s.answer(command[1:]) {
			if err := send(conn, byte(i+1), packet); err != nil {
				return err
			}
		}
	}
}

// The packets that end a login or a statement, and the parts of an answer.
const (
	ok  = "\x00\x00\x00\x02\x00\x00\x00"
	end = "\xfe\x00\x00\x02\x00"
)

// answer writes a statement down and is what it is answered: the variables that
// it asks for, as a row of texts.
func (s *variables) answer(statement string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statements = append(s.statements, statement)
	names, asked := strings.CutPrefix(statement, "SELECT ")
	if !asked {
		return []string{ok}
	}
	var columns []string
	row := ""
	for name := range strings.SplitSeq(names, ", ") {
		value, known := s.values[strings.TrimPrefix(name, "@@")]
		if !known {
			return []string{"\xff\xa9\x04#HY000Unknown system variable"} // 1193
		}
		columns = append(columns, "\x03def\x00\x00\x00"+text(name)+text("")+"\x0c\x2d\x00\x00\x01\x00\x00\xfd\x00\x00\x00\x00\x00")
		row += text(value)
	}
	return slices.Concat([]string{string([]byte{byte(len(columns))})}, columns, []string{end, row, end})
}

// text is a text as a packet holds it, its length before it.
func text(value string) string { return string([]byte{byte(len(value))}) + value }

func send(conn net.Conn, sequence byte, payload string) error {
	_, err := io.WriteString(conn, string([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, sequence})+payload)
	return err
}

func receive(conn net.Conn) (string, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(conn, header); err != nil {
		return "", err
	}
	payload := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	_, err := io.ReadFull(conn, payload)
	return string(payload), err
}
