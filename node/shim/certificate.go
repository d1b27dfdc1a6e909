package shim

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// certLook is how often the certificate's files are looked at, at most: when somebody connects, and never otherwise.
const certLook = time.Minute

// certificate is the TLS certificate of the face. A renewed one is taken over from its files while the face serves.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	renewed           func()

	now atomic.Pointer[tls.Certificate]

	mu    sync.Mutex // held while the files are looked at
	next  time.Time  // when they may be looked at again
	stamp string     // of the files that now was read from
	told  string     // what was warned of last
}

// loadCertificate reads the files. Its error wraps ErrCertificate.
func loadCertificate(cfg Config) (*certificate, error) {
	c := &certificate{certFile: cfg.TLSCert, keyFile: cfg.TLSKey, log: cfg.Log, renewed: cfg.Renewed}
	if c.certFile == "" || c.keyFile == "" {
		return nil, fmt.Errorf("%w: a certificate and its key are needed, in a file each", ErrCertificate)
	}
	c.stamp = c.look()
	pair, err := c.read()
	if err != nil {
		return nil, err
	}
	c.now.Store(pair)
	c.next = time.Now().Add(certLook)
	return c, nil
}

// read returns what the files hold, if it can be served now.
func (c *certificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("%w %s with key %s: %w", ErrCertificate, c.certFile, c.keyFile, err)
	}
	switch now := time.Now(); {
	case now.After(pair.Leaf.NotAfter):
		err = fmt.Errorf("expired on %s", pair.Leaf.NotAfter.Format(time.RFC1123))
	case now.Before(pair.Leaf.NotBefore):
		err = fmt.Errorf("not valid before %s", pair.Leaf.NotBefore.Format(time.RFC1123))
	default:
		return &pair, nil
	}
	return nil, fmt.Errorf("%w %s: %w", ErrCertificate, c.certFile, err)
}

// look returns what changes when a file is replaced. Links, such as certbot's, are followed.
func (c *certificate) look() string {
	var stamp strings.Builder
	for _, path := range []string{c.certFile, c.keyFile} {
		if i, err := os.Stat(path); err == nil {
			fmt.Fprintln(&stamp, i.ModTime().UnixNano(), i.Size())
		}
	}
	return stamp.String()
}

// serve returns the certificate for a connection, for tls.Config.GetCertificate. Where the files have changed it is the
// new one, unless that is broken: then the old one goes on.
func (c *certificate) serve(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		return c.now.Load(), nil
	}
	c.next = now.Add(certLook)
	if stamp := c.look(); stamp != c.stamp {
		pair, err := c.read()
		if err != nil {
			c.warn("the renewed certificate cannot be used, the one before goes on", err)
			return c.now.Load(), nil
		}
		c.stamp, c.told = stamp, ""
		c.now.Store(pair)
		c.log.Info("certificate renewed", "file", c.certFile, "until", pair.Leaf.NotAfter)
		if c.renewed != nil {
			c.renewed() // before anybody sees it
		}
	}
	pair := c.now.Load()
	if now.After(pair.Leaf.NotAfter) {
		c.warn("the certificate has expired", errors.New(pair.Leaf.NotAfter.Format(time.RFC1123)))
	}
	return pair, nil
}

// warn tells of something once.
func (c *certificate) warn(what string, err error) {
	if text := what + err.Error(); c.told != text {
		c.told = text
		c.log.Warn(what, "file", c.certFile, "err", err)
	}
}

// covers reports whether browsers take the certificate for a host's.
func (c *certificate) covers(host string) bool { return c.now.Load().Leaf.VerifyHostname(host) == nil }

// name returns a host name that the certificate covers: one of preferred, else one of its own; empty where it has none.
func (c *certificate) name(preferred []string) string {
	for _, host := range append(preferred[:len(preferred):len(preferred)], c.now.Load().Leaf.DNSNames...) {
		if !strings.Contains(host, "*") && c.covers(host) {
			return host
		}
	}
	return ""
}

// config is for a server; which protocols it offers is net/http's to add.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.serve}
}

// KeyPin names a certificate by the SHA-256 of its public key, as curl's --pinnedpubkey takes it: sha256//BASE64.
func KeyPin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "sha256//" + base64.StdEncoding.EncodeToString(sum[:])
}
