package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"murmuration/node"
)

// writeCertificate makes a certificate for a name that signs itself, and returns its file and the key's.
func writeCertificate(t testing.TB, name string) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestTLS asks an origin by curl and ffprobe over HTTPS, and by murmur's commands, which know it by its pin.
func TestTLS(t *testing.T) {
	for _, program := range []string{"curl", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is not installed", program)
		}
	}
	cert, key := writeCertificate(t, "venue.example")
	dir := t.TempDir()
	o := start(t, "origin", murmur, "origin", "--dir", dir, "--recordings", filepath.Join(dir, "recordings"), "--dht", "off", "--no-mdns",
		"--listen", loopback, "--http", "127.0.0.1:0", "--input", "test", "--tls-cert", cert, "--tls-key", key)
	page := o.expect(t, 15*time.Second, `^page +(https://\S+)`)
	port := strings.TrimSuffix(page[strings.LastIndexByte(page, ':')+1:], "/")
	do := func(program string, args ...string) string {
		t.Helper()
		out, err := exec.Command(program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", program, args, err, out)
		}
		return string(out)
	}
	named := "https://venue.example:" + port + "/"
	out := do("curl", "-sS", "--http2", "--cacert", cert, "--resolve", "venue.example:"+port+":127.0.0.1", "-w", "\nHTTP/%{http_version} %{http_code}", named+"live.m3u8")
	if !strings.HasPrefix(out, "#EXTM3U") || !strings.HasSuffix(out, "\nHTTP/2 200") {
		t.Errorf("curl: %s", out)
	}
	running, err := node.FindOrigin(dir)
	if err != nil {
		t.Fatal(err)
	}
	out = do("curl", "-sS", "-k", "--pinnedpubkey", running.Pin, "-w", "%{http_code}", "-o", os.DevNull, running.API+"/healthz")
	if out != "200" {
		t.Errorf("curl by the pin: %s", out)
	}
	other := "sha256//" + strings.Repeat("A", 43) + "="
	if out, err := exec.Command("curl", "-sS", "-k", "--pinnedpubkey", other, running.API+"/healthz").CombinedOutput(); err == nil {
		t.Errorf("curl takes another pin: %s", out)
	}
	out = do("ffprobe", "-v", "error", "-tls_verify", "0", "-show_entries", "stream=codec_name", "-of", "csv=p=0", page+"live.m3u8")
	if !strings.Contains(out, "h264") {
		t.Errorf("ffprobe: %s", out)
	}
	var list struct {
		Broadcasts []struct{ ID, Page string }
	}
	if err := json.Unmarshal([]byte(do(murmur, "broadcast", "--dir", dir, "--json", "ls")), &list); err != nil || len(list.Broadcasts) != 1 || list.Broadcasts[0].Page != page {
		t.Errorf("murmur broadcast ls: %v, %+v", err, list)
	}
	do(murmur, "recordings", "--recordings", filepath.Join(dir, "recordings"), "pin", list.Broadcasts[0].ID)
}
