package executor_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a name server. A name that it does not know does not exist; of one
// with several answers, each look-up takes the next, and the last stays.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
}

// serveNames starts a name server and returns the way to ask it.
func serveNames(t *testing.T, answers map[string][][]netip.Addr) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	n := &names{answers: answers}
	go func() {
		buffer := make([]byte, 2048)
		for {
			size, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, ok := n.answer(buffer[:size]); ok {
				_, _ = socket.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

// answer makes the reply to a query.
func (n *names) answer(query []byte) ([]byte, bool) {
	var message dnsmessage.Message
	if message.Unpack(query) != nil || len(message.Questions) != 1 {
		return nil, false
	}
	question := message.Questions[0]
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	addresses, known := n.lookUp(question)
	if !known {
		message.RCode = dnsmessage.RCodeNameError
	}
	header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}
	for _, address := range addresses {
		switch {
		case address.Is4() && question.Type == dnsmessage.TypeA:
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
		case address.Is6() && question.Type == dnsmessage.TypeAAAA:
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
		}
	}
	packed, err := message.Pack()
	return packed, err == nil
}

func (n *names) lookUp(question dnsmessage.Question) ([]netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := question.Name.String()
	left, known := n.answers[name]
	if !known {
		return nil, false
	}
	// Each look-up asks for both families; the A question moves on.
	if question.Type == dnsmessage.TypeA && len(left) > 1 {
		n.answers[name] = left[1:]
	}
	return left[0], true
}
