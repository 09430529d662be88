package chaos

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

// echoServer answers every line with itself.
func echoServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = conn.Write([]byte(line))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// dial connects through the proxy; ask sends a line and reads the answer.
func dial(t *testing.T, p *Proxy) (ask func(line string) (string, error)) {
	t.Helper()
	conn, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	return func(line string) (string, error) {
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return "", err
		}
		if _, err := conn.Write([]byte(line + "\n")); err != nil {
			return "", err
		}
		answer, err := in.ReadString('\n')
		return strings.TrimSuffix(answer, "\n"), err
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	p, err := NewProxy(echoServer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ask := dial(t, p)
	if got, err := ask("hello"); err != nil || got != "hello" {
		t.Fatalf("a good line answers %q, %v", got, err)
	}

	p.Set(LineFaults{CutWithin: 1})
	if got, err := ask("hello"); err == nil {
		t.Errorf("a line that is to be cut answers %q", got)
	}
	p.Set(LineFaults{Refuse: true})
	if got, err := dial(t, p)("hello"); err == nil {
		t.Errorf("a line that refuses answers %q", got)
	}
	if harm := p.Harm(); harm.Cut != 1 || harm.Refused != 1 {
		t.Errorf("harm done is %+v, want one cut and one refusal", harm)
	}

	p.Set(LineFaults{Stall: true})
	ask = dial(t, p)
	answered := make(chan string, 1)
	go func() {
		got, _ := ask("late")
		answered <- got
	}()
	select {
	case got := <-answered:
		t.Errorf("a stalled line answers %q", got)
	case <-time.After(50 * time.Millisecond):
	}
	p.Set(LineFaults{})
	if got := <-answered; got != "late" {
		t.Errorf("a line that goes on answers %q", got)
	}
}

func TestProxyWithholdsAnswersToCommits(t *testing.T) {
	t.Parallel()
	p, err := NewProxy(echoServer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Set(LineFaults{NoCommitReply: 1})
	ask := dial(t, p)
	if got, err := ask("SELECT 1"); err != nil || got != "SELECT 1" {
		t.Fatalf("another statement is answered %q, %v", got, err)
	}
	packet := []byte("\x07\x00\x00\x00\x03COMMIT")
	if !isCommit(packet) || isCommit([]byte("\x09\x00\x00\x00\x03SELECT 1")) {
		t.Error("commits are not told from other statements")
	}
	l := &link{budget: -1}
	if passed, last := p.judge(l, packet, true); len(passed) != len(packet) || last {
		t.Errorf("the commit does not reach the server: %q, %v", passed, last)
	}
	if passed, last := p.judge(l, []byte("OK"), false); len(passed) != 0 || !last {
		t.Errorf("its answer is passed on: %q, %v", passed, last)
	}
}
