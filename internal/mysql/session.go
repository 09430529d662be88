package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
)

// setting is a session variable that every statement of this package relies on.
type setting struct {
	name  string
	value string // as SQL writes it
	// good are further values that the server may report and that mean the same.
	good []string
}

// settings are those of the production parameter group (infra/data.yaml).
var settings = []setting{
	{name: "time_zone", value: "'+00:00'", good: []string{"+00:00", "UTC"}},
	// The order in which a server lists modes is its own.
	{name: sqlMode, value: "'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"},
	// A lock that is not had by then is tried for again; the server must not go on
	// to wait for it when the connection has been given up.
	{name: "innodb_lock_wait_timeout", value: "5"},
	// The ids that one insert generates are consecutive; see consecutiveIDs.
	{name: "auto_increment_increment", value: "1"},
	{name: isolation, value: "'READ-COMMITTED'"},
}

const (
	sqlMode   = "sql_mode"
	isolation = "transaction_isolation"
	// oldIsolation is its name before MariaDB 11.1.
	oldIsolation = "tx_isolation"
)

// isSet reports whether a value that the server reports is the one wanted.
func (s setting) isSet(value string) bool {
	wanted := strings.Trim(s.value, "'")
	if s.name == sqlMode {
		return slices.Equal(modes(value), modes(wanted))
	}
	return value == wanted || slices.Contains(s.good, value)
}

func modes(list string) []string {
	return slices.Sorted(strings.SplitSeq(list, ","))
}

// session is what is known of a server's sessions: whether they have the
// isolation level by its old name. A guess that is wrong costs a round trip.
type session struct{ old atomic.Bool }

// settle gives a new connection the settings. It asks what they are and sets
// what differs: nothing on AWS, where the parameter group has them all, for RDS
// Proxy gives a session that sets a variable a connection of its own to the
// database until it ends.
func (s *session) settle(ctx context.Context, conn driver.Conn) error {
	queryer, reads := conn.(driver.QueryerContext)
	execer, writes := conn.(driver.ExecerContext)
	if !reads || !writes {
		return errors.New("the driver's connection cannot execute statements")
	}
	old := s.old.Load()
	values, err := readSettings(ctx, queryer, old)
	if hasNumber(err, errUnknownVariable) {
		old = !old
		s.old.Store(old)
		values, err = readSettings(ctx, queryer, old)
	}
	if err != nil {
		return err
	}
	var set []string
	for i, one := range settings {
		if i >= len(values) || !one.isSet(values[i]) {
			// Without its scope, the isolation level would be that of the next
			// transaction alone.
			set = append(set, "SESSION "+one.nameIn(old)+" = "+one.value)
		}
	}
	if len(set) == 0 {
		return nil
	}
	_, err = execer.ExecContext(ctx, "SET "+strings.Join(set, ", "), nil)
	return err
}

// nameIn is the setting's name in a server that has the old ones, or not.
func (s setting) nameIn(old bool) string {
	if s.name == isolation && old {
		return oldIsolation
	}
	return s.name
}

// readSettings reads what a session has of the settings, in their order.
func readSettings(ctx context.Context, queryer driver.QueryerContext, old bool) ([]string, error) {
	names := make([]string, len(settings))
	for i, one := range settings {
		names[i] = "@@" + one.nameIn(old)
	}
	rows, err := queryer.QueryContext(ctx, "SELECT "+strings.Join(names, ", "), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // the one row is read, or an error is told
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	values := make([]string, len(row))
	for i, value := range row {
		if text, ok := value.([]byte); ok {
			value = string(text)
		}
		values[i] = fmt.Sprint(value)
	}
	return values, nil
}
