package rdsca

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

// Every block of the file is an authority of RDS's, and some of each kind of key
// are good for years: a damaged or a cut file would refuse every database.
func TestTheBundleHoldsAuthoritiesOfRDS(t *testing.T) {
	t.Parallel()
	regions := map[string]bool{}
	lasting := map[x509.PublicKeyAlgorithm]int{}
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if text := strings.TrimSpace(string(rest)); text != "" {
				t.Errorf("the file ends in %d bytes that are no certificate", len(text))
			}
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		name := certificate.Subject.String()
		if !certificate.IsCA || !strings.Contains(name, "Amazon RDS") {
			t.Errorf("%s is no authority of RDS", name)
		}
		if region, _, ok := strings.Cut(strings.TrimPrefix(certificate.Subject.CommonName, "Amazon RDS "), " Root CA "); ok {
			regions[region] = true
		}
		if certificate.NotAfter.After(time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)) {
			lasting[certificate.PublicKeyAlgorithm]++
		}
	}
	for _, region := range []string{"us-east-1", "eu-central-1", "ap-southeast-2"} {
		if !regions[region] {
			t.Errorf("nothing for %s among %d regions", region, len(regions))
		}
	}
	if lasting[x509.RSA] == 0 || lasting[x509.ECDSA] == 0 {
		t.Errorf("lasting authorities by algorithm: %v", lasting)
	}
	if Pool().Equal(x509.NewCertPool()) {
		t.Error("the pool is empty")
	}
}
