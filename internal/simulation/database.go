package simulation

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// neverWait makes MariaDB answer at once where a row is locked.
const neverWait = "SET SESSION innodb_lock_wait_timeout = 0"

// disturbed makes connections whose statements are seams.
type disturbed struct {
	driver.Connector
	s *simulation
}

func (d *disturbed) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := d.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, s: d.s}
	if d.s.fine {
		if _, err := inner.(driver.ExecerContext).ExecContext(ctx, neverWait, nil); err != nil {
			_ = inner.Close()
			return nil, err
		}
	}
	return c, nil
}

// conn is one connection. It is the driver's, but for what it passes on.
type conn struct {
	driver.Conn
	s      *simulation
	broken bool
	tx     *transaction
}

// transaction begins with its first statement.
type transaction struct {
	*conn
	ctx       context.Context
	inner     driver.Tx
	plan      verdict // of a transaction that is one step
	statement int
	began     int // the driver's step
	wrote     bool
	ran       bool // some statement
}

func (c *conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	c.tx = &transaction{conn: c, ctx: ctx}
	return c.tx, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (result driver.Result, err error) {
	err = c.pass(ctx, query, args, true, func(query string) error {
		result, err = c.Conn.(driver.ExecerContext).ExecContext(context.WithoutCancel(ctx), query, args)
		return err
	})
	return result, err
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = c.pass(ctx, query, args, false, func(query string) error {
		answer, err := c.Conn.(driver.QueryerContext).QueryContext(context.WithoutCancel(ctx), query, args)
		if err == nil {
			rows, err = readAll(answer)
		}
		return err
	})
	return rows, err
}

// wholeAnswer is all that a query answers. It is read at once: that a row is locked
// an engine may say only where the first row would come.
type wholeAnswer struct {
	columns []string
	rows    [][]driver.Value
}

func readAll(from driver.Rows) (*wholeAnswer, error) {
	defer func() { _ = from.Close() }()
	a := &wholeAnswer{columns: from.Columns()}
	for {
		row := make([]driver.Value, len(a.columns))
		if err := from.Next(row); errors.Is(err, io.EOF) {
			return a, nil
		} else if err != nil {
			return nil, err
		}
		for i, value := range row {
			if text, ok := value.([]byte); ok {
				row[i] = bytes.Clone(text) // the driver's own
			}
		}
		a.rows = append(a.rows, row)
	}
}

func (a *wholeAnswer) Columns() []string { return a.columns }

func (a *wholeAnswer) Close() error { return nil }

func (a *wholeAnswer) Next(row []driver.Value) error {
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(row, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}

// ResetSession and IsValid keep a broken connection out of the pool.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.broken {
		return driver.ErrBadConn
	}
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}

// IsValid reports whether the pool may keep the connection.
func (c *conn) IsValid() bool { return !c.broken && c.Conn.(driver.Validator).IsValid() }

// CheckNamedValue is the driver's.
func (c *conn) CheckNamedValue(value *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(value)
}

// connectionError is what the product sees of a connection that broke.
func connectionError() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// pass takes one statement through its seam.
func (c *conn) pass(ctx context.Context, query string, args []driver.NamedValue, writes bool, run func(string) error) error {
	if c.broken {
		return driver.ErrBadConn
	}
	stated := c.s.prepared(actorOf(ctx), query)
	v, err := c.stop(ctx, query, args)
	if err != nil {
		return err
	}
	if v.err != nil && !v.after {
		return c.fail(ctx, v)
	}
	if c.tx != nil && c.tx.inner == nil {
		if c.tx.inner, err = c.Conn.(driver.ConnBeginTx).BeginTx(context.WithoutCancel(ctx), driver.TxOptions{}); err != nil {
			return err
		}
		c.tx.began = c.s.step
	}
	err = run(stated)
	for isLocked(err) && c.s.fine {
		if v := c.s.pass(ctx, point{seam: atLock, label: "waits for a lock: " + brief(query), query: query, key: key(query, args), holds: c.tx != nil && c.tx.ran}); v.err != nil {
			if errors.Is(v.err, errHealed) {
				return err // the driver's own, which the product knows
			}
			return c.fail(ctx, v)
		}
		err = run(stated)
	}
	if c.tx != nil {
		c.tx.ran = true
	}
	if writes {
		if c.tx == nil {
			c.s.committed(actorOf(ctx), c.s.step)
		} else {
			c.tx.wrote = true
		}
	}
	if err == nil && v.err != nil {
		return c.fail(ctx, v)
	}
	return err
}

