package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"murmuration/node"
	"murmuration/node/shim"
)

// TestPin: whom a node's file names is known by its certificate's key and by nothing else, and the token goes to nobody
// else. A pin that is written down just before the certificate is seen counts.
func TestPin(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	dir := t.TempDir()
	asked := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = w.Write([]byte(`{"broadcasts":[]}`))
	})
	s := httptest.NewTLSServer(handler)
	defer s.Close()
	file := func(pin string) node.Running {
		t.Helper()
		r := node.Running{Role: "origin", API: s.URL, Token: "x", PID: 1, Pin: pin}
		text, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "origin.json"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	right := shim.KeyPin(s.Certificate())
	for _, pin := range []string{"", "sha256//" + strings.Repeat("A", 43) + "="} {
		file(pin)
		if code, _, said := try(t, "broadcast", "--dir", dir, "ls"); code != exitFailed || !strings.Contains(said, "another certificate") || asked != 0 {
			t.Errorf("pin %q: exit code %d, asked %d times: %s", pin, code, asked, said)
		}
	}
	// Nor does --api without a file take a certificate that nobody vouches for.
	if code, _, said := try(t, "broadcast", "--dir", t.TempDir(), "--api", s.URL, "ls"); code != exitFailed || !strings.Contains(said, "certificate") || asked != 0 {
		t.Errorf("exit code %d, asked %d times: %s", code, asked, said)
	}
	file(right)
	if code, _, said := try(t, "broadcast", "--dir", dir, "ls"); code != 0 || asked != 1 {
		t.Errorf("exit code %d, asked %d times: %s", code, asked, said)
	}
	api := &nodeAPI{who: "origin", base: s.URL, found: true, file: func() (node.Running, error) { return file(right), nil }}
	file("sha256//old")
	if _, err := api.call(t.Context(), http.MethodGet, "broadcasts", nil, nil); err != nil {
		t.Error(err)
	}
}
