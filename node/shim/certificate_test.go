package shim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// authority signs certificates, and has the files that a server reads.
type authority struct {
	t        *testing.T
	key      *ecdsa.PrivateKey
	cert     *x509.Certificate
	trust    *x509.CertPool
	certFile string
	keyFile  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	dir := t.TempDir()
	a := &authority{t: t, trust: x509.NewCertPool(), certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	a.key, a.cert = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Test authority"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(1000 * time.Hour),
	})
	a.trust.AddCert(a.cert)
	return a
}

func (a *authority) sign(c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

// issue writes a certificate for 127.0.0.1 and hosts into the files, and returns its pin.
func (a *authority) issue(lasts time.Duration, hosts ...string) string {
	a.t.Helper()
	key, cert := a.sign(&x509.Certificate{DNSNames: hosts, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(lasts)})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(a.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	a.write(a.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return KeyPin(cert)
}

// write gives the file the bubble's time, which is what the server's clock tells.
func (a *authority) write(path string, text []byte) {
	a.t.Helper()
	if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chtimes(path, time.Now(), time.Now())); err != nil {
		a.t.Fatal(err)
	}
}

// TestRenewal replaces the files while the face serves.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		first := a.issue(100 * time.Hour)
		var log bytes.Buffer
		renewals := 0
		r := newTLSRig(t, a, Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Renewed: func() { renewals++ }})
		defer r.stop()
		shown := func() string {
			t.Helper()
			r.client.CloseIdleConnections()
			res, err := r.client.Get(r.base + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			pin := KeyPin(res.TLS.PeerCertificates[0])
			if pin != r.Pin() {
				t.Errorf("shown %s, told %s", pin, r.Pin())
			}
			return pin
		}
		if shown() != first {
			t.Error("another certificate than the files'")
		}
		time.Sleep(30 * time.Second)
		second := a.issue(100 * time.Hour)
		if shown() != first || renewals != 0 {
			t.Error("the files were looked at again within a minute")
		}
		time.Sleep(30 * time.Second)
		if shown() != second || renewals != 1 {
			t.Errorf("not renewed, %d renewals told", renewals)
		}
		// A new certificate whose key has not come yet, or rubbish, or one that is over.
		key, err := os.ReadFile(a.keyFile)
		if err != nil {
			t.Fatal(err)
		}
		for name, spoil := range map[string]func(){
			"mismatch": func() { a.issue(100 * time.Hour); a.write(a.keyFile, key) },
			"rubbish":  func() { a.write(a.certFile, []byte("rubbish")) },
			"expired":  func() { a.issue(-time.Minute) },
		} {
			log.Reset()
			spoil()
			for range 3 {
				time.Sleep(certLook)
				if shown() != second {
					t.Errorf("%s: the old certificate does not go on", name)
				}
			}
			if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), a.certFile) {
				t.Errorf("%s: %d warnings: %s", name, n, &log)
			}
		}
		third := a.issue(time.Hour)
		time.Sleep(certLook)
		if shown() != third || renewals != 2 {
			t.Errorf("not renewed after what was broken, %d renewals told", renewals)
		}
		log.Reset()
		time.Sleep(2 * time.Hour)
		r.client.CloseIdleConnections()
		if a := r.get("/healthz"); !strings.Contains(a.body, "expired") || strings.Count(log.String(), "level=WARN") != 1 {
			t.Errorf("%s\n%s", a.body, &log)
		}
	})
}

// TestCertificateUnusable: what cannot be served is refused at the start, with the file's name.
func TestCertificateUnusable(t *testing.T) {
	a := newAuthority(t)
	a.issue(time.Hour)
	key, err := os.ReadFile(a.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for says, spoil := range map[string]func(){
		"private key does not match": func() { a.issue(time.Hour); a.write(a.keyFile, key) },
		"expired on":                 func() { a.issue(-time.Minute) },
		"no such file":               func() { _ = os.Remove(a.keyFile) },
		"failed to find any PEM data in certificate": func() { a.write(a.certFile, nil) },
	} {
		a.issue(time.Hour)
		spoil()
		_, err := New(Config{Listen: "127.0.0.1:0", TLSCert: a.certFile, TLSKey: a.keyFile})
		if !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), a.certFile) {
			t.Errorf("%v, want %q and the file", err, says)
		}
	}
	if _, err := New(Config{Listen: "127.0.0.1:0", TLSCert: a.certFile}); !errors.Is(err, ErrCertificate) {
		t.Errorf("%v without a key", err)
	}
}

// TestTLSAddress wants the page's address by a name that browsers take.
func TestTLSAddress(t *testing.T) {
	a := newAuthority(t)
	c := func(hosts ...string) {
		_, cert := a.sign(&x509.Certificate{DNSNames: hosts, NotAfter: time.Now().Add(time.Hour)})
		a.cert = cert
	}
	for _, test := range []struct {
		listen string
		names  []string
		allow  []string
		want   string
	}{
		{"0.0.0.0", []string{"*.example", "venue.example"}, nil, "https://venue.example:8480/"},
		{"0.0.0.0", []string{"*.example"}, []string{"*", "evil.test", "stage.example"}, "https://stage.example:8480/"},
		{"::", []string{"*.example"}, nil, "https://127.0.0.1:8480/"},
		{"127.0.0.1", []string{"venue.example"}, nil, "https://127.0.0.1:8480/"},
		{"127.0.0.1", []string{"venue.example", "localhost"}, nil, "https://localhost:8480/"},
		{"10.0.0.1", []string{"venue.example"}, nil, "https://venue.example:8480/"},
	} {
		c(test.names...)
		cert := new(certificate)
		cert.now.Store(&tls.Certificate{Leaf: a.cert})
		s := &Server{cert: cert, listener: address{addr: &net.TCPAddr{IP: net.ParseIP(test.listen), Port: 8480}}, cfg: Config{AllowHosts: test.allow}}
		if got := s.URL(); got != test.want {
			t.Errorf("%s %v: %s, want %s", test.listen, test.names, got, test.want)
		}
		if got := s.LocalURL(); !strings.Contains(got, ".0.") && !strings.Contains(got, "10.0.0.1") {
			t.Errorf("%s for programs", got)
		}
		a.cert = nil
	}
}

// address is a listener that only has an address.
type address struct {
	net.Listener
	addr net.Addr
}

func (a address) Addr() net.Addr { return a.addr }
