package main

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// roundTrips counts what connections ask of their server: statements, begins
// and ends of transactions, each one exchange on the wire; and by kind of
// statement how often and how long.
type roundTrips struct {
	mu     sync.Mutex
	n      int64
	failed int64 // transactions
	byKind map[string]*spent
}

// spent is how often a kind of statement was sent, and how long the server took
// to begin its answer.
type spent struct {
	times int
	total time.Duration
}

// kindLength is how much of a statement's text names its kind.
const kindLength = 70

func (r *roundTrips) note(query string, began time.Time, trips int64) {
	took := time.Since(began)
	kind := strings.Join(strings.Fields(query[:min(len(query), 2*kindLength)]), " ")
	kind = kind[:min(len(kind), kindLength)]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n += trips
	if r.byKind == nil {
		r.byKind = map[string]*spent{}
	}
	if r.byKind[kind] == nil {
		r.byKind[kind] = &spent{}
	}
	r.byKind[kind].times++
	r.byKind[kind].total += took
}

func (r *roundTrips) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n, r.failed, r.byKind = 0, 0, nil
}

func (r *roundTrips) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// lost is how many transactions were rolled back, each to be tried again or
// given up; statements that stand alone are transactions too.
func (r *roundTrips) lost() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *roundTrips) lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
}

// print lists the kinds of statements since the last reset, the dearest first.
func (r *roundTrips) print() {
	r.mu.Lock()
	defer r.mu.Unlock()
	kinds := slices.SortedFunc(maps.Keys(r.byKind), func(a, b string) int { return cmp.Compare(r.byKind[b].total, r.byKind[a].total) })
	for _, kind := range kinds {
		s := r.byKind[kind]
		fmt.Printf("    %8.1f ms %6d × %7.2f ms  %s\n", float64(s.total.Microseconds())/1000, s.times,
			float64(s.total.Microseconds())/1000/float64(s.times), kind)
	}
}

// countingConnector counts the round trips of the connections that it makes,
// without those that set a connection up.
type countingConnector struct {
	driver.Connector
	trips *roundTrips
}

func (c countingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &countingConn{driverConn: conn.(driverConn), trips: c.trips}, nil
}

// driverConn is all that database/sql uses of the driver's connections; an
// interface that were not passed on would change what is measured.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type countingConn struct {
	driverConn
	trips *roundTrips
	inTx  bool
}

func (c *countingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.trips.note(query, time.Now(), 1)
	result, err := c.driverConn.ExecContext(ctx, query, args)
	if err != nil && !c.inTx {
		c.trips.lose()
	}
	return result, err
}

func (c *countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	defer c.trips.note(query, time.Now(), 1)
	return c.driverConn.QueryContext(ctx, query, args)
}

// PrepareContext counts as two, for the execution that follows is another.
func (c *countingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	defer c.trips.note(query, time.Now(), 2)
	return c.driverConn.PrepareContext(ctx, query)
}

func (c *countingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer c.trips.note("BEGIN", time.Now(), 1)
	tx, err := c.driverConn.BeginTx(ctx, opts)
	c.inTx = err == nil
	return countingTx{tx, c}, err
}

type countingTx struct {
	driver.Tx
	conn *countingConn
}

func (t countingTx) Commit() error {
	defer t.conn.trips.note("COMMIT", time.Now(), 1)
	t.conn.inTx = false
	return t.Tx.Commit()
}

func (t countingTx) Rollback() error {
	defer t.conn.trips.note("ROLLBACK", time.Now(), 1)
	t.conn.trips.lose()
	t.conn.inTx = false
	return t.Tx.Rollback()
}
