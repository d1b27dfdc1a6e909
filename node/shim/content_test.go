package shim

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestContent: IPFS content is for players and the own page; for pages elsewhere only where the node says so.
func TestContent(t *testing.T) {
	for _, test := range []struct {
		open   bool
		origin string
		code   int
	}{
		{false, "", 200},
		{true, "", 200},
		{false, "https://elsewhere.example", 403},
		{true, "https://elsewhere.example", 200},
		{false, "http://127.0.0.1:8480", 200},
	} {
		s, err := New(Config{Listen: "127.0.0.1:0", OpenContent: test.open})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.Handle("GET /ipfs/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Security-Policy", "sandbox") }))
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8480/ipfs/bafkqaaa", nil)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != test.code {
			t.Errorf("open %v, from %q: %d, want %d", test.open, test.origin, w.Code, test.code)
		}
		if w.Code == 200 && w.Header().Get("Content-Security-Policy") != "sandbox" {
			t.Errorf("the handler's policy became %q", w.Header().Get("Content-Security-Policy"))
		}
	}
}
