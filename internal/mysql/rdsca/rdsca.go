// Package rdsca carries the certificate authorities of Amazon RDS, for every
// region, so that a database's certificate can be checked without a file to
// ship and without a download at start. refresh.sh writes bundle.pem anew.
package rdsca

import (
	"crypto/x509"
	_ "embed" // of bundle.pem
	"sync"
)

//go:embed bundle.pem
var bundle []byte

// Pool is the authorities that RDS's own certificates are signed by. RDS Proxy
// has certificates of public authorities, which are not among them.
var Pool = sync.OnceValue(func() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	return pool
})
