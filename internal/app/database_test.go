package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// authority signs certificates of servers.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "An authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{sign(t, template, template, key, key), key}
}

func sign(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// server is a certificate for a server of that name, good until then.
func (a authority) server(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}, a.certificate, key, a.key)
	return tls.Certificate{Certificate: [][]byte{signed.Raw}, PrivateKey: key}
}

// file is the authority's certificate as DB_TLS_CA takes it.
func (a authority) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// databaseServer speaks as much of MySQL's protocol as a login takes, by TLS
// with that certificate or, without one, in plain text. It returns its port.
// Whoever logs in is let in, and every statement does nothing.
func databaseServer(t *testing.T, certificate *tls.Certificate) int {
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
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				_ = serveLogin(conn, certificate)
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func serveLogin(conn net.Conn, certificate *tls.Certificate) error {
	capabilities := uint32(1 | 1<<3 | 1<<9 | 1<<13 | 1<<15 | 1<<19) // 4.1, a database, plugins
	if certificate != nil {
		capabilities |= 1 << 11
	}
	const authData = "0123456789abcdefghij"
	greeting := "\x0a8.4.0\x00\x01\x00\x00\x00" + authData[:8] + "\x00" +
		string([]byte{byte(capabilities), byte(capabilities >> 8)}) + "\x2d\x02\x00" +
		string([]byte{byte(capabilities >> 16), byte(capabilities >> 24)}) + "\x15" +
		strings.Repeat("\x00", 10) + authData[8:] + "\x00mysql_native_password\x00"
	if err := writePacket(conn, 0, greeting); err != nil {
		return err
	}
	if _, err := readPacket(conn); err != nil {
		return err
	}
	var stream io.ReadWriter = conn
	sequence := byte(2)
	if certificate != nil {
		stream = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12})
		if _, err := readPacket(stream); err != nil {
			return err
		}
		sequence = 3
	}
	const ok = "\x00\x00\x00\x02\x00\x00\x00"
	if err := writePacket(stream, sequence, ok); err != nil {
		return err
	}
	for {
		if _, err := readPacket(stream); err != nil {
			return err
		}
		if err := writePacket(stream, 1, ok); err != nil {
			return err
		}
	}
}

func writePacket(w io.Writer, sequence byte, payload string) error {
	_, err := io.WriteString(w, string([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, sequence})+payload)
	return err
}

func readPacket(r io.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	payload := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	_, err := io.ReadFull(r, payload)
	return payload, err
}

func TestADatabaseIsKnownByItsCertificate(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	certificate := func(of authority, name string, until time.Time) *tls.Certificate {
		c := of.server(t, name, until)
		return &c
	}
	for name, tc := range map[string]struct {
		server *tls.Certificate // nil: a server without TLS
		ca     string           // DB_TLS_CA
		good   bool
	}{
		"our authority":                     {certificate(ours, "localhost", soon), ours.file(t), true},
		"another authority":                 {certificate(theirs, "localhost", soon), ours.file(t), false},
		"another name":                      {certificate(ours, "db.example.com", soon), ours.file(t), false},
		"expired":                           {certificate(ours, "localhost", past), ours.file(t), false},
		"no TLS":                            {nil, ours.file(t), false},
		"nothing set, an authority of ours": {certificate(ours, "localhost", soon), "", false},
		"nothing set, no TLS":               {nil, "", false},
		"rds, no TLS":                       {nil, config.TLSRDS, false},
		"system, an authority of ours":      {certificate(ours, "localhost", soon), config.TLSSystem, false},
		"whoever answers":                   {certificate(theirs, "db.example.com", past), config.TLSSkipVerify, true},
		"whoever answers, no TLS":           {nil, config.TLSSkipVerify, false},
		"off":                               {nil, config.TLSOff, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := Env{Config: config.Config{DB: config.Database{
				Host: "localhost", Port: databaseServer(t, tc.server), Username: "u", Password: "p", Name: "d", TLSCA: tc.ca,
			}}}.withDefaults()
			db, err := env.openDatabase(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if err := db.PingContext(t.Context()); (err == nil) != tc.good {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestTLSThatCannotBeSetUp(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{empty, "/no/such/file"} {
		if _, err := DatabaseTLS(config.Database{Host: "h", TLSCA: ca}); err == nil || !strings.HasPrefix(err.Error(), "DB_TLS_CA: ") {
			t.Errorf("%s: err = %v", ca, err)
		}
	}
}

// A server that takes the connection and says nothing must not hold a request
// for longer than its share, and the error must be one that is answered with
// "unavailable", whoever's deadline it was.
func TestAConnectionIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	db, err := mysql.Open(mysql.Options{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "u", ConnectTimeout: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.PingContext(t.Context())
	var network net.Error
	if !errors.As(err, &network) || !network.Timeout() {
		t.Errorf("err = %v", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error passes for the caller's own deadline: %v", err)
	}
}

// What a request waits for connections in vain is one timeout in all, whoever of
// its parts waits.
func TestARequestWaitsForAConnectionOnce(t *testing.T) {
	t.Parallel()
	port, connections := silence(t)
	db, err := mysql.Open(mysql.Options{Host: "127.0.0.1", Port: port, User: "u", ConnectTimeout: 200 * time.Millisecond, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ctx := mysql.WithOneConnectTimeout(t.Context())
	// A part that gives up sooner leaves the rest to the others.
	hasty, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := db.PingContext(hasty); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hasty part: %v", err)
	}
	for range 3 {
		var network net.Error
		if err := db.PingContext(ctx); !errors.As(err, &network) || !network.Timeout() || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	}
	if tried := connections.Load(); tried > 2 {
		t.Errorf("%d connections were tried by one request", tried)
	}
	before := connections.Load()
	if err := db.PingContext(mysql.WithOneConnectTimeout(t.Context())); err == nil {
		t.Error("another request was answered")
	}
	if connections.Load() == before {
		t.Error("another request did not try")
	}
}
