package chaos

import (
	"bytes"
	"math/rand/v2"
	"net"
	"sync"
)

// LineFaults say how the line to the database misbehaves. The zero value does
// not.
type LineFaults struct {
	// Refuse closes every connection, old and new.
	Refuse bool
	// Stall holds every byte back until the faults change.
	Stall bool
	// CutWithin, when positive, gives each connection a random number of bytes
	// below this, after which it is cut, wherever that is.
	CutWithin int
	// NoCommitReply is the share of commits that reach the server and whose
	// answer is never seen: the connection is cut instead.
	NoCommitReply float64
}

// Proxy is a line to a database that can be made bad.
type Proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	changed *sync.Cond
	faults  LineFaults
	links   map[*link]struct{}
	harm    Harm
}

// Harm is what a proxy has done: a scenario without any shows nothing.
type Harm struct {
	Cut     int // connections that ran out of bytes
	Refused int // connections closed at once, or because all were
	Commits int // commits whose answer was withheld
}

// link is one connection through the proxy. Its fields are the proxy's to lock.
type link struct {
	client, server net.Conn
	budget         int // bytes until it is cut; negative: no limit
	closed         bool
	muted          bool // the next answer is not passed on
	silent         bool // nothing passes any more, for good
}

// NewProxy listens on a free port of the loopback in front of an address.
func NewProxy(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, target: target, links: map[*link]struct{}{}}
	p.changed = sync.NewCond(&p.mu)
	go p.accept()
	return p, nil
}

// Harm is what was done so far.
func (p *Proxy) Harm() Harm {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.harm
}

// Port is where the proxy listens.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Set replaces the faults, for connections that exist as for new ones.
func (p *Proxy) Set(faults LineFaults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults
	for l := range p.links {
		l.budget = faults.newBudget()
		if faults.Refuse {
			p.harm.Refused++
			p.cut(l)
		}
	}
	p.changed.Broadcast()
}

// Silence makes the present connections silent for good, as a firewall does
// that has forgotten them: neither side hears from the other, nor of an end.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.silent = true
	}
}

// Close ends the proxy and every connection.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.Set(LineFaults{Refuse: true})
}

func (f LineFaults) newBudget() int {
	if f.CutWithin <= 0 {
		return -1
	}
	return rand.IntN(f.CutWithin)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	refuse := p.faults.Refuse
	if refuse {
		p.harm.Refused++
	}
	p.mu.Unlock()
	if refuse {
		_ = client.Close()
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server}
	p.mu.Lock()
	l.budget = p.faults.newBudget()
	p.links[l] = struct{}{}
	if p.faults.Refuse {
		p.cut(l)
	}
	p.mu.Unlock()
	go p.pass(l, client, server, true)
	p.pass(l, server, client, false)
}

// cut closes both ends. The caller holds the lock.
func (p *Proxy) cut(l *link) {
	l.closed = true
	_ = l.client.Close()
	_ = l.server.Close()
	delete(p.links, l)
}

// pass copies one direction until either end closes or a fault cuts.
func (p *Proxy) pass(l *link, from, to net.Conn, toServer bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		passed, last := p.judge(l, buffer[:n], toServer)
		if len(passed) > 0 {
			if _, writeErr := to.Write(passed); writeErr != nil {
				last = true
			}
		}
		if err != nil || last {
			p.end(l)
			return
		}
	}
}

// end cuts a link, unless it is silent: then the other side must not hear of it.
func (p *Proxy) end(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.silent && !p.faults.Refuse {
		_ = l.client.Close()
		return
	}
	p.cut(l)
}

// judge decides what of some bytes is passed on, and whether they are the last.
// It waits while the line is stalled.
func (p *Proxy) judge(l *link, data []byte, toServer bool) (passed []byte, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.faults.Stall && !l.closed {
		p.changed.Wait()
	}
	switch {
	case l.closed:
		return nil, true
	case l.silent:
		return nil, false
	case !toServer && l.muted:
		return nil, true
	}
	if toServer && isCommit(data) && rand.Float64() < p.faults.NoCommitReply {
		l.muted = true
		p.harm.Commits++
	}
	if l.budget >= 0 {
		if len(data) >= l.budget {
			p.harm.Cut++
			return data[:l.budget], true
		}
		l.budget -= len(data)
	}
	return data, false
}

// isCommit tells the packet in which a client asks for a commit: a length of
// three bytes, a number, and the text as a query (3).
func isCommit(packet []byte) bool {
	return len(packet) > 5 && packet[3] == 0 && packet[4] == 3 && bytes.EqualFold(packet[5:], []byte("COMMIT"))
}
