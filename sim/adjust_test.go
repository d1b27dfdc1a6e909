package sim

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCheckMatrix holds what a matrix of round trips must be, so that nothing odd gets into a run's delays.
func TestCheckMatrix(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"good", "city,a,b\na,0,12.5\nb,12.5,0\n", ""},
		{"empty", "", "empty"},
		{"no cities", "city\n", "0 cities"},
		{"no numbers", "city,a,b\na,0,x\nb,1,0\n", `"x"`},
		{"negative", "city,a,b\na,0,-1\nb,1,0\n", `"-1"`},
		{"not a number", "city,a,b\na,0,NaN\nb,1,0\n", `"NaN"`},
		{"infinite", "city,a,b\na,0,Inf\nb,1,0\n", `"Inf"`},
		{"too long", "city,a,b\na,0,1e300\nb,1,0\n", `"1e300"`},
		{"ragged", "city,a,b\na,0\nb,1,0\n", "fields"},
		{"too few rows", "city,a,b\na,0,1\n", "1 rows"},
		{"too many rows", "city,a\na,0\nb,0\n", "more rows"},
		{"other order", "city,a,b\nb,0,1\na,1,0\n", "row 1"},
		{"too wide", "city" + strings.Repeat(",x", maxMatrixCities+1) + "\n", "2001 cities"},
		{"quotes", "city,\"a\na,0\n", "quote"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rtt.csv")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := CheckMatrix(path)
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrMatrix) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
	if err := CheckMatrix(t.TempDir()); !errors.Is(err, ErrMatrix) {
		t.Errorf("a folder: %v", err)
	}
	if err := CheckMatrix("nowhere.csv"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// FuzzMatrix: whatever the bytes, it ends, and what passes can be read.
func FuzzMatrix(f *testing.F) {
	f.Add("city,a,b\na,0,12.5\nb,12.5,0\n")
	f.Add("city,a\na,NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		if checkMatrix(strings.NewReader(text)) != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "rtt.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := readMatrix(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range g.n {
			if d := g.delay(0, i); d < 0 || d > maxRoundTrip*time.Millisecond {
				t.Errorf("a delay of %v", d)
			}
		}
	})
}

// TestResize keeps the crowd's share.
func TestResize(t *testing.T) {
	s, err := Load("flash")
	if err != nil {
		t.Fatal(err)
	}
	s.Resize(40)
	if s.Peers != 40 || s.Join.Crowd.Peers != 38 {
		t.Errorf("%d peers, a crowd of %d", s.Peers, s.Join.Crowd.Peers)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	s.Duration = 0
	if err := s.Check(); !errors.Is(err, ErrScenario) {
		t.Error("no time to measure passes")
	}
}
