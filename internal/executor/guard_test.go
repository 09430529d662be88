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

// special are addresses that a stranger must not reach: the first and the last of
// each block, metadata services, and IPv4 addresses in the clothes of IPv6.
var special = []string{
	"0.0.0.0", "0.1.2.3", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255",
	"100.64.0.0", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.0.0.53", "127.255.255.254", "127.255.255.255",
	"169.254.0.0", "169.254.169.253", "169.254.169.254", "169.254.170.2", "169.254.255.255", "172.16.0.0", "172.17.0.1", "172.31.255.255",
	"192.0.0.0", "192.0.0.192", "192.0.0.255", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
	"192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
	"::", "::1", "::2", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:10.0.0.1", "::ffff:100.64.0.1", "::ffff:169.254.169.254",
	"::ffff:192.168.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b:1::1", "64:ff9b:1:ffff::",
	"100::1", "100:0:0:1::1", "2001::", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::", "2001:db8::1",
	"2002::", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:ffff:ffff::", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "5f00::1", "1fff:ffff::1", "4000::1",
	"fc00::", "fc00::1", "fd00:ec2::254", "fdff:ffff::1", "fe80::", "fe80::1", "febf:ffff::1", "fec0::1", "ff00::", "ff02::1", "ffff:ffff::1",
}

// ordinary are addresses of everybody, some of them the next beside a block that
// is not.
var ordinary = []string{
	"1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
	"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
	"198.20.0.0", "223.255.255.255", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "2a00::1", "3ffe:ffff::1",
}

// TestOrdinaryAddressesMayBeCalled asks the guard itself, since no test calls a
// stranger; and about what may not be called, so that the two kinds are told
// apart by it and by nothing else.
func TestOrdinaryAddressesMayBeCalled(t *testing.T) {
	t.Parallel()
	transport := newTransport(t, executor.ClientOptions{Allow: nowhere})
	judge := func(address, port string) error {
		network := "tcp4"
		if netip.MustParseAddr(address).Is6() {
			network = "tcp6"
		}
		return transport.Judge(network, net.JoinHostPort(address, port))
	}
	for _, port := range []string{"1", "80", "443", "8443", "65535"} {
		for _, address := range ordinary {
			if err := judge(address, port); err != nil {
				t.Errorf("%s, port %s: %v", address, port, err)
			}
		}
		for _, address := range special {
			if judge(address, port) == nil {
				t.Errorf("%s, port %s may be called", address, port)
			}
		}
	}
	for _, network := range []string{"udp4", "tcp", "unix", "ip4"} {
		if transport.Judge(network, "8.8.8.8:80") == nil {
			t.Errorf("%s may be used", network)
		}
	}
	for _, address := range []string{"example.com:80", "8.8.8.8", "[fe80::1%lo]:80", "[2606:4700::1111%lo]:80", ""} {
		if transport.Judge("tcp6", address) == nil {
			t.Errorf("%q may be called", address)
		}
	}
}

// TestOnlyWhatTheOperatorAllowsIsOpened allows a network of each family, and
// nothing beside them.
func TestOnlyWhatTheOperatorAllowsIsOpened(t *testing.T) {
	t.Parallel()
	transport := newTransport(t, executor.ClientOptions{Allow: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.168.7.9/32"), netip.MustParsePrefix("fd00:1::/64"),
	}})
	for address, allowed := range map[string]bool{
		"10.1.0.0": true, "10.1.255.255": true, "10.0.255.255": false, "10.2.0.0": false, "192.168.7.9": true, "192.168.7.8": false,
		"169.254.169.254": false, "127.0.0.1": false, "8.8.8.8": true,
		"fd00:1::1": true, "fd00:1:0:1::1": false, "fd00:2::1": false, "::1": false, "64:ff9b::a01:5": false, "2002:a01:5::": false, "2606:4700::1111": true,
	} {
		network := "tcp4"
		if netip.MustParseAddr(address).Is6() {
			network = "tcp6"
		}
		if err := transport.Judge(network, net.JoinHostPort(address, "80")); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
	// And by a call: the same port of two addresses, of which one is allowed.
	target := listen(t, answering(ok, "Content-Length: 0\r\n\r\n"))
	_, port, err := net.SplitHostPort(target.addr)
	if err != nil {
		t.Fatal(err)
	}
	for allow, want := range map[string]execution.ErrorKind{"127.0.0.1/32": "", "127.0.0.2/32": execution.ErrBlockedAddress} {
		client := executor.NewClient(newTransport(t, executor.ClientOptions{Allow: []netip.Prefix{netip.MustParsePrefix(allow)}}), executor.WallClock{})
		status := 0
		if want == "" {
			status = 200
		}
		for _, host := range []string{"127.0.0.1", "::ffff:127.0.0.1"} {
			expect(t, call(t, client, work("http://"+net.JoinHostPort(host, port)+"/")), want, status, false)
		}
	}
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
		"http://[::ffff:7f00:2]:" + port + "/", "http://0.0.0.0:" + port + "/", "http://127.0.0.2.:" + port + "/", "http://0177.0.0.2:" + port + "/",
		"http://127.0.2:" + port + "/", "http://127.0.0.0x2:" + port + "/", "//127.0.0.2:" + port + "/", "http://１２７.0.0.2:" + port + "/",
		"http://[::1%25lo]:" + port + "/", "http://[fe80::1%25lo]:" + port + "/", "http://[64:ff9b::7f00:2]:" + port + "/", "http://[2002:7f00:2::]:" + port + "/",
		"http://INSIDE.test:" + port + "/", "http://inside.test.:" + port + "/",
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
