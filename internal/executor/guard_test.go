package executor_test

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// canary is a listener that must not be reached.
func canary(t *testing.T, network, address string) (port string, hits *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("SKIPPED, this machine has no %s: %v", address, err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	hits = &atomic.Int32{}
	go func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			hits.Add(1)
			_ = accepted.Close()
		}
	}()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, hits
}

// nowhere allows an address that no test uses, so that nothing is allowed.
var nowhere = []netip.Prefix{netip.MustParsePrefix("127.99.99.99/32")}

// special are addresses that a stranger must not reach.
var special = []string{
	"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1",
	"172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
	"255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
	"100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
}

func TestSpecialAddressesAreBlocked(t *testing.T) {
	t.Parallel()
	port4, hits4 := canary(t, "tcp4", "127.0.0.1:0")
	answers := map[string][][]netip.Addr{}
	for i, address := range special {
		answers[nameOf(i)+"."] = [][]netip.Addr{{netip.MustParseAddr(address)}}
	}
	client := executor.NewClient(newTransport(t, executor.ClientOptions{Allow: nowhere, Resolver: serveNames(t, answers)}), executor.WallClock{})
	for i, address := range special {
		for form, host := range map[string]string{"literal": address, "name": nameOf(i)} {
			t.Run(address+" as a "+form, func(t *testing.T) {
				t.Parallel()
				for _, scheme := range []string{"http", "https"} {
					attempt := call(t, client, work(scheme+"://"+net.JoinHostPort(host, port4)+"/", timeout(5*time.Second)))
					expect(t, attempt, execution.ErrBlockedAddress, 0, false)
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := hits4.Load(); n > 0 {
			t.Errorf("the canary was reached %d times", n)
		}
	})
}

func nameOf(i int) string { return "host-" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".test" }

func TestIPv6LoopbackIsBlocked(t *testing.T) {
	t.Parallel()
	port, hits := canary(t, "tcp6", "[::1]:0")
	expect(t, call(t, newClient(t), work("http://[::1]:"+port+"/")), execution.ErrBlockedAddress, 0, false)
	expect(t, call(t, newClient(t), work("http://[::]:"+port+"/")), execution.ErrBlockedAddress, 0, false)
	if n := hits.Load(); n > 0 {
		t.Errorf("the canary was reached %d times", n)
	}
}

// TestRedirectsAreGuarded follows a target that the client may call to ones
// that it may not.
func TestRedirectsAreGuarded(t *testing.T) {
	t.Parallel()
	allowed := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	port, hits := canary(t, "tcp4", "127.0.0.2:0")
	for _, location := range []string{
		"http://127.0.0.2:" + port + "/", "http://127.2:" + port + "/", "http://0x7f000002:" + port + "/", "http://2130706434:" + port + "/",
		"http://inside.test:" + port + "/", "http://169.254.169.254/latest/meta-data/", "http://[::1]:" + port + "/",
		"http://[::ffff:7f00:2]:" + port + "/", "http://0.0.0.0:" + port + "/",
	} {
		t.Run(location, func(t *testing.T) {
			t.Parallel()
			target := listen(t, answering("HTTP/1.1 302 Found\r\nLocation: "+location+"\r\nContent-Length: 0\r\n\r\n"))
			resolver := serveNames(t, map[string][][]netip.Addr{"inside.test.": {{netip.MustParseAddr("127.0.0.2")}}})
			client := executor.NewClient(newTransport(t, executor.ClientOptions{Allow: allowed, Resolver: resolver}), executor.WallClock{})
			attempt := call(t, client, work("http://"+target.addr+"/", redirects(5)))
			// Numbers that are no dotted address count as names; none exists.
			if attempt.Failure == nil || attempt.Failure.Kind != execution.ErrBlockedAddress && attempt.Failure.Kind != execution.ErrDNS {
				t.Errorf("the call ended with %+v", attempt.Failure)
			}
		})
	}
	t.Cleanup(func() {
		if n := hits.Load(); n > 0 {
			t.Errorf("the canary was reached %d times", n)
		}
	})
}

// TestReboundNameIsBlocked calls a name that points elsewhere the second time.
func TestReboundNameIsBlocked(t *testing.T) {
	t.Parallel()
	target := listen(t, answering(ok, "Content-Length: 0\r\nConnection: close\r\n\r\n"))
	_, port, err := net.SplitHostPort(target.addr)
	if err != nil {
		t.Fatal(err)
	}
	resolver := serveNames(t, map[string][][]netip.Addr{
		"rebound.test.": {{netip.MustParseAddr("127.0.0.1")}, {netip.MustParseAddr("169.254.169.254")}},
	})
	allowed := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	client := executor.NewClient(newTransport(t, executor.ClientOptions{Allow: allowed, Resolver: resolver}), executor.WallClock{})
	w := work("http://rebound.test:" + port + "/")
	expect(t, call(t, client, w), "", 200, false)
	expect(t, call(t, client, w), execution.ErrBlockedAddress, 0, false)
}

// TestNameWithGoodAndBadAddresses uses the address that may be called.
func TestNameWithGoodAndBadAddresses(t *testing.T) {
	t.Parallel()
	target := listen(t, answering(ok, "Content-Length: 0\r\n\r\n"))
	_, port, err := net.SplitHostPort(target.addr)
	if err != nil {
		t.Fatal(err)
	}
	resolver := serveNames(t, map[string][][]netip.Addr{
		"both.test.": {{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1")}},
	})
	client := executor.NewClient(newTransport(t, executor.ClientOptions{Resolver: resolver}), executor.WallClock{})
	attempt := call(t, client, work("http://both.test:"+port+"/"))
	expect(t, attempt, "", 200, false)
	if attempt.Timings.DNS == nil || attempt.Timings.Connect == nil {
		t.Error("looking the name up is not measured")
	}
}

func TestNameThatDoesNotExist(t *testing.T) {
	t.Parallel()
	resolver := serveNames(t, nil)
	client := executor.NewClient(newTransport(t, executor.ClientOptions{Resolver: resolver}), executor.WallClock{})
	attempt := call(t, client, work("http://nowhere.test/"))
	expect(t, attempt, execution.ErrDNS, 0, true)
	if !strings.Contains(attempt.Failure.Message, "does not exist") {
		t.Errorf("the message is %q", attempt.Failure.Message)
	}
}

// TestEnvironmentNamesNoProxy guards against a proxy, which would connect to
// anything.
func TestEnvironmentNamesNoProxy(t *testing.T) {
	port, hits := canary(t, "tcp4", "127.0.0.1:0")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+port)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+port)
	client := executor.NewClient(newTransport(t, executor.ClientOptions{Resolver: serveNames(t, nil)}), executor.WallClock{})
	expect(t, call(t, client, work("http://nowhere.test/")), execution.ErrDNS, 0, true)
	if n := hits.Load(); n > 0 {
		t.Errorf("the proxy was used %d times", n)
	}
}
