package node

import (
	"errors"
	"path/filepath"
	"testing"
)

// TestRenewedFiles: what is written down for programs on this machine follows the certificate, and is left alone where it
// is another's by now.
func TestRenewedFiles(t *testing.T) {
	o, _ := apiOrigin(t, OriginConfig{})
	path := filepath.Join(o.dir, originFile)
	r, err := readRunning(path)
	if err != nil || r.Pin != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	r.Pin = "sha256//old"
	if err := writeRunning(path, r); err != nil {
		t.Fatal(err)
	}
	o.renewed()
	if r, err := readRunning(path); err != nil || r.Pin != o.shim.Pin() {
		t.Errorf("%+v, %v", r, err)
	}
	r.Token, r.Pin = "another's", "sha256//another's"
	if err := writeRunning(path, r); err != nil {
		t.Fatal(err)
	}
	o.renewed()
	if r, err := readRunning(path); err != nil || r.Token != "another's" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestHalfTLS: a certificate without its key is a slip, not plain HTTP.
func TestHalfTLS(t *testing.T) {
	for _, c := range []Config{{TLSCert: "cert.pem"}, {TLSKey: "key.pem"}} {
		if err := c.fill(); !errors.Is(err, ErrConfig) {
			t.Errorf("%v", err)
		}
	}
}