// stop is the stop before a statement, where there is one.
func (c *conn) stop(ctx context.Context, query string, args []driver.NamedValue) (verdict, error) {
	at := point{seam: atStatement, label: brief(query), query: query, key: key(query, args)}
	tx := c.tx
	if tx == nil || c.s.fine {
		return c.s.pass(ctx, at), nil
	}
	tx.statement++
	if tx.statement == 1 {
		tx.plan = c.s.pass(ctx, at)
		if tx.plan.err != nil && tx.plan.statement == 0 {
			return tx.plan, nil
		}
		return verdict{}, nil
	}
	if a := actorOf(ctx); a != nil && a.crashed {
		return verdict{err: errCrashed, crash: true}, nil
	}
	if err := ctx.Err(); err != nil {
		return verdict{}, err
	}
	if tx.plan.err != nil && tx.plan.statement == tx.statement {
		return tx.plan, nil
	}
	return verdict{}, nil
}

// fail breaks the connection: the engine takes back what was not committed.
func (c *conn) fail(ctx context.Context, v verdict) error {
	if a := actorOf(ctx); a != nil && v.crash {
		c.s.crash(a)
	}
	if c.tx != nil {
		_ = c.tx.takeBack()
	}
	if !errors.Is(v.err, context.Canceled) && !errors.Is(v.err, context.DeadlineExceeded) {
		c.broken = true
	}
	return v.err
}

func (t *transaction) Commit() error {
	c := t.conn
	c.tx = nil
	if t.inner == nil {
		return nil
	}
	if c.broken {
		return driver.ErrBadConn
	}
	v := t.plan
	if c.s.fine {
		v = c.s.pass(t.ctx, point{seam: atCommit, label: "COMMIT"})
	} else if v.statement == 0 || v.statement > 0 && v.statement <= t.statement {
		v = verdict{}
	}
	if v.err != nil && !v.after {
		_ = t.takeBack()
		return c.fail(t.ctx, v)
	}
	inner := t.inner
	t.inner = nil
	err := inner.Commit()
	c.s.transactionEnded()
	if err == nil && t.wrote {
		c.s.committed(actorOf(t.ctx), t.began)
	}
	if err == nil && v.err != nil {
		return c.fail(t.ctx, v)
	}
	return err
}

func (t *transaction) Rollback() error {
	t.conn.tx = nil
	return t.takeBack()
}

func (t *transaction) takeBack() error {
	if t.inner == nil {
		return nil
	}
	inner := t.inner
	t.inner = nil
	defer t.s.transactionEnded()
	return inner.Rollback()
}

// isLocked recognises the engine's answer under neverWait.
func isLocked(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "Error 1205 ")
}

// prepared is the statement as it goes to the database, whose clock is ours.
func (s *simulation) prepared(a *actor, query string) string {
	if query == "SELECT UTC_TIMESTAMP(3)" {
		now := time.Now().UTC().Add(s.databaseSkew)
		if a != nil && s.opts.TrustClocks {
			now = a.now().UTC()
		}
		query = "SELECT CAST('" + now.Format("2006-01-02 15:04:05.000") + "' AS DATETIME(3))"
	}
	if s.opts.Rewrite != nil {
		query = s.opts.Rewrite(query)
	}
	return query
}

// brief is the beginning of a statement and, so that one knows it, its table.
func brief(query string) string {
	query = strings.Join(strings.Fields(query), " ")
	if at := strings.Index(query, " FROM "); at > 40 {
		query = query[:20] + " …" + query[at:]
	}
	if runes := []rune(query); len(runes) > 100 {
		query = string(runes[:100]) + "…"
	}
	return query
}

// key orders statements by what they say: numbers by their size, and random
// tokens not at all.
func key(query string, args []driver.NamedValue) string {
	var b strings.Builder
	b.WriteString(brief(query))
	for _, arg := range args {
		switch v := arg.Value.(type) {
		case int64:
			fmt.Fprintf(&b, " %020d", v)
		case []byte:
		case time.Time:
			b.WriteString(" " + v.Format(time.RFC3339Nano))
		default:
			fmt.Fprintf(&b, " %v", v)
		}
	}
	return b.String()
}
