package mysql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"

	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// hooked makes connections on which a test can do something at a statement or at
// a commit.
type hooked struct {
	driver.Connector
	mu sync.Mutex
	// before is called with each statement that changes something.
	before func(query string)
	// asked is called before each statement that reads.
	asked func(query string)
	// committed is called after each commit; an error takes the place of its
	// answer, and breaks the connection.
	committed func() error
}

// hook opens the world's database once more, and gives it to its store.
func (w *world) hook() *hooked {
	w.t.Helper()
	h, db := w.hooked()
	w.store = mysql.NewExecutions(db).WithKeys(w.ring)
	return h
}

// hooked opens the world's database once more.
func (w *world) hooked() (*hooked, *sql.DB) {
	w.t.Helper()
	at := mysqltest.Options(w.t)
	at.Database = w.text("SELECT DATABASE()")
	connector, err := mysql.Connector(at)
	if err != nil {
		w.t.Fatal(err)
	}
	h := &hooked{Connector: connector}
	db := sql.OpenDB(h)
	w.t.Cleanup(func() { _ = db.Close() })
	return h, db
}

func (h *hooked) set(before func(string), committed func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before, h.committed = before, committed
}

func (h *hooked) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := h.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &hookedConn{Conn: c, hooks: h}, nil
}

type hookedConn struct {
	driver.Conn
	hooks  *hooked
	broken bool
}

func (c *hookedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.hooks.mu.Lock()
	asked := c.hooks.asked
	c.hooks.mu.Unlock()
	if asked != nil {
		asked(query)
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *hookedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.hooks.mu.Lock()
	before := c.hooks.before
	c.hooks.mu.Unlock()
	if before != nil {
		before(query)
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *hookedConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(v)
}

func (c *hookedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	return hookedTx{tx, c}, err
}

func (c *hookedConn) IsValid() bool { return !c.broken }

type hookedTx struct {
	driver.Tx
	conn *hookedConn
}

func (tx hookedTx) Commit() error {
	if err := tx.Tx.Commit(); err != nil {
		return err
	}
	tx.conn.hooks.mu.Lock()
	committed := tx.conn.hooks.committed
	tx.conn.hooks.mu.Unlock()
	if committed == nil {
		return nil
	}
	err := committed()
	tx.conn.broken = err != nil
	return err
}
